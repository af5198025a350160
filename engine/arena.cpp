#include "engine/arena.hpp"

#include <algorithm>
#include <cstdlib>

#include "engine/size_classes.hpp"

namespace dcase {

Arena::~Arena() { trim(); }

void* Arena::allocate(std::size_t bytes) {
  const std::size_t size = size_class(bytes);
  const std::scoped_lock lock(mutex_);
  const auto fit = free_.lower_bound(size);
  if (fit == free_.end() || fit->first > largest_fit(size)) return hand_out(obtain(size), size);
  const std::size_t block_size = fit->first;
  void* block = fit->second.back();
  fit->second.pop_back();
  if (fit->second.empty()) free_.erase(fit);
  return hand_out(block, block_size);
}

void* Arena::allocate_kept(std::size_t bytes) {
  const std::size_t size = size_class(bytes);
  const std::scoped_lock lock(mutex_);
  return hand_out(obtain(size), size);
}

void* Arena::obtain(std::size_t size) {
  void* block = std::aligned_alloc(kBlockAlignment, size);
  if (block == nullptr) {
    fail(ErrorKind::kDevice, "out of memory: ", size, " bytes asked for, ", statistics_.bytes_in_use, " in use");
  }
  statistics_.bytes_reserved += size;
  ++statistics_.growths;
  return block;
}

void* Arena::hand_out(void* block, std::size_t size) {
  live_[block] = size;
  statistics_.bytes_in_use += size;
  statistics_.peak_in_use = std::max(statistics_.peak_in_use, statistics_.bytes_in_use);
  return block;
}

void Arena::release(void* block) noexcept {
  const std::scoped_lock lock(mutex_);
  const auto it = live_.find(block);
  if (it == live_.end()) return;
  free_[it->second].push_back(block);
  statistics_.bytes_in_use -= it->second;
  live_.erase(it);
}

Arena::Statistics Arena::statistics() const {
  const std::scoped_lock lock(mutex_);
  return statistics_;
}

void Arena::trim() noexcept {
  const std::scoped_lock lock(mutex_);
  for (auto& [size, blocks] : free_) {
    for (void* block : blocks) std::free(block);
    statistics_.bytes_reserved -= size * blocks.size();
  }
  free_.clear();
}

}  // namespace dcase
