#pragma once
/// Memory of the fake CUDA runtime: device memory that the host cannot touch, and pinned host memory.
///
/// Each device's memory is one file mapped twice. The mapping whose addresses the program sees has no access rights
/// outside of kernels, so that a host dereference faults; copies and checks go through the other one.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace dcase::emulator::fake {

enum class BlockState : std::uint8_t {
  kPromised,  ///< returned by cudaMallocAsync; its place in the stream is not reached yet
  kLive,
  kFreed
};

struct Block {
  std::uintptr_t start = 0;
  std::size_t bytes = 0;
  int device = 0;
  BlockState state = BlockState::kLive;
  std::size_t number = 0;        // how many were allocated before it, for reports
  std::byte* content = nullptr;  // the second mapping of the same bytes
};

class Memory {
 public:
  static constexpr std::size_t kGuard = 256;  // bytes ahead of a block and behind it; also the alignment of blocks

  Memory();
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  /// Null where `limit` bytes on the device would be exceeded.
  void* allocate(int device, std::size_t bytes, BlockState state, std::size_t limit);
  void make_live(const void* start);
  /// The block is kept as freed, filled with 0xFF, and its address is not used again.
  void free(const void* start);

  /// The block that `pointer` points into or one past the end of, freed ones included; null where there is none.
  [[nodiscard]] const Block* find(const void* pointer) const;
  /// Whether the address belongs to a device at all.
  [[nodiscard]] bool is_device_address(const void* pointer) const;
  /// The host's view of device bytes; throws Fault unless they lie in one live block.
  [[nodiscard]] std::byte* content(const void* pointer, std::size_t bytes, const std::string& user) const;
  [[nodiscard]] std::size_t bytes_in_use(int device) const { return in_use_[static_cast<std::size_t>(device)]; }
  [[nodiscard]] std::size_t blocks_in_use() const { return blocks_in_use_; }

  /// What was written outside of a block: "" or a sentence that names the block.
  [[nodiscard]] std::string damage() const;
  [[nodiscard]] static std::string damage(const Block& block);

  void* allocate_pinned(std::size_t bytes);
  void free_pinned(void* start);
  struct Pinned {
    std::uintptr_t start = 0;
    std::size_t bytes = 0;
  };
  /// As find, for pinned memory.
  [[nodiscard]] const Pinned* find_pinned(const void* pointer) const;
  [[nodiscard]] std::size_t pinned_blocks() const { return pinned_.size(); }
  [[nodiscard]] std::size_t pinned_bytes() const;

  /// Device memory is accessible while this lives: for kernels.
  class Access {
   public:
    explicit Access(Memory& memory) : memory_(memory) { memory_.protect(false); }
    ~Access() { memory_.protect(true); }
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;

   private:
    Memory& memory_;
  };

  static constexpr int kMaxDevices = 8;

 private:
  struct Space;  // one device
  void protect(bool on);
  void give_back_oldest();

  std::unique_ptr<Space> spaces_[kMaxDevices];
  std::map<std::uintptr_t, Block> blocks_;  // by start
  std::map<std::uintptr_t, Pinned> pinned_;
  std::size_t in_use_[kMaxDevices] = {};
  std::size_t blocks_in_use_ = 0;
  std::size_t allocated_ = 0;          // blocks ever
  std::vector<std::uintptr_t> freed_;  // whose pages are still filled with 0xFF, oldest first
  std::size_t freed_bytes_ = 0;
};

}  // namespace dcase::emulator::fake
