#pragma once
/// What a test sets and reads in the fake CUDA runtime (fake_cudart*.cpp), which is linked in place of libcudart.
///
/// Streams are queues. In lazy mode nothing runs until something synchronises or asks (a query lets at most one
/// operation run), and then which of the operations that are able to run comes next is drawn at random: a missing wait
/// between two streams, a buffer refilled too early or a result read too early shows in the results. In eager mode each
/// operation runs at the call.
///
/// Harsher than the real runtime: copies to pageable host memory are as late as all others; a range must lie inside one
/// allocation; a stale handle is an error. Simpler: the default stream waits for all blocking streams of its device and
/// they for it; cudaFree and cudaFreeHost synchronise the device; time is counted in operations, a microsecond each;
/// memory cannot be allocated in stream order during a capture; there are no peers, pools, arrays or symbols.
///
/// A program starts with what the environment says: DCASE_EMULATED_STREAMS is `eager` or the seed of the lazy mode,
/// DCASE_EMULATED_SCHEDULE names how kernels run as Schedule::name does ("reverse, copies early", "random 3, copies
/// late"), DCASE_EMULATED_MEMORY is the memory of a device in MiB. Values that are not understood end the program.
///
/// All functions are thread-safe.

#include <cstddef>
#include <cstdint>
#include <string>

namespace dcase::emulator::fake {

/// As after the start of the program: one device, lazy mode with seed 0, nothing allocated, no error. Handles and
/// device pointers from before are invalid. The calling thread's current device is 0 again.
void reset();

void set_lazy(std::uint64_t seed);
/// Runs first what is in the queues.
void set_eager();

/// 0: every call that needs a device returns cudaErrorNoDevice.
void set_device_count(int count);
/// For each device; at first 1 GiB.
void set_memory_limit(std::size_t bytes);
/// At first 9.0.
void set_compute_capability(int major, int minor);
/// As cudaDriverGetVersion gives it: 13000 for 13.0; 0 for no driver. Below the version of the headers, calls return
/// cudaErrorInsufficientDriver.
void set_driver_version(int version);

struct Counters {
  std::uint64_t operations = 0;  ///< run so far: kernels, copies, memsets, host functions
  std::uint64_t kernels = 0;     ///< of these, kernels and cuBLAS calls
  std::size_t pending = 0;       ///< operations in queues
  std::size_t device_blocks = 0, device_bytes = 0;
  std::size_t pinned_blocks = 0, pinned_bytes = 0;
  std::size_t streams = 0, events = 0, graphs = 0, executables = 0;  ///< alive
};
[[nodiscard]] Counters counters();

/// The text of the fault behind the sticky error; empty where there is none.
[[nodiscard]] std::string last_fault();
/// Why the last refused call was refused: more than its error code says. Empty where none was.
[[nodiscard]] std::string last_refusal();

}  // namespace dcase::emulator::fake
