#pragma once
/// Arena: a caching allocator. Released blocks are kept by size and serve later requests of their size, large
/// ones down to half of it, so after the first step of each shape a training loop asks the operating system for
/// nothing; `Statistics::growths` counts when it does.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "kernels/common/context.hpp"

namespace dcase {

/// Thread-safe. Blocks are aligned to 64 bytes and not initialised. The destructor frees everything that was released;
/// owners of live blocks (Tensor) keep the arena alive.
class Arena final : public Allocator {
 public:
  struct Statistics {
    std::size_t bytes_reserved = 0;  ///< obtained from the operating system
    std::size_t bytes_in_use = 0;    ///< handed out now
    std::size_t peak_in_use = 0;     ///< largest bytes_in_use so far
    std::uint64_t growths = 0;       ///< how often the operating system was asked
  };

  Arena() = default;
  ~Arena() override;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  [[nodiscard]] void* allocate(std::size_t bytes) override;
  [[nodiscard]] void* allocate_kept(std::size_t bytes) override;
  void release(void* block) noexcept override;
  [[nodiscard]] Statistics statistics() const;

  /// Gives all cached blocks back to the operating system.
  void trim() noexcept;

 private:
  void* obtain(std::size_t size);  // from the operating system; under the lock
  void* hand_out(void* block, std::size_t size);

  mutable std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> free_;  // size class -> cached blocks, at least one
  std::unordered_map<void*, std::size_t> live_;     // block -> size class
  Statistics statistics_;
};

}  // namespace dcase
