#include "engine/cuda/device_arena.hpp"

#include <algorithm>
#include <utility>

#include "engine/size_classes.hpp"
#include "kernels/common/device_guard.hpp"

namespace dcase {

DeviceArena::DeviceArena(Device device, Stream stream, std::size_t limit)
    : device_(device), stream_(stream), limit_(limit) {
  DCASE_CHECK(!device.is_cpu(), "device arena: ", device.name(), " is no CUDA device");
  DCASE_CHECK(stream.handle != nullptr, "device arena: needs a stream of its own, not the default stream");
}

DeviceArena::~DeviceArena() {
  try {
    trim_locked();
  } catch (const Error&) {
    // A failed context: its memory goes with it.
  }
}

void* DeviceArena::allocate(std::size_t bytes) {
  const std::size_t size = size_class(bytes);
  const std::scoped_lock lock(mutex_);
  Block block;
  if (!take_cached(size, block)) block = obtain(bytes, size);
  return hand_out(std::move(block));
}

void* DeviceArena::allocate_kept(std::size_t bytes) {
  const std::size_t size = size_class(bytes);
  const std::scoped_lock lock(mutex_);
  return hand_out(obtain(bytes, size));
}

bool DeviceArena::take_cached(std::size_t size, Block& block) {
  // The smallest that fits; among equals one that no other stream has used, the latest first. In
  // a capture only such: a captured stream cannot wait for an event from outside.
  bool captured = false;
  bool asked = false;
  for (auto fit = free_.lower_bound(size); fit != free_.end() && fit->first <= largest_fit(size); ++fit) {
    std::vector<Block>& blocks = fit->second;
    auto found = std::find_if(blocks.rbegin(), blocks.rend(), [](const Block& b) { return b.uses.empty(); });
    if (found == blocks.rend()) {
      if (!std::exchange(asked, true)) captured = capturing(stream_.handle);
      if (captured) continue;
      found = blocks.rbegin();
      for (const Use& use : found->uses) {
        DCASE_CUDA_CALL(
            cudaStreamWaitEvent(static_cast<cudaStream_t>(stream_.handle), use.event.native(), cudaEventWaitDefault));
      }
      for (Use& use : found->uses) spare_events_.push_back(std::move(use.event));
      found->uses.clear();
    }
    block = std::move(*found);
    blocks.erase(std::next(found).base());
    if (blocks.empty()) free_.erase(fit);
    return true;
  }
  return false;
}

DeviceArena::Block DeviceArena::obtain(std::size_t bytes, std::size_t size) {
  if (capturing(stream_.handle)) {
    fail(ErrorKind::kDevice, "device arena: ", bytes,
         " bytes asked for during a capture, and no cached block fits; run the work once before capturing it");
  }
  if (size > limit_ - std::min(limit_, statistics_.bytes_reserved)) trim_locked();
  if (size > limit_ - std::min(limit_, statistics_.bytes_reserved)) out_of_memory(bytes, size);
  const DeviceGuard guard(device_.index);
  Block block = {.data = nullptr, .size = size, .uses = {}};
  cudaError_t code = cudaMalloc(&block.data, size);
  if (code == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    trim_locked();
    code = cudaMalloc(&block.data, size);
    if (code == cudaErrorMemoryAllocation) {
      static_cast<void>(cudaGetLastError());
      out_of_memory(bytes, size);
    }
  }
  check_cuda(code, "cudaMalloc", __FILE__, __LINE__);
  statistics_.bytes_reserved += size;
  ++statistics_.growths;
  return block;
}

void DeviceArena::out_of_memory(std::size_t bytes, std::size_t size) const {
  std::size_t free = 0;
  std::size_t total = 0;
  const DeviceGuard guard(device_.index);
  DCASE_CUDA_CALL(cudaMemGetInfo(&free, &total));
  const std::string limit = limit_ == kNoLimit ? "" : concat(", the limit is ", limit_);
  throw CudaError(
      cudaErrorMemoryAllocation,
      concat("out of memory on ", device_.name(), ": ", bytes, " bytes asked for (a block of ", size, "), ",
             statistics_.bytes_in_use, " in use", limit, "; of the device's ", total, " bytes ", free, " are free"));
}

void* DeviceArena::hand_out(Block block) {
  statistics_.bytes_in_use += block.size;
  statistics_.peak_in_use = std::max(statistics_.peak_in_use, statistics_.bytes_in_use);
  void* const data = block.data;
  live_[data] = std::move(block);
  return data;
}

void DeviceArena::release(void* block) noexcept {
  const std::scoped_lock lock(mutex_);
  const auto it = live_.find(block);
  if (it == live_.end()) return;
  statistics_.bytes_in_use -= it->second.size;
  free_[it->second.size].push_back(std::move(it->second));
  live_.erase(it);
}

void DeviceArena::record_use(void* block, Stream stream) {
  if (stream.handle == stream_.handle) return;
  const std::scoped_lock lock(mutex_);
  const auto it = live_.find(block);
  DCASE_CHECK(it != live_.end(), "device arena: use of ", block, " recorded, which is no live block of it");
  if (capturing(stream.handle)) {
    DCASE_CHECK(capturing(stream_.handle), "device arena: use in a captured stream recorded, and the arena's is not");
    // Joined now: the event means nothing after the capture.
    CudaEvent event = take_event();
    event.record(stream);
    DCASE_CUDA_CALL(
        cudaStreamWaitEvent(static_cast<cudaStream_t>(stream_.handle), event.native(), cudaEventWaitDefault));
    spare_events_.push_back(std::move(event));
    return;
  }
  std::vector<Use>& uses = it->second.uses;
  auto use = std::find_if(uses.begin(), uses.end(), [&](const Use& u) { return u.stream == stream.handle; });
  if (use == uses.end()) use = uses.insert(uses.end(), Use{stream.handle, take_event()});
  use->event.record(stream);
}

CudaEvent DeviceArena::take_event() {
  if (spare_events_.empty()) return CudaEvent(device_);
  CudaEvent event = std::move(spare_events_.back());
  spare_events_.pop_back();
  return event;
}

bool DeviceArena::capturing(void* stream) const {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  DCASE_CUDA_CALL(cudaStreamIsCapturing(static_cast<cudaStream_t>(stream), &status));
  return status != cudaStreamCaptureStatusNone;
}

DeviceArena::Statistics DeviceArena::statistics() const {
  const std::scoped_lock lock(mutex_);
  return statistics_;
}

void DeviceArena::trim() {
  const std::scoped_lock lock(mutex_);
  trim_locked();
}

void DeviceArena::trim_locked() {
  if (free_.empty()) return;
  DCASE_CUDA_CALL(cudaStreamSynchronize(static_cast<cudaStream_t>(stream_.handle)));
  while (!free_.empty()) {
    std::vector<Block>& blocks = free_.begin()->second;
    Block& block = blocks.back();
    for (const Use& use : block.uses) use.event.synchronize();
    DCASE_CUDA_CALL(cudaFree(block.data));
    statistics_.bytes_reserved -= block.size;
    blocks.pop_back();
    if (blocks.empty()) free_.erase(free_.begin());
  }
}

}  // namespace dcase
