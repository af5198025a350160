#pragma once
/// Launches of single kernels on the fake runtime, and the faults that they end in.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/common/fragments.hpp"
#include "kernels/common/launch.hpp"
#include "tests/emulator/host_fixture.hpp"
#include "tests/emulator/schedules.hpp"

namespace dcase::test {

inline constexpr std::array kSwizzles = {Swizzle::kNone, Swizzle::k32, Swizzle::k64, Swizzle::k128};

template <class... Parameters, class... Arguments>
void run(void (*kernel)(Parameters...), const Launch& l, const Arguments&... arguments) {
  launch(kernel, l, arguments...);
  DCASE_CUDA_CALL(cudaDeviceSynchronize());
}

/// The text of the fault that `body` ends in on a fresh runtime, "" without one.
template <class Body>
std::string fault_in(const Body& body) {
  const FreshRuntime fresh;
  try {
    body();
  } catch (const CudaError&) {
    return fake::last_fault();
  }
  return "";
}

/// What the access checker says of memory overwritten while something asynchronous reads it; the place follows.
inline const std::string kNamedRace =
    "race: writes shared memory, which the asynchronous operation of block 0 that started at ";

inline bool copies_are_late() { return emulator::current_schedule().landing == emulator::Landing::kLate; }

/// A copy of the values in device memory.
template <class T>
struct Uploaded : DeviceBuffer<T> {
  explicit Uploaded(const std::vector<T>& values) : DeviceBuffer<T>(static_cast<std::int64_t>(values.size())) {
    this->upload(values);
  }
};

inline Launch one_group(const char* name, std::size_t smem) {
  return {.grid = 1, .block = 128, .smem = smem, .name = name};
}

}  // namespace dcase::test
