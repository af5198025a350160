#pragma once
/// Confidence intervals by the percentile bootstrap (Efron 1979): the recordings are drawn again with replacement, as
/// many as there are, the scores are computed of each draw, and the interval holds the middle share of the values. It
/// says how much a score depends on which recordings were tested; it says nothing of other training runs.

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace dcase {

struct BootstrapOptions {
  std::int64_t draws = 0;  ///< 0: no intervals
  std::uint64_t seed = 0;
  double confidence = 0.95;
};

/// NaN where it was not asked for, or the score was undefined in every draw.
struct Interval {
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();
  [[nodiscard]] bool defined() const { return low == low; }
};

/// How often each recording is in one draw; the sum is their number. The same for every score of a report.
[[nodiscard]] std::vector<std::uint32_t> draw_weights(const BootstrapOptions& options, std::int64_t draw,
                                                      std::size_t recordings);

/// Quantiles (1 -+ confidence) / 2 of the defined values, between neighbours linear.
[[nodiscard]] Interval percentile_interval(std::vector<double> values, double confidence);

/// Scores of the recordings with these weights; as many each time. Called from several threads.
using WeightedScores = std::function<std::vector<double>(std::span<const std::uint32_t> weights)>;

/// One interval a score. Throws Error(kArgument) for a negative number of draws or a confidence outside (0, 1).
[[nodiscard]] std::vector<Interval> bootstrap(const BootstrapOptions& options, std::size_t recordings,
                                              const WeightedScores& scores);

/// [low, high], or null.
[[nodiscard]] nlohmann::ordered_json to_json(const Interval& interval);
[[nodiscard]] nlohmann::ordered_json to_json(const BootstrapOptions& options);

}  // namespace dcase
