#pragma once
/// Fibers: stacks that one OS thread switches between by hand. No system call, no allocation after the first use.

#include <cstddef>
#include <vector>

namespace dcase::emulator {

/// Memory for stacks, taken once and used again: a guard page below each. Belongs to one OS thread.
class FiberStacks {
 public:
  FiberStacks() = default;
  ~FiberStacks();
  FiberStacks(const FiberStacks&) = delete;
  FiberStacks& operator=(const FiberStacks&) = delete;

  /// Room for `count` stacks; throws std::bad_alloc.
  void reserve(std::size_t count);
  /// The initial stack pointer of stack `index`: a first switch to it calls `entry`, which never returns.
  [[nodiscard]] void* prepare(std::size_t index, void (*entry)());
  /// Bounds of the usable stack, for checks.
  [[nodiscard]] const char* bottom(std::size_t index) const;
  [[nodiscard]] const char* top(std::size_t index) const;

  static constexpr std::size_t kBytes = 64 * 1024;

 private:
  struct Slab {
    char* start;
    std::size_t first, count;
  };
  std::vector<Slab> slabs_;
  std::size_t count_ = 0;
};

/// Leaves the running context, whose stack pointer goes to *save, for the one that was left at `load`.
extern "C" void dcase_switch_fiber(void** save, void* load);

}  // namespace dcase::emulator
