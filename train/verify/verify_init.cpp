#include <cmath>

#include "dcasenet/network.hpp"
#include "kernels/common/error.hpp"
#include "train/verify/verify_kinds.hpp"

namespace dcase::detail {

namespace {

/// What the file says about one parameter: kind, its number, deviation, size; then what was measured on three draws.
enum Column : std::size_t { kKind, kNumber, kDeviation, kCount, kMeasuredMean, kMeasuredDeviation, kMeasuredMax };
constexpr std::size_t kColumns = 7;
constexpr std::int64_t kEnough = 2000;  // elements from which on a measured deviation says something
constexpr std::uint64_t kSeed = 1;

/// The file's name for the rule by which this build draws.
[[nodiscard]] double kind_of(const Initializer& rule) {
  switch (rule.kind) {
    case Initializer::Kind::kUniform:
      return 0;
    case Initializer::Kind::kNormal:
      return 1;
    case Initializer::Kind::kConstant:
      return 2;
    case Initializer::Kind::kGruHidden:
      return 3;
  }
  return -1;
}

struct Measured {
  double deviation = 0;
  double largest = 0;
};

[[nodiscard]] Measured measure(const std::vector<float>& values) {
  Measured m;
  double mean = 0;
  for (const float v : values) mean += static_cast<double>(v) / static_cast<double>(values.size());
  double squares = 0;
  for (const float v : values) {
    squares += (v - mean) * (v - mean);
    m.largest = std::max(m.largest, std::abs(static_cast<double>(v)));
  }
  m.deviation = std::sqrt(squares / static_cast<double>(values.size()));
  return m;
}

}  // namespace

void verify_init(Checker& checker, const BackendPtr& backend) {
  ParameterStore store(backend);
  const auto network = make_network({.version = 3}, store);
  store.initialise(kSeed);
  for (const Parameter& parameter : store.parameters()) {
    const std::string name = "init." + parameter.name;
    const std::vector<double> stored = checker.doubles(name);
    if (stored.size() != kColumns) {
      fail(ErrorKind::kData, "'", checker.file().path(), "', tensor '", name, "': ", stored.size(),
           " numbers, expected ", kColumns);
    }
    const Initializer& rule = parameter.initializer;
    checker.compare_part(name, "rule",
                         std::vector<double>{kind_of(rule), rule.a, static_cast<double>(parameter.value().size())},
                         std::vector<double>{stored[kKind], stored[kNumber], stored[kCount]});
    const Measured measured = measure(parameter.value().to_vector());
    if (parameter.value().size() > kEnough) {
      checker.compare_part(name, "deviation", std::vector<double>{measured.deviation},
                           std::vector<double>{stored[kDeviation]});
    }
    if (rule.kind == Initializer::Kind::kUniform) {
      const double bound = stored[kNumber] * (1 + 1e-6);  // float32 rounding of the bound
      checker.compare_part(name, "excess", std::vector<double>{std::max(0.0, measured.largest - bound)},
                           std::vector<double>{0.0});
    }
  }
}

}  // namespace dcase::detail
