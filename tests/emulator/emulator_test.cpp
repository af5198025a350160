// The emulator itself: what threads see, where they meet, and that planted mistakes are found.

#include <cmath>
#include <vector>

#include "kernels/common/launch.hpp"
#include "tests/emulator/device_array.hpp"
#include "tests/emulator/planted_kernels.cuh"
#include "tests/emulator/schedules.hpp"
#include "tests/support/test.hpp"

namespace dcase {

using emulator::contains;
using emulator::DeviceArray;
using emulator::fault_of;
using emulator::for_each_schedule;
using emulator::make_grid;
using emulator::run_grid;
using planted::Bug;

namespace {

std::vector<float> count_up(std::size_t n) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>(i + 1);
  return x;
}

// A kernel from x to y of n elements in one block; y, or empty where it ended in a fault.
template <class Kernel, class... More>
std::vector<float> run_block(Kernel kernel, std::size_t n, More... more) {
  DeviceArray<float> x(count_up(n));
  DeviceArray<float> y(n);
  const Launch l{.grid = 1, .block = static_cast<unsigned>(n), .name = "planted"};
  if (!fault_of([&] { run_grid(make_grid(kernel, l, x.data(), y.data(), more...)); }).empty()) return {};
  return y.values();
}

}  // namespace

TEST_CASE("emulator: correct kernels are right in every schedule", "[emulator]") {
  const auto reversed = [](std::vector<float> x) { return std::vector<float>(x.rbegin(), x.rend()); };
  for_each_schedule([&] {
    CHECK(run_block(planted::reverse_kernel<Bug::kNone>, 96, 96) == reversed(count_up(96)));
    const std::vector<float> rotated = run_block(planted::rotate_twice_kernel<Bug::kNone>, 96, 96);
    REQUIRE(rotated.size() == 96);
    CHECK(rotated[0] == 3);
    CHECK(rotated[95] == 2);
    const std::vector<float> exchanged = run_block(planted::warp_exchange_kernel<Bug::kNone>, 64);
    CHECK(exchanged[0] == 2);
    CHECK(exchanged[63] == 63);
    const std::vector<float> sums = run_block(planted::warp_sum_kernel, 64);
    CHECK(sums[7] == 32 * 33 / 2);
    CHECK(sums[40] == 32 * 32 + 32 * 33 / 2);
  });
}

TEST_CASE("emulator: a missing barrier gives a wrong result or a report", "[emulator]") {
  const std::vector<float> x = count_up(96);
  std::size_t found = 0;
  std::size_t tried = 0;
  for_each_schedule([&] {
    found += run_block(planted::reverse_kernel<Bug::kMissing>, 96, 96) !=
             run_block(planted::reverse_kernel<Bug::kNone>, 96, 96);
    found += run_block(planted::rotate_twice_kernel<Bug::kMissing>, 96, 96) !=
             run_block(planted::rotate_twice_kernel<Bug::kNone>, 96, 96);
    found += run_block(planted::warp_exchange_kernel<Bug::kMissing>, 64) !=
             run_block(planted::warp_exchange_kernel<Bug::kNone>, 64);
    tried += 3;
  });
  CHECK(found == tried);
}

TEST_CASE("emulator: threads that miss a meeting end in a deadlock report", "[emulator]") {
  for_each_schedule([] {
    DeviceArray<float> x(count_up(64));
    DeviceArray<float> y(64);
    const Launch l{.grid = 1, .block = 64, .name = "half"};
    const std::string barrier = fault_of([&] { run_grid(make_grid(planted::half_barrier_kernel, l, y.data())); });
    CHECK(contains(barrier, "kernel half: deadlock: 32 threads have returned; 32 wait in __syncthreads"));
    CHECK(contains(barrier, "planted_kernels.cuh:"));
    const std::string shuffle =
        fault_of([&] { run_grid(make_grid(planted::half_shuffle_kernel, l, x.data(), y.data())); });
    CHECK(contains(shuffle, "deadlock: 32 threads have returned; 32 wait in __shfl_xor_sync"));
  });
}

TEST_CASE("emulator: uninitialised shared memory is NaN, and writes behind it are found", "[emulator]") {
  for_each_schedule([] {
    DeviceArray<float> y(64);
    const Launch l{.grid = 1, .block = 64, .name = "bounds"};
    const std::string read = fault_of([&] { run_grid(make_grid(planted::uninitialised_kernel, l, y.data())); });
    CHECK((!read.empty() || std::isnan(y.values()[63])));
#ifndef __SANITIZE_ADDRESS__  // which ends the program at the access
    const std::string written = fault_of([&] { run_grid(make_grid(planted::shared_overflow_kernel, l, y.data(), 2)); });
    CHECK(contains(written, "kernel bounds"));
#endif
    CHECK(fault_of([&] { run_grid(make_grid(planted::shared_overflow_kernel, l, y.data(), 0)); }).empty());
  });
}

TEST_CASE("emulator: blocks, dynamic shared memory, atomics and cooperative grids", "[emulator]") {
  for_each_schedule([] {
    DeviceArray<float> y(150);
    run_grid(make_grid(planted::fill_kernel, Launch{.grid = 3, .block = 64, .name = "fill"}, y.data(), 150));
    CHECK(std::all_of(y.values().begin(), y.values().end(), [](float v) { return v == 1; }));

    DeviceArray<int> counter(std::vector<int>{0});
    run_grid(make_grid(planted::count_kernel, Launch{.grid = 5, .block = 64, .name = "count"}, counter.data()));
    CHECK(counter.values()[0] == 320);

    DeviceArray<float> x(count_up(64));
    const Launch carve{.grid = 1, .block = 64, .smem = 64 * 12, .name = "carve"};
    run_grid(make_grid(planted::carve_kernel, carve, x.data(), y.data()));
    CHECK(y.values()[0] == 4);
    Launch small = carve;
    small.smem = 64 * 12 - 1;
    CHECK(contains(fault_of([&] { run_grid(make_grid(planted::carve_kernel, small, x.data(), y.data())); }),
                   "takes 768 bytes of dynamic shared memory, the launch gives 767"));

    DeviceArray<float> scratch(7);
    Launch together{.grid = 7, .block = 64, .cooperative = true, .name = "grid_sum"};
    run_grid(make_grid(planted::grid_sum_kernel, together, scratch.data(), y.data()));
    CHECK(y.values()[6] == 28);
    together.cooperative = false;
    CHECK(contains(fault_of([&] { run_grid(make_grid(planted::grid_sum_kernel, together, scratch.data(), y.data())); }),
                   "grid_sync in a launch that is not cooperative"));
  });
}

TEST_CASE("emulator: launches that a GPU would refuse", "[emulator]") {
  DeviceArray<float> y(1);
  const auto refusal = [&](const Launch& l) {
    return fault_of([&] { run_grid(make_grid(planted::fill_kernel, l, y.data(), 0)); });
  };
  CHECK(contains(refusal({.grid = 1, .block = 1025, .name = "k"}), "1025 threads in a block"));
  CHECK(contains(refusal({.grid = 0, .block = 32, .name = "k"}), "empty grid"));
  CHECK(contains(refusal({.grid = 1, .block = 32, .smem = 228 * 1024, .name = "k"}), "bytes of dynamic shared memory"));
  CHECK(contains(refusal({.grid = 3, .block = 32, .cluster = 2, .name = "k"}), "no multiple of the cluster"));
  CHECK(refusal({.grid = 2, .block = {8, 4}, .cluster = 2, .name = "k"}).empty());
}

#ifdef DCASE_CHECKED
TEST_CASE("checker: every planted mistake is named with both sides", "[emulator]") {
  for_each_schedule([] {
    DeviceArray<float> x(count_up(96));
    DeviceArray<float> y(96);
    const Launch l{.grid = 1, .block = 96, .name = "planted"};
    const auto fault = [&](auto kernel, const Launch& how, auto... arguments) {
      return fault_of([&] { run_grid(make_grid(kernel, how, arguments...)); });
    };
    // Whoever comes first finds nothing, whoever comes later finds what is not ordered before it.
    const auto early_or_race = [](const std::string& text) {
      return contains(text, "planted_kernels.cuh:") && (contains(text, "nobody has written") || contains(text, "race"));
    };
    const std::string barrier = fault(planted::reverse_kernel<Bug::kMissing>, l, x.data(), y.data(), 96);
    INFO(barrier);
    CHECK(early_or_race(barrier));
    const std::string overwrite = fault(planted::rotate_twice_kernel<Bug::kMissing>, l, x.data(), y.data(), 96);
    INFO(overwrite);
    CHECK(contains(overwrite, "race: "));
    CHECK(contains(overwrite, "with nothing between, at planted_kernels.cuh:"));
    const Launch two{.grid = 1, .block = 64, .name = "planted"};
    CHECK(early_or_race(fault(planted::warp_exchange_kernel<Bug::kMissing>, two, x.data(), y.data())));
    CHECK(contains(fault(planted::uninitialised_kernel, two, y.data()), "nobody has written"));
    CHECK(contains(fault(planted::shared_overflow_kernel, two, y.data(), 2), "outside"));
    CHECK(contains(fault(planted::fill_kernel, {.grid = 2, .block = 64, .name = "fill"}, y.data(), 97), "outside"));
    DeviceArray<int> cell(1);
    CHECK(contains(fault(planted::collide_kernel, {.grid = 2, .block = 32, .name = "collide"}, cell.data()),
                   "race between blocks"));
  });
}
#endif

}  // namespace dcase
