#pragma once
/// Page-locked host memory: the only kind that copies run from and to beside the host's own work.

#include <cuda_runtime_api.h>

#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "kernels/common/cuda_error.hpp"

namespace dcase {

/// `size` elements, not initialised. A copy reads or writes it when it runs, not at the call: refill or read it only
/// after an event behind the copy was reached. Creating and destroying one may wait for the whole device, so they
/// belong ahead of a loop and behind it. Movable, not copyable; access from several threads is the caller's matter.
template <class T>
class PinnedBuffer {
  static_assert(std::is_trivially_copyable_v<T>, "copied as bytes");

 public:
  PinnedBuffer() = default;
  /// Throws CudaError where the system gives no such memory.
  explicit PinnedBuffer(std::int64_t size) : size_(size) {
    DCASE_CHECK(size >= 0 && size <= std::numeric_limits<std::int64_t>::max() / static_cast<std::int64_t>(sizeof(T)),
                "pinned buffer: size ", size);
    if (size == 0) return;
    void* block = nullptr;
    DCASE_CUDA_CALL(cudaHostAlloc(&block, static_cast<std::size_t>(size) * sizeof(T), cudaHostAllocPortable));
    data_ = static_cast<T*>(block);
  }
  ~PinnedBuffer() {
    if (data_ != nullptr && cudaFreeHost(data_) != cudaSuccess) static_cast<void>(cudaGetLastError());
  }
  PinnedBuffer(PinnedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;

  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }
  T& operator[](std::int64_t i) const { return data_[i]; }
  [[nodiscard]] T* begin() const { return data_; }
  [[nodiscard]] T* end() const { return data_ + size_; }

 private:
  T* data_ = nullptr;
  std::int64_t size_ = 0;
};

}  // namespace dcase
