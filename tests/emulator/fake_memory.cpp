#include "tests/emulator/fake_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "kernels/common/error.hpp"
#include "tests/emulator/fake_runtime.hpp"
#include "tests/emulator/grid.hpp"

namespace dcase::emulator::fake {
namespace {

constexpr std::size_t kSpaceBytes = std::size_t{64} << 30;  // address space of a device; pages appear when touched
constexpr std::size_t kPage = 4096;
constexpr std::size_t kKeptFreed = std::size_t{64} << 20;  // of freed memory, so that reading it gives NaN
constexpr unsigned char kUninitialised = 0xFF;             // NaN as float, bf16 and double
constexpr unsigned char kGuardByte = 0xA5;

std::size_t round_up(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }
std::uintptr_t address(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

bool all_guard(const std::byte* begin, const std::byte* end) {
  return std::all_of(begin, end, [](std::byte b) { return b == std::byte{kGuardByte}; });
}

std::string name(const Block& block) {
  return concat("device block ", block.number, " (", block.bytes, " bytes at ",
                reinterpret_cast<const void*>(block.start), ")");
}

}  // namespace

struct Memory::Space {
  std::byte* visible = nullptr;
  std::byte* content = nullptr;
  std::size_t used = kPage;
  int file = -1;

  Space() : file(memfd_create("device memory", MFD_CLOEXEC)) {
    if (file < 0 || ftruncate(file, static_cast<off_t>(kSpaceBytes)) != 0) throw std::bad_alloc();
    visible = map(PROT_NONE);
    content = map(PROT_READ | PROT_WRITE);
  }
  ~Space() {
    munmap(visible, kSpaceBytes);
    munmap(content, kSpaceBytes);
    close(file);
  }
  Space(const Space&) = delete;
  Space& operator=(const Space&) = delete;

  [[nodiscard]] std::byte* map(int rights) const {
    void* at = mmap(nullptr, kSpaceBytes, rights, MAP_SHARED | MAP_NORESERVE, file, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    return static_cast<std::byte*>(at);
  }
};

Memory::Memory() = default;

Memory::~Memory() {
  for (const auto& [start, block] : blocks_) {
    if (block.state == BlockState::kLive) forget_device_memory(reinterpret_cast<const void*>(start));
  }
  for (const auto& [start, block] : pinned_) {
    forget_device_memory(reinterpret_cast<const void*>(start));
    std::free(reinterpret_cast<void*>(start));
  }
}

void* Memory::allocate(int device, std::size_t bytes, BlockState state, std::size_t limit) {
  std::size_t& in_use = in_use_[device];
  const std::size_t whole = kGuard + round_up(bytes, kGuard) + kGuard;
  auto& space = spaces_[device];
  if (space == nullptr) space = std::make_unique<Space>();
  if (bytes > limit - std::min(limit, in_use) || whole > kSpaceBytes - space->used) return nullptr;
  std::byte* content = space->content + space->used + kGuard;
  const std::uintptr_t start = address(space->visible + space->used + kGuard);
  std::memset(content - kGuard, kGuardByte, whole);
  std::memset(content, kUninitialised, bytes);
  space->used += whole;
  in_use += bytes;
  ++blocks_in_use_;
  blocks_[start] = {.start = start,
                    .bytes = bytes,
                    .device = device,
                    .state = BlockState::kPromised,
                    .number = allocated_++,
                    .content = content};
  if (state == BlockState::kLive) make_live(reinterpret_cast<const void*>(start));
  return reinterpret_cast<void*>(start);
}

void Memory::make_live(const void* start) {
  Block& block = blocks_.at(address(start));
  block.state = BlockState::kLive;
  register_device_memory(start, block.bytes, name(block));
}

void Memory::free(const void* start) {
  Block& block = blocks_.at(address(start));
  if (block.state == BlockState::kLive) forget_device_memory(start);
  block.state = BlockState::kFreed;
  std::memset(block.content, kUninitialised, block.bytes);
  in_use_[block.device] -= block.bytes;
  --blocks_in_use_;
  freed_.push_back(block.start);
  freed_bytes_ += block.bytes;
  if (freed_bytes_ > kKeptFreed) give_back_oldest();
}

void Memory::give_back_oldest() {
  auto oldest = freed_.begin();
  for (; freed_bytes_ > kKeptFreed / 2 && oldest != freed_.end(); ++oldest) {
    const Block& block = blocks_.at(*oldest);
    const auto from = reinterpret_cast<std::byte*>(round_up(address(block.content), kPage));
    std::byte* const to = block.content + block.bytes;
    if (to > from + kPage) madvise(from, static_cast<std::size_t>(to - from) / kPage * kPage, MADV_REMOVE);
    freed_bytes_ -= block.bytes;
  }
  freed_.erase(freed_.begin(), oldest);
}

const Block* Memory::find(const void* pointer) const {
  auto next = blocks_.upper_bound(address(pointer));
  if (next == blocks_.begin()) return nullptr;
  const Block& block = std::prev(next)->second;
  return address(pointer) <= block.start + block.bytes ? &block : nullptr;
}

bool Memory::is_device_address(const void* pointer) const {
  return std::any_of(std::begin(spaces_), std::end(spaces_), [&](const auto& space) {
    return space != nullptr && address(pointer) >= address(space->visible) &&
           address(pointer) < address(space->visible) + kSpaceBytes;
  });
}

std::byte* Memory::content(const void* pointer, std::size_t bytes, const std::string& user) const {
  const Block* block = find(pointer);
  if (block == nullptr) throw Fault(concat(user, ": ", pointer, " points to no device memory"));
  if (block->state == BlockState::kFreed) throw Fault(concat(user, ": ", name(*block), " was freed before"));
  if (block->state == BlockState::kPromised) {
    throw Fault(concat(user, ": ", name(*block), " is not allocated yet at this place in the streams' order"));
  }
  const std::size_t offset = address(pointer) - block->start;
  if (bytes > block->bytes - offset) {
    throw Fault(concat(user, ": ", bytes, " bytes from offset ", offset, " reach beyond ", name(*block)));
  }
  return block->content + offset;
}

std::string Memory::damage(const Block& block) {
  const std::byte* end = block.content + block.bytes;
  const std::byte* guard_end = block.content + round_up(block.bytes, kGuard) + kGuard;
  if (!all_guard(block.content - kGuard, block.content)) return "bytes ahead of " + name(block) + " were overwritten";
  if (!all_guard(end, guard_end)) return "bytes behind " + name(block) + " were overwritten";
  return {};
}

std::string Memory::damage() const {
  for (const auto& [start, block] : blocks_) {
    if (block.state == BlockState::kFreed) continue;
    std::string found = damage(block);
    if (!found.empty()) return found;
  }
  return {};
}

void* Memory::allocate_pinned(std::size_t bytes) {
  void* start = std::aligned_alloc(kPage, std::max(round_up(bytes, kPage), kPage));
  if (start == nullptr) return nullptr;
  std::memset(start, kUninitialised, bytes);
  pinned_[address(start)] = {.start = address(start), .bytes = bytes};
  register_device_memory(start, bytes, concat("pinned block (", bytes, " bytes)"));
  mark_written(start, bytes);  // the host writes it as it likes
  return start;
}

void Memory::free_pinned(void* start) {
  forget_device_memory(start);
  pinned_.erase(address(start));
  std::free(start);
}

const Memory::Pinned* Memory::find_pinned(const void* pointer) const {
  auto next = pinned_.upper_bound(address(pointer));
  if (next == pinned_.begin()) return nullptr;
  const Pinned& block = std::prev(next)->second;
  return address(pointer) < block.start + std::max<std::size_t>(block.bytes, 1) ? &block : nullptr;
}

std::size_t Memory::pinned_bytes() const {
  std::size_t sum = 0;
  for (const auto& [start, block] : pinned_) sum += block.bytes;
  return sum;
}

void Memory::protect(bool on) {
  for (const auto& space : spaces_) {
    if (space != nullptr) {
      mprotect(space->visible, round_up(space->used, kPage), on ? PROT_NONE : PROT_READ | PROT_WRITE);
    }
  }
}

}  // namespace dcase::emulator::fake
