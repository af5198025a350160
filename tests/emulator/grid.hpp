#pragma once
/// A kernel launch on the CPU: every CUDA thread is a fiber, and the order in which fibers run is chosen by a schedule.
///
/// The launch seam of the product (kernels/common/launch.hpp) makes a Grid; the fake CUDA runtime puts it into a stream
/// and runs it with run_grid when the stream's turn comes.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

namespace dcase::emulator {

struct Extent {
  unsigned x = 1, y = 1, z = 1;
  [[nodiscard]] std::size_t count() const { return std::size_t{x} * y * z; }
};

struct Grid {
  std::string name;  ///< of the kernel, for reports
  Extent blocks;
  Extent threads;                 ///< of a block, at most 1024
  Extent cluster;                 ///< blocks that run together and see each other's shared memory
  bool cooperative = false;       ///< all blocks run together and may meet in grid_sync
  std::size_t dynamic_bytes = 0;  ///< of shared memory, beside what the kernel declares
  /// What one thread does, and the kernel's arguments: a block of memory that all threads read.
  void (*run_thread)(const void* arguments) = nullptr;
  std::shared_ptr<const void> arguments;
  std::size_t argument_bytes = 0;
};

/// Which of the threads that can go on goes on.
enum class Order : std::uint8_t { kForward, kReverse, kRandom };
/// When asynchronous copies land: as late as the program allows, at once, or either.
enum class Landing : std::uint8_t { kLate, kEarly, kRandom };

struct Schedule {
  Order order = Order::kForward;
  Landing landing = Landing::kLate;
  std::uint64_t seed = 0;
  [[nodiscard]] std::string name() const;  ///< "forward, copies late", "random 3, copies early"
};

/// A fault of the kernel: the text names the kernel, the block, the thread and file:line of the access or call.
class KernelFault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The schedule that `name` describes; throws std::invalid_argument.
[[nodiscard]] Schedule parse_schedule(const std::string& name);

/// The schedule of the grids that this thread runs from now on; at first what the environment says (fake_cuda.hpp).
void set_schedule(const Schedule& schedule);
[[nodiscard]] const Schedule& current_schedule();

/// Runs all threads of the grid to their ends. Throws KernelFault; the blocks that were running are abandoned then.
void run_grid(const Grid& grid);

/// Device memory: what kernels may touch besides shared memory, their own stacks and their arguments. The access
/// checker reports anything else. `name` appears in reports. Thread-safe.
void register_device_memory(const void* start, std::size_t bytes, const std::string& name);
void forget_device_memory(const void* start);
/// Bytes written from outside of kernels (copies, memset): initialised from now on.
void mark_written(const void* start, std::size_t bytes);
/// Whether every byte was written by a kernel or from outside. Always true where accesses are not checked.
[[nodiscard]] bool is_written(const void* start, std::size_t bytes);

}  // namespace dcase::emulator
