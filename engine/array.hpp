#pragma once
/// Elements of any plain type in a backend's memory: what is no tensor, as a loss in double or the indices of items.

#include <memory>
#include <type_traits>
#include <vector>

#include "engine/backend.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

/// Copies share storage. Only the CPU's memory may be read through the view; `to_vector` serves every device.
template <class T>
class Array {
  static_assert(std::is_trivially_copyable_v<T>, "copied as bytes");

 public:
  Array() = default;
  /// Uninitialised.
  Array(std::int64_t size, BackendPtr backend) : backend_(std::move(backend)), size_(size) {
    DCASE_CHECK(backend_ != nullptr && size >= 0, "array: no backend, or negative size ", size);
    // The deleter holds the backend, so an array may outlive the model it came from.
    storage_ = std::shared_ptr<void>(backend_->allocator().allocate(bytes()),
                                     [owner = backend_](void* block) { owner->allocator().release(block); });
  }
  [[nodiscard]] static Array from(const std::vector<T>& values, BackendPtr backend) {
    Array array(static_cast<std::int64_t>(values.size()), std::move(backend));
    if (!values.empty()) array.backend_->upload(array.data(), values.data(), array.bytes());
    return array;
  }

  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] View<T> view() const { return {data(), {size_}}; }
  /// Waits for everything that was put into the backend's stream before.
  [[nodiscard]] std::vector<T> to_vector() const {
    std::vector<T> values(static_cast<std::size_t>(size_));
    if (size_ > 0) backend_->download(values.data(), data(), bytes());
    return values;
  }

 private:
  [[nodiscard]] T* data() const { return static_cast<T*>(storage_.get()); }
  [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }

  BackendPtr backend_;
  std::shared_ptr<void> storage_;
  std::int64_t size_ = 0;
};

}  // namespace dcase
