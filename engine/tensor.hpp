#pragma once
/// Tensor: a dense float array on a backend, shared by reference.

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

using Shape = std::vector<std::int64_t>;

/// Number of elements of a shape. Throws Error(kArgument) for negative sizes, rank above kMaxRank or overflow.
[[nodiscard]] std::int64_t element_count(const Shape& shape);
[[nodiscard]] std::string to_string(const Shape& shape);

/// Copies share storage; a deep copy is spelled `clone()`. Converts to the views that operators take. Concurrent reads
/// are safe; writing needs exclusive access.
class Tensor {
 public:
  Tensor() = default;  ///< absent: converts to a view without data

  /// Uninitialised.
  Tensor(const Shape& shape, BackendPtr backend);
  [[nodiscard]] static Tensor filled(const Shape& shape, float value, BackendPtr backend);
  [[nodiscard]] static Tensor from(const Shape& shape, const std::vector<float>& values, BackendPtr backend);
  [[nodiscard]] static Tensor from(const Shape& shape, std::span<const float> values, BackendPtr backend);

  [[nodiscard]] bool present() const { return storage_ != nullptr; }
  [[nodiscard]] int rank() const { return view_.rank; }
  [[nodiscard]] std::int64_t dim(int axis) const { return view_.dim(axis); }
  [[nodiscard]] std::int64_t size() const { return view_.size(); }
  [[nodiscard]] Shape shape() const { return {view_.shape, view_.shape + view_.rank}; }
  /// For the device's code: only the CPU's memory may be read here.
  [[nodiscard]] float* data() const { return view_.data; }
  [[nodiscard]] const BackendPtr& backend() const { return backend_; }
  [[nodiscard]] const Context& context() const { return backend_->context(); }

  [[nodiscard]] View<float> view() const { return view_; }
  operator View<float>() const { return view_; }        // NOLINT(google-explicit-constructor)
  operator View<const float>() const { return view_; }  // NOLINT(google-explicit-constructor)

  /// The same storage under another shape of equal size.
  [[nodiscard]] Tensor reshaped(const Shape& shape) const;
  /// Part of a flat tensor as a tensor of its own, sharing storage: `shape` elements from `offset` on.
  [[nodiscard]] Tensor slice(std::int64_t offset, const Shape& shape) const;
  [[nodiscard]] Tensor clone() const;
  /// A copy in the memory of another backend.
  [[nodiscard]] Tensor copied_to(BackendPtr backend) const;
  [[nodiscard]] Tensor like() const { return Tensor(shape(), backend_); }

  void fill(float value) const;
  /// From a tensor of the same size on the same device, or between the CPU and another device. Between two backends of
  /// one device, which have streams of their own, the copy waits for what stands in the other's.
  void copy_from(const Tensor& other) const;
  void copy_from(std::span<const float> values) const;
  [[nodiscard]] std::vector<float> to_vector() const;

 private:
  [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(size()) * sizeof(float); }

  BackendPtr backend_;
  std::shared_ptr<void> storage_;  // the arena's block
  View<float> view_;
};

}  // namespace dcase
