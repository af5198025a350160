#pragma once
/// True positives, false positives and misses, and the ratios made of them. A ratio that is undefined is NaN: reports
/// print it as n/a, JSON as null.

#include <cstdint>
#include <span>

namespace dcase {

/// What happens where a denominator is zero.
enum class UndefinedRule : std::uint8_t {
  kStandard,  ///< references without output score 0; a class with neither is undefined and left out of means
  kSedEval,   ///< as the sed_eval package: no output or no references is undefined. Flatters a silent system.
};
[[nodiscard]] const char* undefined_rule_name(UndefinedRule rule);

struct Counts {
  std::int64_t tp = 0;
  std::int64_t fp = 0;
  std::int64_t fn = 0;

  [[nodiscard]] std::int64_t references() const { return tp + fn; }
  [[nodiscard]] std::int64_t outputs() const { return tp + fp; }
  Counts& operator+=(const Counts& other);
  [[nodiscard]] bool operator==(const Counts&) const = default;
};

/// Precision, recall, F1 and the error rate of one class alone, (FN + FP) / references.
struct Ratios {
  double precision = 0;
  double recall = 0;
  double f1 = 0;
  double error_rate = 0;
};
[[nodiscard]] Ratios ratios(const Counts& counts, UndefinedRule rule);

/// a / b, NaN for b = 0.
[[nodiscard]] double ratio(double a, double b);
/// Mean of the values that are defined, NaN where none is.
[[nodiscard]] double mean_defined(std::span<const double> values);

}  // namespace dcase
