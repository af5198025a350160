// Mistakes with asynchronous copies and barrier objects, planted in the kernels of tests/cuda/copies_kernels.cuh: what
// the emulator must notice.

#include <vector>

#include "kernels/common/launch.hpp"
#include "tests/cuda/copies_kernels.cuh"
#include "tests/emulator/device_array.hpp"
#include "tests/emulator/schedules.hpp"
#include "tests/support/test.hpp"

namespace dcase {

using emulator::DeviceArray;
using emulator::fault_of;
using emulator::for_each_schedule;
using emulator::make_grid;
using emulator::run_grid;

namespace {

const Launch kTwoWarps{.grid = 1, .block = 64, .name = "planted"};

// Whether the kernel from x to y of `count` floats ends in a fault or with a y that is not x.
template <class Last>
bool broken(void (*kernel)(const float*, float*, Last), std::size_t count, Last last) {
  std::vector<float> x(count);
  for (std::size_t i = 0; i < count; ++i) x[i] = static_cast<float>(i);
  DeviceArray<float> dx(x);
  DeviceArray<float> dy(count);
  const std::string fault = fault_of([&] { run_grid(make_grid(kernel, kTwoWarps, dx.data(), dy.data(), last)); });
  return !fault.empty() || dy.values() != x;
}

// Poison in the late mode, a report where accesses are checked; in the early mode there is nothing to see.
bool visible() { return emulator::kChecked || emulator::current_schedule().landing == emulator::Landing::kLate; }

}  // namespace

TEST_CASE("planted: a copy that is not waited for, or in the wrong group", "[emulator]") {
  std::size_t seen = 0;
  for_each_schedule([&] {
    CHECK_FALSE(broken(layouts::copy_async_kernel<layouts::CopyBug::kNone>, 512, 16U));
    if (!visible()) return;
    ++seen;
    CHECK(broken(layouts::copy_async_kernel<layouts::CopyBug::kWrongGroup>, 512, 16U));
    CHECK(broken(layouts::copy_async_kernel<layouts::CopyBug::kNoWait>, 512, 16U));
  });
  CHECK(seen > 0);
}

TEST_CASE("planted: a ring of bulk copies in which one side does not wait", "[emulator]") {
  std::size_t seen = 0;
  for_each_schedule([&] {
    CHECK_FALSE(broken(layouts::bulk_ring_kernel<layouts::RingBug::kNone>, 6 * 128, 6));
    if (!visible()) return;
    ++seen;
    CHECK(broken(layouts::bulk_ring_kernel<layouts::RingBug::kConsumerDoesNotWait>, 6 * 128, 6));
    CHECK(broken(layouts::bulk_ring_kernel<layouts::RingBug::kProducerDoesNotWait>, 6 * 128, 6));
  });
  CHECK(seen > 0);
}

}  // namespace dcase
