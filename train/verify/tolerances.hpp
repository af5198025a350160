#pragma once
/// How far this build may be from a reference file: one table for everything that is compared.

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "kernels/common/context.hpp"

namespace dcase {

/// What a reference file holds; told by the names of its tensors.
enum class ReferenceKind : std::uint8_t { kOps, kMel, kMetrics, kInitStats, kJointBatch, kModel };
[[nodiscard]] const char* reference_kind_name(ReferenceKind kind);

/// All bounds that are set must hold. The default is equality.
struct Tolerance {
  static constexpr double kNone = std::numeric_limits<double>::infinity();
  double absolute = 0;  ///< each element: |a - e| <= absolute + relative * |e|
  double relative = 0;
  double l2 = kNone;         ///< the tensor: ||a - e|| <= l2 * ||e||
  double outlier_share = 0;  ///< of all elements of the group, so many may miss the bound on elements ...
  double outlier_limit = 0;  ///< ... but no further than |a - e| <= outlier_limit
};

struct ToleranceRule {
  ReferenceKind kind;
  const char* pattern;  ///< of "name" or "name#part"; '*' stands for any text, '?' for one character
  const char* group;    ///< line of the report
  Tolerance tolerance;
  Precision precision = Precision::kFp32;  ///< kTf32, kBf16: for products in that precision alone
};

/// First rule of the kind whose pattern fits, or null. Where products have a lower precision, its own rules come before
/// those of fp32.
[[nodiscard]] const ToleranceRule* find_tolerance(ReferenceKind kind, std::string_view name,
                                                  Precision precision = Precision::kFp32);
/// All rules, in order of precedence.
[[nodiscard]] std::span<const ToleranceRule> tolerance_rules();
/// Whether `text` fits `pattern`.
[[nodiscard]] bool fits(std::string_view pattern, std::string_view text);

}  // namespace dcase
