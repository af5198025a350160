#pragma once
/// Copies of an object's constant tables in the memory of other devices.

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/common/context.hpp"

namespace dcase {

/// One block for each allocator that the tables were used with, kept until the owner goes: the allocators outlive it.
/// Thread-safe. An allocator is that of one device, and its memory is used in the order of one stream.
class DeviceCopies {
 public:
  /// The block of the context's allocator. Where there is none yet, a new one of `bytes`, aligned to 64, whose contents
  /// `fill(block)` puts into the context's stream.
  template <class Fill>
  [[nodiscard]] const std::byte* get(std::int64_t bytes, const Context& context, const Fill& fill) {
    const std::lock_guard lock(mutex_);
    for (const Copy& copy : copies_) {
      if (copy.allocator == context.allocator) return copy.memory->data();
    }
    auto memory = std::make_unique<Scratch<std::byte>>(context, bytes, Lifetime::kKept);
    fill(memory->data());
    copies_.push_back({context.allocator, std::move(memory)});
    return copies_.back().memory->data();
  }

 private:
  struct Copy {
    Allocator* allocator;
    std::unique_ptr<Scratch<std::byte>> memory;
  };
  std::mutex mutex_;
  std::vector<Copy> copies_;
};

}  // namespace dcase
