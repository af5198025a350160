#pragma once
/// One entry of a model's state against a file.

#include "engine/archive.hpp"
#include "engine/parameters.hpp"

namespace dcase {

/// The file has a tensor of the entry's name and shape.
[[nodiscard]] inline bool fits(const StateEntry& entry, const Archive& archive) {
  const TensorInfo* tensor = archive.find(entry.name());
  return tensor != nullptr && tensor->shape == entry.shape();
}

/// Overwrites the entry's value; the entry fits.
inline void read_entry(const StateEntry& entry, const Archive& archive) {
  if (entry.counter != nullptr) {
    entry.counter->value = archive.integers(entry.name()).at(0);
    return;
  }
  const Tensor& tensor = entry.parameter != nullptr ? entry.parameter->value() : entry.buffer->value;
  tensor.copy_from(archive.floats(entry.name()));
}

}  // namespace dcase
