#pragma once
/// DeviceArena: a caching allocator of device memory in the order of one stream.

#include <cstddef>
#include <limits>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "engine/arena.hpp"
#include "engine/cuda/stream.hpp"
#include "kernels/common/context.hpp"

namespace dcase {

/// Released blocks serve later requests as in Arena (size_classes.hpp), and need not be idle: what is
/// put into the arena's stream after `allocate` runs after everything that was put there before `release`. Another
/// stream that touches a block says so with `record_use`. After the first step of each shape the device is asked for
/// nothing, and which block a request gets never depends on timing.
///
/// Thread-safe. Blocks are aligned to 256 bytes and not initialised; the host cannot touch them. The destructor waits
/// for the cached blocks' work and frees them; live blocks are their owners' leak, so owners keep the arena alive. The
/// stream outlives the arena.
///
/// During a capture of the stream the arena hands out cached blocks but never grows: run the work once before. A graph
/// keeps addresses: give work that is captured an arena of its own, which lives as long as the graph.
class DeviceArena final : public Allocator {
 public:
  using Statistics = Arena::Statistics;  // growths count cudaMalloc
  static constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

  /// `limit` bounds bytes_reserved.
  DeviceArena(Device device, Stream stream, std::size_t limit = kNoLimit);
  ~DeviceArena() override;
  DeviceArena(const DeviceArena&) = delete;
  DeviceArena& operator=(const DeviceArena&) = delete;

  /// Where the limit or the device's memory is reached, frees what is cached (and waits for it), then throws
  /// Error(kDevice) with the sizes. CudaError for anything else.
  [[nodiscard]] void* allocate(std::size_t bytes) override;
  [[nodiscard]] void* allocate_kept(std::size_t bytes) override;
  /// Foreign pointers are ignored.
  void release(void* block) noexcept override;

  /// What stands in `stream` now uses the live `block`: the next owner's work waits for it. Call it after the use was
  /// put into the stream and before `release`. Does nothing for the arena's own stream.
  void record_use(void* block, Stream stream);

  [[nodiscard]] Statistics statistics() const;
  /// Waits for the work of the cached blocks and gives them back to the device.
  void trim();

 private:
  struct Use {
    void* stream;
    CudaEvent event;
  };
  struct Block {
    void* data = nullptr;
    std::size_t size = 0;   // its class
    std::vector<Use> uses;  // in other streams, at most one for each
  };

  Block obtain(std::size_t bytes, std::size_t size);
  void* hand_out(Block block);
  [[nodiscard]] bool take_cached(std::size_t size, Block& block);
  void trim_locked();
  [[nodiscard]] bool capturing(void* stream) const;
  [[noreturn]] void out_of_memory(std::size_t bytes, std::size_t size) const;
  CudaEvent take_event();

  Device device_;
  Stream stream_;
  std::size_t limit_;
  mutable std::mutex mutex_;
  std::map<std::size_t, std::vector<Block>> free_;  // size class -> cached blocks, at least one
  std::unordered_map<void*, Block> live_;
  std::vector<CudaEvent> spare_events_;
  Statistics statistics_;
};

}  // namespace dcase
