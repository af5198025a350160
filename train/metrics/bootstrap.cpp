#include "train/metrics/bootstrap.hpp"

#include <algorithm>
#include <cmath>
#include <exception>

#include <nlohmann/json.hpp>

#include "kernels/common/error.hpp"
#include "kernels/common/philox.hpp"

namespace dcase {

std::vector<std::uint32_t> draw_weights(const BootstrapOptions& options, std::int64_t draw, std::size_t recordings) {
  const RandomKey key{
      .seed = options.seed, .purpose = purpose_id("bootstrap"), .step = static_cast<std::uint32_t>(draw)};
  std::vector<std::uint32_t> weights(recordings);
  for (std::size_t i = 0; i < recordings; ++i) ++weights[uniform_below(key, i, static_cast<std::uint32_t>(recordings))];
  return weights;
}

Interval percentile_interval(std::vector<double> values, double confidence) {
  values.erase(std::remove_if(values.begin(), values.end(), [](double v) { return std::isnan(v); }), values.end());
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto quantile = [&](double share) {
    const double at = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const auto above = std::min(below + 1, values.size() - 1);
    return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
  };
  return {quantile((1 - confidence) / 2), quantile((1 + confidence) / 2)};
}

std::vector<Interval> bootstrap(const BootstrapOptions& options, std::size_t recordings, const WeightedScores& scores) {
  DCASE_CHECK(options.draws >= 0 && options.draws <= 1'000'000, "bootstrap: ", options.draws, " draws");
  DCASE_CHECK(options.confidence > 0 && options.confidence < 1, "bootstrap: a confidence of ", options.confidence);
  std::vector<std::vector<double>> values(static_cast<std::size_t>(options.draws));  // [draws][scores]
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic)
  for (std::int64_t draw = 0; draw < options.draws; ++draw) {
    try {
      values[static_cast<std::size_t>(draw)] = scores(draw_weights(options, draw, recordings));
    } catch (...) {
#pragma omp critical
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
  std::vector<Interval> intervals;
  for (std::size_t s = 0; !values.empty() && s < values[0].size(); ++s) {
    std::vector<double> of_score;
    for (const std::vector<double>& row : values) of_score.push_back(row[s]);
    intervals.push_back(percentile_interval(std::move(of_score), options.confidence));
  }
  return intervals;
}

nlohmann::ordered_json to_json(const Interval& interval) {
  if (!interval.defined()) return nullptr;
  return {interval.low, interval.high};
}

nlohmann::ordered_json to_json(const BootstrapOptions& options) {
  return {{"method", "percentile, recordings drawn with replacement"},
          {"draws", options.draws},
          {"seed", options.seed},
          {"confidence", options.confidence}};
}

}  // namespace dcase
