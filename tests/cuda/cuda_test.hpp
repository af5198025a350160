#pragma once
/// Tests of CUDA code that run twice from one source: on the emulated device, in every schedule and with every order of
/// streams, and on a GPU (test_cuda), where the hardware schedules. On a machine without a GPU each case of test_cuda
/// is skipped.

#include <string>

#include "engine/backend.hpp"
#include "tests/support/test.hpp"

#ifdef DCASE_EMULATED
#include "tests/emulator/fake_cuda.hpp"
#include "tests/emulator/schedules.hpp"
#else
#include "engine/cuda/device.hpp"
#endif

namespace dcase::test {

inline constexpr Device kGpu = {DeviceType::kCuda, 0};

#ifdef DCASE_EMULATED

namespace fake = emulator::fake;
using emulator::for_each_schedule;
using emulator::kChecked;

/// Start and end of every test case: nothing is left over from others, or for them.
struct FreshRuntime {
  FreshRuntime() { fake::reset(); }
  ~FreshRuntime() { fake::reset(); }
  FreshRuntime(const FreshRuntime&) = delete;
  FreshRuntime& operator=(const FreshRuntime&) = delete;
};

/// Runs `body` with streams that run at once, then with lazy ones in four random orders, with schedules of the kernels
/// that differ as well: whatever it computes is the same each time.
template <class Body>
void for_each_stream_order(const Body& body) {
  fake::reset();
  fake::set_eager();
  body();
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    fake::reset();
    fake::set_lazy(seed);
    emulator::set_schedule(
        {seed % 2 == 0 ? emulator::Order::kReverse : emulator::Order::kRandom, emulator::Landing::kRandom, seed});
    body();
  }
  emulator::set_schedule({});
}

#else

inline constexpr bool kChecked = false;

struct FreshRuntime {
  FreshRuntime() {
    try {
      static_cast<void>(choose_device("cuda"));
    } catch (const DeviceError& error) {
      skip(error.what());
    }
  }
};

/// Three times: what a GPU computes is the same each time, too.
template <class Body>
void for_each_schedule(const Body& body) {
  for (int i = 0; i < 3; ++i) body();
}
template <class Body>
void for_each_stream_order(const Body& body) {
  for_each_schedule(body);
}

#endif

}  // namespace dcase::test
