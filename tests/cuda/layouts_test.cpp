// The instructions of ptx.cuh against the maps of fragments.hpp and against plain arithmetic, on the emulator and on a
// GPU.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/common/fragments.hpp"
#include "tests/cuda/cuda_test.hpp"
#include "tests/cuda/layouts.hpp"

namespace dcase::test {
namespace {

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

TEST_CASE("ptx: fragment maps cover each element once", "[layouts]") {
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

TEST_CASE("ptx: ldmatrix and stmatrix move the elements that the map says", "[layouts]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    const std::vector<std::uint16_t> tile = numbers(256);
    for (const bool transposed : {false, true}) {
      const std::vector<std::uint32_t> words = layouts::ldmatrix(tile, 4, transposed);
      bool right = true;
      for (int lane = 0; lane < 32; ++lane) {
        for (int j = 0; j < 4; ++j) {
          for (int i = 0; i < 2; ++i) {
            const MatrixPlace p = ldmatrix_place(lane, i, transposed);
            const std::uint32_t got = words[at(lane, j, 4)] >> 16 * i & 0xFFFFU;
            right = right && got == tile[at(8 * j + p.row, p.column, 8)];
          }
        }
      }
      CHECK(right);
      const std::vector<std::uint32_t> two = layouts::ldmatrix(tile, 2, transposed);
      CHECK(two[at(5, 1, 2)] == words[at(5, 1, 4)]);
      CHECK(two[at(31, 0, 2)] == words[at(31, 0, 4)]);
    }
    if (layouts::has_sm90()) CHECK(layouts::stmatrix(layouts::ldmatrix(tile, 4, false)) == tile);
  });
}

TEST_CASE("ptx: mma multiplies the matrices that the maps lay out", "[layouts]") {
  const FreshRuntime fresh;
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
      const std::vector<float> product =
          layouts::mma(depth == 16 ? layouts::Mma::kBf16 : layouts::Mma::kTf32, ra, rb, rc);
      bool right = true;
      for (int lane = 0; lane < 32; ++lane) {
        for (int i = 0; i < 4; ++i) {
          const MatrixPlace p = mma16n8_c(lane, i);
          float sum = c[at(p.row, p.column, 8)];
          for (int k = 0; k < depth; ++k) sum += a[at(p.row, k, depth)] * b[at(k, p.column, 8)];
          right = right && product[at(lane, i, 4)] == sum;
        }
      }
      CHECK(right);
    }
  });
}

TEST_CASE("ptx: to_tf32 rounds to ten bits, ties away from zero", "[layouts]") {
  const FreshRuntime fresh;
  std::vector<float> x(32, 0.0F);
  x[0] = 1.0F + 0x1p-11F;    // a tie
  x[1] = -1.0F - 0x1p-11F;   // the same below zero
  x[2] = 1.0F + 0x1.8p-12F;  // below the tie
  x[3] = 3.0F;
  x[4] = INFINITY;
  const std::vector<std::uint32_t> bits = layouts::to_tf32(x);
  const auto value = [&](std::size_t i) { return std::bit_cast<float>(bits[i]); };
  CHECK(value(0) == 1.0F + 0x1p-10F);
  CHECK(value(1) == -1.0F - 0x1p-10F);
  CHECK(value(2) == 1.0F);
  CHECK(value(3) == 3.0F);
  CHECK(std::isinf(value(4)));
}

TEST_CASE("ptx: asynchronous copies bring what they promise, with zeros behind", "[layouts]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    const std::vector<float> x = integers(512, 4);
    for (const unsigned valid : {16U, 4U, 0U}) {
      std::vector<float> expected = x;
      for (std::size_t g = 0; g < 2; ++g) {
        for (std::size_t i = valid / 4; i < 4; ++i) expected[g * 256 + i] = 0;
      }
      CHECK(layouts::copy_async(x, valid) == expected);
    }
  });
}

TEST_CASE("ptx: named barriers, mbarriers and bulk copies carry a ring", "[layouts]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    const std::vector<float> x = integers(6 * 128, 5);
    const std::vector<float> y = layouts::named_barriers({x.begin(), x.begin() + 256});
    bool right = true;
    for (std::size_t i = 0; i < 256; ++i) right = right && y[i] == 2 * x[i / 32 * 32 + 31 - i % 32];
    CHECK(right);
    if (layouts::has_sm90()) CHECK(layouts::bulk_ring(x) == x);
  });
}

TEST_CASE("ptx: blocks of a cluster read each other's shared memory", "[layouts]") {
  const FreshRuntime fresh;
  if (!layouts::has_sm90()) skip("the device has no clusters");
  for_each_schedule([] { CHECK(layouts::cluster_sum(8, 4) == std::vector<float>(8, 10)); });
}

}  // namespace dcase::test
