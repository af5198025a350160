#include "train/metrics/counts.hpp"

#include <cmath>
#include <limits>

namespace dcase {

namespace {
constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
}

const char* undefined_rule_name(UndefinedRule rule) {
  return rule == UndefinedRule::kStandard ? "standard" : "sed_eval";
}

Counts& Counts::operator+=(const Counts& other) {
  tp += other.tp;
  fp += other.fp;
  fn += other.fn;
  return *this;
}

double ratio(double a, double b) { return b == 0 ? kUndefined : a / b; }

Ratios ratios(const Counts& counts, UndefinedRule rule) {
  const double tp = static_cast<double>(counts.tp);
  const double references = static_cast<double>(counts.references());
  const double outputs = static_cast<double>(counts.outputs());
  Ratios r;
  r.precision = ratio(tp, outputs);
  r.recall = ratio(tp, references);
  r.error_rate = ratio(static_cast<double>(counts.fn + counts.fp), references);
  r.f1 = ratio(2 * tp, references + outputs);  // = 2PR / (P + R)
  if (rule == UndefinedRule::kSedEval) {
    if (std::isnan(r.precision) || std::isnan(r.recall)) r.f1 = kUndefined;
  } else if (outputs == 0 && references > 0) {
    r.precision = 0;
  }
  return r;
}

double mean_defined(std::span<const double> values) {
  double sum = 0;
  std::int64_t n = 0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    sum += value;
    ++n;
  }
  return ratio(sum, static_cast<double>(n));
}

}  // namespace dcase
