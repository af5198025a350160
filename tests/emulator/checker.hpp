#pragma once
/// What the emulator tells the access checker. The checker itself (checker.cpp) is linked into the checked test program
/// only, whose kernels are compiled so that every load and store is reported to it.

#include <cstddef>
#include <cstdint>
#include <span>

#include "tests/emulator/device.hpp"
#include "tests/emulator/grid.hpp"

namespace dcase::emulator {

/// What reads and writes beside the threads: of each warp, its products and its stores of tensors.
enum class Agent : std::uint8_t { kProducts, kStores };

/// Threads are numbered through the blocks that run together: block * threads + linear thread.
class Checker {
 public:
  virtual ~Checker() = default;
  /// Blocks first .. first + count - 1 of the grid start together.
  virtual void starts(const Grid& grid, std::size_t first_block, std::size_t count) = 0;
  virtual void ends() = 0;
  /// Shared memory of a block became usable; its content is undefined.
  virtual void shared_taken(std::size_t block, void* start, std::size_t bytes) = 0;
  /// Everything before by any of the threads is ordered before everything behind by any of them.
  virtual void meet(std::span<const std::size_t> threads) = 0;
  /// What `thread` did before is ordered before what others do after acquiring `key`.
  virtual void release(std::size_t thread, const void* key) = 0;
  virtual void acquire(std::size_t thread, const void* key) = 0;
  /// An asynchronous copy of `thread` is on its way to these bytes: nobody may touch them until it has landed, which
  /// counts as a write of the thread at that time.
  virtual void flies(std::size_t thread, const void* start, std::size_t bytes, Site site) = 0;
  virtual void lands(std::size_t thread, const void* start, std::size_t bytes, Site site) = 0;
  /// Asynchronous operations. A new one of the threads' warp comes after everything that these did before, and is over
  /// for `threads` when they have waited for it; its accesses are reported by touch(operation.agent, ...).
  struct Operation {
    std::size_t agent = 0;
    std::uint32_t number = 0;
  };
  virtual Operation begins(Agent kind, std::span<const std::size_t> threads) = 0;
  virtual void waited(Operation operation, std::span<const std::size_t> threads) = 0;
  virtual void register_memory(const void* start, std::size_t bytes, const std::string& name) = 0;
  virtual void forget_memory(const void* start) = 0;
  virtual void written(const void* start, std::size_t bytes) = 0;
  [[nodiscard]] virtual bool is_written(const void* start, std::size_t bytes) = 0;
  /// A runtime function touches memory for a thread, as if the kernel did; reports name `site`.
  virtual void touch(std::size_t thread, const void* start, std::size_t bytes, bool write, bool atomic, Site site) = 0;
};

/// nullptr where accesses are not checked.
extern Checker* checker;

/// The running fiber's number as above, and its stack; outside of kernels and inside the emulator itself kNobody, so
/// that the checker leaves such accesses alone.
inline constexpr std::size_t kNobody = static_cast<std::size_t>(-1);
struct Running {
  std::size_t thread = kNobody;
  const char* stack_bottom = nullptr;
  const char* stack_top = nullptr;
};
extern constinit thread_local Running running;

}  // namespace dcase::emulator
