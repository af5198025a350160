#include "engine/tensor.hpp"

#include <algorithm>
#include <limits>

namespace dcase {
namespace {

View<float> view_of(float* data, const Shape& shape) {
  View<float> view;
  view.data = data;
  view.rank = static_cast<int>(shape.size());
  std::copy(shape.begin(), shape.end(), view.shape);
  return view;
}

}  // namespace

std::int64_t element_count(const Shape& shape) {
  DCASE_CHECK(shape.size() <= kMaxRank, "tensor: rank ", shape.size(), " is above ", kMaxRank);
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    DCASE_CHECK(size >= 0, "tensor: negative size in shape ", to_string(shape));
    DCASE_CHECK(size == 0 || count <= std::numeric_limits<std::int64_t>::max() / 8 / size, "tensor: shape ",
                to_string(shape), " is too large");
    count *= size;
  }
  return count;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? "," : "") + std::to_string(shape[i]);
  return text + "]";
}

Tensor::Tensor(const Shape& shape, BackendPtr backend) : backend_(std::move(backend)) {
  DCASE_CHECK(backend_ != nullptr, "tensor: no backend");
  const auto bytes = static_cast<std::size_t>(element_count(shape)) * sizeof(float);
  // The deleter holds the backend, so a tensor may outlive the model it came from.
  storage_ = std::shared_ptr<void>(backend_->allocator().allocate(bytes),
                                   [owner = backend_](void* block) { owner->allocator().release(block); });
  view_ = view_of(static_cast<float*>(storage_.get()), shape);
}

Tensor Tensor::filled(const Shape& shape, float value, BackendPtr backend) {
  Tensor tensor(shape, std::move(backend));
  tensor.fill(value);
  return tensor;
}

Tensor Tensor::from(const Shape& shape, const std::vector<float>& values, BackendPtr backend) {
  return from(shape, std::span<const float>(values), std::move(backend));
}

Tensor Tensor::from(const Shape& shape, std::span<const float> values, BackendPtr backend) {
  Tensor tensor(shape, std::move(backend));
  tensor.copy_from(values);
  return tensor;
}

Tensor Tensor::reshaped(const Shape& shape) const {
  DCASE_CHECK(element_count(shape) == size(), "tensor: cannot reshape ", to_string(this->shape()), " to ",
              to_string(shape));
  Tensor other = *this;
  other.view_ = view_of(view_.data, shape);
  return other;
}

Tensor Tensor::slice(std::int64_t offset, const Shape& shape) const {
  DCASE_CHECK(offset >= 0 && offset + element_count(shape) <= size(), "tensor: slice ", to_string(shape), " at ",
              offset, " is outside of ", size(), " elements");
  Tensor part = *this;
  part.view_ = view_of(view_.data + offset, shape);
  return part;
}

Tensor Tensor::clone() const {
  Tensor copy = like();
  copy.copy_from(*this);
  return copy;
}

Tensor Tensor::copied_to(BackendPtr backend) const {
  Tensor copy(shape(), std::move(backend));
  copy.copy_from(*this);
  return copy;
}

void Tensor::fill(float value) const { backend_->fill(view_.data, size(), value); }

void Tensor::copy_from(const Tensor& other) const {
  DCASE_CHECK(other.size() == size(), "tensor: cannot copy ", to_string(other.shape()), " into ", to_string(shape()));
  if (size() == 0) return;
  if (other.backend_ == backend_) {
    backend_->copy(view_.data, other.view_.data, bytes());
  } else if (other.backend_->device() == backend_->device()) {
    backend_->copy_from(*other.backend_, view_.data, other.view_.data, bytes(), other.storage_.get());
  } else if (other.backend_->device().is_cpu()) {
    backend_->upload(view_.data, other.view_.data, bytes());
  } else {
    DCASE_CHECK(backend_->device().is_cpu(), "tensor: no copies from ", other.backend_->device().name(), " to ",
                backend_->device().name());
    other.backend_->download(view_.data, other.view_.data, bytes());
  }
}

void Tensor::copy_from(std::span<const float> values) const {
  DCASE_CHECK(static_cast<std::int64_t>(values.size()) == size(), "tensor: ", values.size(), " values for shape ",
              to_string(shape()));
  if (size() > 0) backend_->upload(view_.data, values.data(), bytes());
}

std::vector<float> Tensor::to_vector() const {
  std::vector<float> values(static_cast<std::size_t>(size()));
  if (!values.empty()) backend_->download(values.data(), view_.data, bytes());
  return values;
}

}  // namespace dcase
