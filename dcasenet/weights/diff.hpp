#pragma once
/// What differs between two files of tensors. Values are compared, whatever type they are stored as.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/archive.hpp"

namespace dcase {

/// A tensor that both files have, in the same shape, with values that are farther apart than the tolerance.
struct ValueDifference {
  std::string name;
  std::int64_t elements = 0;
  std::int64_t differing = 0;  ///< elements beyond the tolerance
  double max_abs = 0;          ///< largest |a - b|; infinite where one is NaN and the other is not
  double rel_l2 = 0;           ///< |a - b| / |a| in the Euclidean norm; infinite for a = 0
};

struct ShapeDifference {
  std::string name, a, b;  ///< shapes as text
};

struct MetadataDifference {
  std::string key;
  bool in_a = false, in_b = false;  ///< both: with different texts
};

struct WeightsDifference {
  std::vector<std::string> only_a, only_b;
  std::vector<ShapeDifference> shapes;
  std::vector<ValueDifference> values;
  std::vector<MetadataDifference> metadata;
  std::int64_t equal = 0;  ///< tensors that agree within the tolerance

  [[nodiscard]] bool empty() const {
    return only_a.empty() && only_b.empty() && shapes.empty() && values.empty() && metadata.empty();
  }
};

/// Tensors in the order of `a`. Two elements agree when |a - b| <= tolerance, or when they are equal (infinities) or
/// both NaN. Throws Error(kIo) where a file cannot be read.
[[nodiscard]] WeightsDifference compare(const Archive& a, const Archive& b, double tolerance = 0);

}  // namespace dcase
