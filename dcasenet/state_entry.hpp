#pragma once
/// One entry of a model's state against a file, under the name that it has there.

#include "engine/archive.hpp"
#include "engine/parameters.hpp"
#include "kernels/common/error.hpp"

namespace dcase {

/// The file has a tensor of that name and of the entry's shape.
[[nodiscard]] inline bool fits(const std::string& name, const StateEntry& entry, const Archive& archive) {
  const TensorInfo* tensor = archive.find(name);
  return tensor != nullptr && tensor->shape == entry.shape();
}

/// A counter's value. Throws Error(kData) for one that cannot be a number of batches.
[[nodiscard]] inline std::int64_t read_count(const std::string& name, const Archive& archive) {
  constexpr std::int64_t kMost = std::int64_t{1} << 53U;
  const std::int64_t count = archive.integers(name).at(0);
  if (count < 0 || count > kMost) fail(ErrorKind::kData, archive.path(), ": tensor ", name, " is no count: ", count);
  return count;
}

/// Overwrites the entry's value; the entry fits.
inline void read_entry(const std::string& name, const StateEntry& entry, const Archive& archive) {
  if (entry.counter != nullptr) {
    entry.counter->value = read_count(name, archive);
    return;
  }
  const Tensor& tensor = entry.parameter != nullptr ? entry.parameter->value() : entry.buffer->value;
  tensor.copy_from(archive.floats(name));
}

}  // namespace dcase
