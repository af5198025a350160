#include "tests/emulator/fiber.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>

#ifndef __x86_64__
#error "the kernel emulator switches fibers on x86-64 only"
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace dcase::emulator {

// Saves what a callee must preserve (System V ABI) and nothing else; rounding modes are never changed.
asm(R"(
.text
.p2align 4
.globl dcase_switch_fiber
.type dcase_switch_fiber, @function
dcase_switch_fiber:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size dcase_switch_fiber, .-dcase_switch_fiber
)");

namespace {
constexpr std::size_t kGuard = 4096;
constexpr std::size_t kStride = FiberStacks::kBytes + kGuard;
}  // namespace

FiberStacks::~FiberStacks() {
  for (const Slab& slab : slabs_) munmap(slab.start, slab.count * kStride);
}

void FiberStacks::reserve(std::size_t count) {
  if (count <= count_) return;
  const std::size_t more = count - count_;
  // Pages are given when they are touched, so a stack costs what it uses.
  void* start =
      mmap(nullptr, more * kStride, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) throw std::bad_alloc();
  char* const slab = static_cast<char*>(start);
  for (std::size_t i = 0; i < more; ++i) mprotect(slab + i * kStride, kGuard, PROT_NONE);
  slabs_.push_back({slab, count_, more});
  count_ = count;
}

const char* FiberStacks::bottom(std::size_t index) const {
  for (const Slab& slab : slabs_) {
    if (index < slab.first + slab.count) return slab.start + (index - slab.first) * kStride + kGuard;
  }
  return nullptr;
}

const char* FiberStacks::top(std::size_t index) const { return bottom(index) + kBytes; }

void* FiberStacks::prepare(std::size_t index, void (*entry)()) {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(bottom(index), kBytes);  // a fiber that was abandoned left its frames poisoned
#endif
  // Tops are spread over 16 cache lines, else the hot ends of all stacks fall into one set of the L1 cache.
  char* const end = const_cast<char*>(top(index)) - index % 16 * 64;
  auto* slot = reinterpret_cast<std::uintptr_t*>(end) - 2;  // entry finds the stack as after a call: 8 off 16
  *slot = reinterpret_cast<std::uintptr_t>(entry);
  slot -= 6;  // the registers that the first switch pops
  for (int i = 0; i < 6; ++i) slot[i] = 0;
  return slot;
}

}  // namespace dcase::emulator
