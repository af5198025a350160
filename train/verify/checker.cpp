#include "train/verify/checker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/common/error.hpp"
#include "train/report/table.hpp"

namespace dcase {

namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

/// `value` as a multiple of `bound`; NaN is infinitely far off, and a bound of 0 asks for equality.
[[nodiscard]] double multiple(double value, double bound) {
  if (std::isnan(value) || std::isnan(bound)) return kInfinite;
  if (value == 0 || bound == kInfinite) return 0;
  return bound == 0 ? kInfinite : value / bound;
}

[[nodiscard]] double norm(std::span<const double> x) {
  double sum = 0;
  for (const double value : x) sum += value * value;
  return std::sqrt(sum);
}

template <class T>
[[nodiscard]] std::vector<double> widened(std::span<const T> values) {
  return {values.begin(), values.end()};
}

[[nodiscard]] std::string multiple_text(double value) {
  return value == 0 ? "0" : std::isinf(value) ? "not equal" : fmt::format("{:.2g}", value);
}

}  // namespace

bool VerifyReport::passed() const {
  return misses.empty() && unknown.empty() && compared > 0 &&
         std::all_of(groups.begin(), groups.end(), [](const VerifyGroup& g) { return g.passed; });
}

std::string VerifyReport::text() const {
  std::string out = fmt::format("{}: {}\n", path, kind);
  Table table({{"compared", Table::Align::kLeft},
               {"tensors"},
               {"elements"},
               {"worst / allowed"},
               {"", Table::Align::kLeft},
               {"where", Table::Align::kLeft}},
              2);
  for (const VerifyGroup& g : groups) {
    std::string where = g.worst == 0 ? "equal" : g.worst_at;
    if (g.outliers > 0) where += fmt::format(" ({} outliers, {} allowed)", g.outliers, g.outliers_allowed);
    table.add({g.name, std::to_string(g.tensors), std::to_string(g.elements), multiple_text(g.worst),
               g.passed ? "ok" : "MISS", where});
  }
  out += table.text();
  out +=
      fmt::format("{} of {} tensors compared, {} inputs, {} for information\n", compared, tensors, inputs, information);
  constexpr std::size_t kShown = 20;
  const auto list = [&](const std::vector<std::string>& lines, const char* title) {
    for (std::size_t i = 0; i < std::min(lines.size(), kShown); ++i) out += fmt::format("{}: {}\n", title, lines[i]);
    if (lines.size() > kShown) out += fmt::format("{}: {} more\n", title, lines.size() - kShown);
  };
  list(remarks, "remark");
  list(misses, "MISS");
  list(unknown, "NOT CHECKED");
  return out + (passed() ? "passed\n" : "FAILED\n");
}

Checker::Checker(const Archive& file, ReferenceKind kind) : file_(&file), kind_(kind) {
  report_.path = file.path();
  report_.kind = reference_kind_name(kind);
  for (const TensorInfo& tensor : file.tensors()) uses_.emplace(tensor.name, Use::kNone);
}

void Checker::use(std::string_view name, Use how) {
  const auto found = uses_.find(name);
  if (found != uses_.end()) found->second = std::max(found->second, how);
}

std::vector<float> Checker::floats(std::string_view name) {
  use(name, Use::kInput);
  return file_->floats(name);
}

std::vector<double> Checker::doubles(std::string_view name) {
  use(name, Use::kInput);
  return file_->doubles(name);
}

std::vector<std::int64_t> Checker::integers(std::string_view name) {
  use(name, Use::kInput);
  return file_->integers(name);
}

void Checker::information(std::string_view name) { use(name, Use::kInformation); }

void Checker::compare(const std::string& name, std::span<const double> actual) {
  const std::vector<double> expected = file_->doubles(name);
  judge(name, name, actual, expected);
}

void Checker::compare(const std::string& name, std::span<const float> actual) {
  compare(name, std::span<const double>(widened(actual)));
}

void Checker::compare(const std::string& name, std::span<const std::int64_t> actual) {
  compare(name, std::span<const double>(widened(actual)));  // counts are far below 2^53
}

void Checker::compare_part(const std::string& name, const std::string& part, std::span<const double> actual,
                           std::span<const double> expected) {
  judge(name, name + "#" + part, actual, expected);
}

VerifyGroup& Checker::group(const ToleranceRule& rule) {
  for (VerifyGroup& g : report_.groups) {
    if (g.name == rule.group) return g;
  }
  report_.groups.push_back({.name = rule.group});
  tolerances_.push_back(rule.tolerance);
  return report_.groups.back();
}

void Checker::judge(const std::string& tensor, const std::string& key, std::span<const double> actual,
                    std::span<const double> expected) {
  const ToleranceRule* rule = find_tolerance(kind_, key);
  if (rule == nullptr) fail(ErrorKind::kData, "'", file_->path(), "': there is no tolerance for '", key, "'");
  if (actual.size() != expected.size()) {
    fail(ErrorKind::kData, "'", file_->path(), "', tensor '", tensor, "': ", expected.size(),
         " elements where this build has ", actual.size());
  }
  const Tolerance& t = rule->tolerance;
  VerifyGroup& g = group(*rule);
  use(tensor, Use::kCompared);
  ++g.tensors;
  g.elements += static_cast<std::int64_t>(expected.size());

  double worst = 0;
  std::string worst_at;
  std::vector<double> difference(expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference[i] = std::abs(actual[i] - expected[i]);
    double excess = multiple(difference[i], t.absolute + t.relative * std::abs(expected[i]));
    if (excess > 1 && t.outlier_share > 0) {
      ++g.outliers;
      excess = multiple(difference[i], t.outlier_limit);
    }
    if (excess > worst) {
      worst = excess;
      worst_at = fmt::format("{}[{}]: {:.8g} against {:.8g}", key, i, actual[i], expected[i]);
    }
  }
  if (t.l2 != Tolerance::kNone) {
    const double off = norm(difference);
    const double whole = norm(expected);
    const double excess = multiple(off, t.l2 * whole);
    if (excess > worst) {
      worst = excess;
      worst_at = fmt::format("{}: relative L2 {:.3g}", key, whole == 0 ? off : off / whole);
    }
  }
  if (worst > g.worst) {
    g.worst = worst;
    g.worst_at = worst_at;
  }
  if (worst > 1) {
    g.passed = false;
    report_.misses.push_back(
        fmt::format("{} ({}{})", worst_at, multiple_text(worst), std::isinf(worst) ? "" : " times what is allowed"));
  }
}

VerifyReport Checker::finish() {
  for (std::size_t i = 0; i < report_.groups.size(); ++i) {
    VerifyGroup& g = report_.groups[i];
    g.outliers_allowed = static_cast<std::int64_t>(tolerances_[i].outlier_share * static_cast<double>(g.elements));
    if (g.outliers > g.outliers_allowed) {
      g.passed = false;
      report_.misses.push_back(fmt::format("{}: {} of {} elements are outliers, {} are allowed", g.name, g.outliers,
                                           g.elements, g.outliers_allowed));
    }
  }
  report_.tensors = static_cast<std::int64_t>(uses_.size());
  for (const auto& [name, how] : uses_) {
    switch (how) {
      case Use::kNone:
        report_.unknown.push_back(name);
        break;
      case Use::kInput:
        ++report_.inputs;
        break;
      case Use::kInformation:
        ++report_.information;
        break;
      case Use::kCompared:
        ++report_.compared;
        break;
    }
  }
  return std::move(report_);
}

}  // namespace dcase
