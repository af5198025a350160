#pragma once
/// Every kernel test runs under every schedule: what a kernel computes depends on none of them.

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/emulator/grid.hpp"
#include "tests/support/test.hpp"

namespace dcase::emulator {

/// Whether every load and store of the kernels is checked.
#ifdef DCASE_CHECKED
inline constexpr bool kChecked = true;
#else
inline constexpr bool kChecked = false;
#endif

/// Forward, reverse and three random orders, each with asynchronous copies landing late, early and at random. Other
/// random orders where DCASE_TEST_SEED is set (scripts/nightly.sh). The access checker sees races in any order, so
/// there one order with late and one with early copies is enough.
[[nodiscard]] inline std::vector<Schedule> schedules() {
  if (kChecked) return {{Order::kForward, Landing::kLate, 0}, {Order::kRandom, Landing::kEarly, 1}};
  const char* const first = std::getenv("DCASE_TEST_SEED");
  const std::uint64_t seed0 = first == nullptr ? 0 : std::strtoull(first, nullptr, 10) * 3;
  std::vector<Schedule> all;
  for (const Landing landing : {Landing::kLate, Landing::kEarly, Landing::kRandom}) {
    all.push_back({Order::kForward, landing, 0});
    all.push_back({Order::kReverse, landing, 0});
    for (const std::uint64_t seed : {1, 2, 3}) all.push_back({Order::kRandom, landing, seed0 + seed});
  }
  return all;
}

/// Runs `test` in each schedule; a failing check names the schedule.
template <class Test>
void for_each_schedule(const Test& test) {
  std::size_t run = 0;
  for (const Schedule& schedule : schedules()) {
    INFO("schedule: " << schedule.name());
    set_schedule(schedule);
    test();
    ++run;
  }
  set_schedule({});
  CHECK(run == schedules().size());
}

/// The text of the KernelFault that `run` ends in, "" without one.
template <class Run>
[[nodiscard]] std::string fault_of(const Run& run) {
  try {
    run();
  } catch (const KernelFault& fault) {
    return fault.what();
  }
  return "";
}

[[nodiscard]] inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace dcase::emulator
