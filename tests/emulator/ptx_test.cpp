// The instructions of ptx.cuh against the maps of fragments.hpp and against plain arithmetic.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/common/launch.hpp"
#include "tests/emulator/device_array.hpp"
#include "tests/emulator/ptx_kernels.cuh"
#include "tests/emulator/schedules.hpp"
#include "tests/support/test.hpp"

namespace dcase {

using emulator::contains;
using emulator::DeviceArray;
using emulator::fault_of;
using emulator::for_each_schedule;
using emulator::make_grid;
using emulator::run_grid;

namespace {

const Launch kOneWarp{.grid = 1, .block = 32, .name = "one_warp"};

std::vector<std::uint16_t> numbers(std::size_t n) {
  std::vector<std::uint16_t> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<std::uint16_t>(i * 7 + 1);
  return x;
}

// Small integers, which bf16, tf32 and float products hold exactly.
std::vector<float> integers(std::size_t n, unsigned seed) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) {
    seed = seed * 1664525U + 1013904223U;
    x[i] = static_cast<float>(static_cast<int>(seed >> 16) % 17 - 8);
  }
  return x;
}

std::uint32_t pair_of(float low, float high) {
  return std::bit_cast<std::uint32_t>(low) >> 16 | (std::bit_cast<std::uint32_t>(high) & 0xFFFF0000U);
}

std::size_t at(int row, int column, int width) { return static_cast<std::size_t>(row * width + column); }

}  // namespace

TEST_CASE("ptx: fragment maps cover each element once", "[ptx]") {
  const auto covers = [](int rows, int columns, int registers, auto map) {
    std::vector<int> seen(static_cast<std::size_t>(rows * columns), 0);
    for (int lane = 0; lane < 32; ++lane) {
      for (int i = 0; i < registers; ++i) {
        const MatrixPlace p = map(lane, i);
        REQUIRE((p.row >= 0 && p.row < rows && p.column >= 0 && p.column < columns));
        ++seen[at(p.row, p.column, columns)];
      }
    }
    return std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; });
  };
  CHECK(covers(16, 16, 8, mma16816_a));
  CHECK(covers(16, 8, 4, mma16816_b));
  CHECK(covers(16, 8, 4, mma16n8_c));
  CHECK(covers(16, 8, 4, mma1688_a));
  CHECK(covers(8, 8, 2, mma1688_b));
  CHECK(covers(8, 8, 2, [](int lane, int i) { return ldmatrix_place(lane, i, false); }));
  CHECK(covers(8, 8, 2, [](int lane, int i) { return ldmatrix_place(lane, i, true); }));
}

TEST_CASE("ptx: ldmatrix and stmatrix move the elements that the map says", "[ptx]") {
  for_each_schedule([] {
    for (const bool transposed : {false, true}) {
      DeviceArray<std::uint16_t> tile(numbers(256));
      DeviceArray<std::uint32_t> words(128);
      run_grid(make_grid(layouts::ldmatrix_kernel, kOneWarp, tile.data(), words.data(), transposed ? 1 : 0));
      bool right = true;
      for (int lane = 0; lane < 32; ++lane) {
        for (int j = 0; j < 4; ++j) {
          for (int i = 0; i < 2; ++i) {
            const MatrixPlace p = ldmatrix_place(lane, i, transposed);
            const std::uint32_t got = words.values()[at(lane, j, 4)] >> 16 * i & 0xFFFFU;
            right = right && got == tile.values()[at(8 * j + p.row, p.column, 8)];
          }
        }
      }
      CHECK(right);
      DeviceArray<std::uint32_t> two(64);
      run_grid(make_grid(layouts::ldmatrix_x2_kernel, kOneWarp, tile.data(), two.data(), transposed ? 1 : 0));
      CHECK(two.values()[at(5, 1, 2)] == words.values()[at(5, 1, 4)]);
      CHECK(two.values()[at(31, 0, 2)] == words.values()[at(31, 0, 4)]);
    }
    DeviceArray<std::uint16_t> tile(numbers(256));
    DeviceArray<std::uint32_t> words(128);
    DeviceArray<std::uint16_t> back(256);
    run_grid(make_grid(layouts::ldmatrix_kernel, kOneWarp, tile.data(), words.data(), 0));
    run_grid(make_grid(layouts::stmatrix_kernel, kOneWarp, words.data(), back.data()));
    CHECK(back.values() == tile.values());
  });
}

TEST_CASE("ptx: mma multiplies the matrices that the maps lay out", "[ptx]") {
  for_each_schedule([] {
    for (const int depth : {16, 8}) {  // bf16, tf32
      const std::vector<float> a = integers(static_cast<std::size_t>(16 * depth), 1);
      const std::vector<float> b = integers(static_cast<std::size_t>(depth * 8), 2);
      const std::vector<float> c = integers(16 * 8, 3);
      std::vector<std::uint32_t> ra(128);
      std::vector<std::uint32_t> rb(64);
      std::vector<float> rc(128);
      for (int lane = 0; lane < 32; ++lane) {
        for (int j = 0; j < 4; ++j) {
          const auto a_at = [&](MatrixPlace p) { return a[at(p.row, p.column, depth)]; };
          ra[at(lane, j, 4)] = depth == 16 ? pair_of(a_at(mma16816_a(lane, 2 * j)), a_at(mma16816_a(lane, 2 * j + 1)))
                                           : std::bit_cast<std::uint32_t>(a_at(mma1688_a(lane, j)));
          const MatrixPlace p = mma16n8_c(lane, j);
          rc[at(lane, j, 4)] = c[at(p.row, p.column, 8)];
        }
        for (int j = 0; j < 2; ++j) {
          const auto b_at = [&](MatrixPlace p) { return b[at(p.row, p.column, 8)]; };
          rb[at(lane, j, 2)] = depth == 16 ? pair_of(b_at(mma16816_b(lane, 2 * j)), b_at(mma16816_b(lane, 2 * j + 1)))
                                           : std::bit_cast<std::uint32_t>(b_at(mma1688_b(lane, j)));
        }
      }
      DeviceArray<std::uint32_t> da(ra);
      DeviceArray<std::uint32_t> db(rb);
      DeviceArray<float> dc(rc);
      run_grid(make_grid(depth == 16 ? layouts::mma_kernel<true> : layouts::mma_kernel<false>, kOneWarp, da.data(),
                         db.data(), dc.data()));
      bool right = true;
      for (int lane = 0; lane < 32; ++lane) {
        for (int i = 0; i < 4; ++i) {
          const MatrixPlace p = mma16n8_c(lane, i);
          float sum = c[at(p.row, p.column, 8)];
          for (int k = 0; k < depth; ++k) sum += a[at(p.row, k, depth)] * b[at(k, p.column, 8)];
          right = right && dc.values()[at(lane, i, 4)] == sum;
        }
      }
      CHECK(right);
    }
  });
}

TEST_CASE("ptx: to_tf32 rounds to ten bits, ties away from zero", "[ptx]") {
  std::vector<float> x(32, 0.0F);
  x[0] = 1.0F + 0x1p-11F;    // a tie
  x[1] = -1.0F - 0x1p-11F;   // the same below zero
  x[2] = 1.0F + 0x1.8p-12F;  // below the tie
  x[3] = 3.0F;
  x[4] = INFINITY;
  DeviceArray<float> dx(x);
  DeviceArray<std::uint32_t> bits(32);
  run_grid(make_grid(layouts::to_tf32_kernel, kOneWarp, dx.data(), bits.data()));
  const auto value = [&](std::size_t i) { return std::bit_cast<float>(bits.values()[i]); };
  CHECK(value(0) == 1.0F + 0x1p-10F);
  CHECK(value(1) == -1.0F - 0x1p-10F);
  CHECK(value(2) == 1.0F);
  CHECK(value(3) == 3.0F);
  CHECK(std::isinf(value(4)));
}

TEST_CASE("ptx: asynchronous copies land late, early and with zeros behind", "[ptx]") {
  const std::vector<float> x = integers(512, 4);
  const Launch l{.grid = 1, .block = 64, .name = "copy_async"};
  std::size_t wrong = 0;
  std::size_t late = 0;
  for_each_schedule([&] {
    for (const unsigned valid : {16U, 4U, 0U}) {
      DeviceArray<float> dx(x);
      DeviceArray<float> dy(512);
      run_grid(make_grid(layouts::copy_async_kernel<layouts::CopyBug::kNone>, l, dx.data(), dy.data(), valid));
      std::vector<float> expected = x;
      for (std::size_t g = 0; g < 2; ++g) {
        for (std::size_t i = valid / 4; i < 4; ++i) expected[g * 256 + i] = 0;
      }
      CHECK(dy.values() == expected);
    }
    const auto broken = [&](auto kernel) {
      DeviceArray<float> dx(x);
      DeviceArray<float> dy(512);
      const std::string fault = fault_of([&] { run_grid(make_grid(kernel, l, dx.data(), dy.data(), 16U)); });
      return !fault.empty() || dy.values() != x;
    };
    // Poison in the late mode, a report where accesses are checked; in the early mode there is nothing to see.
    const bool visible = emulator::kChecked || emulator::current_schedule().landing == emulator::Landing::kLate;
    late += visible;
    if (visible) {
      wrong += broken(layouts::copy_async_kernel<layouts::CopyBug::kWrongGroup>);
      wrong += broken(layouts::copy_async_kernel<layouts::CopyBug::kNoWait>);
    }
  });
  CHECK(wrong == 2 * late);
  CHECK(late > 0);
}

TEST_CASE("ptx: named barriers, mbarriers and bulk copies carry a ring", "[ptx]") {
  const std::vector<float> x = integers(6 * 128, 5);
  const Launch l{.grid = 1, .block = 64, .name = "ring"};
  std::size_t late = 0;
  std::size_t found = 0;
  for_each_schedule([&] {
    DeviceArray<float> dx(x);
    DeviceArray<float> dy(256);
    run_grid(make_grid(layouts::named_barrier_kernel, l, dx.data(), dy.data()));
    bool right = true;
    for (std::size_t i = 0; i < 256; ++i) right = right && dy.values()[i] == 2 * x[i / 32 * 32 + 31 - i % 32];
    CHECK(right);

    DeviceArray<float> copied(6 * 128);
    run_grid(make_grid(layouts::bulk_ring_kernel<layouts::RingBug::kNone>, l, dx.data(), copied.data(), 6));
    CHECK(copied.values() == x);
    const auto broken = [&](auto kernel) {
      DeviceArray<float> out(6 * 128);
      const std::string fault = fault_of([&] { run_grid(make_grid(kernel, l, dx.data(), out.data(), 6)); });
      return !fault.empty() || out.values() != x;
    };
    if (emulator::kChecked || emulator::current_schedule().landing == emulator::Landing::kLate) {
      ++late;
      found += broken(layouts::bulk_ring_kernel<layouts::RingBug::kConsumerDoesNotWait>);
      found += broken(layouts::bulk_ring_kernel<layouts::RingBug::kProducerDoesNotWait>);
    }
  });
  CHECK(found == 2 * late);
}

TEST_CASE("ptx: blocks of a cluster read each other's shared memory", "[ptx]") {
  for_each_schedule([] {
    DeviceArray<float> y(8);
    run_grid(make_grid(layouts::cluster_sum_kernel, Launch{.grid = 8, .block = 32, .cluster = 4, .name = "cluster"},
                       y.data(), 4));
    CHECK(std::all_of(y.values().begin(), y.values().end(), [](float v) { return v == 10; }));
  });
}

}  // namespace dcase
