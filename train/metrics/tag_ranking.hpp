#pragma once
/// Ranked scores of one class, or of all, with weights on the items. For tag_metrics.cpp and intervals.cpp.

#include <cstdint>
#include <span>
#include <vector>

namespace dcase::detail {

struct RankedScore {
  double score = 0;
  std::uint32_t item = 0;
  bool positive = false;
};

/// Highest first.
[[nodiscard]] std::vector<RankedScore> ranked_class(std::span<const double> scores, std::span<const std::uint8_t> truth,
                                                    std::size_t c, std::size_t classes);
[[nodiscard]] std::vector<RankedScore> ranked_all(std::span<const double> scores, std::span<const std::uint8_t> truth,
                                                  std::size_t classes);

/// How often each item counts; empty: once.
using Weights = std::span<const std::uint32_t>;

/// Calls step(score, positives, negatives) for each distinct score, from the highest down.
template <class Step>
void for_each_score(std::span<const RankedScore> ranked, Weights weights, Step step) {
  for (std::size_t i = 0; i < ranked.size();) {
    std::int64_t positives = 0;
    std::int64_t negatives = 0;
    const double score = ranked[i].score;
    for (; i < ranked.size() && ranked[i].score == score; ++i) {
      (ranked[i].positive ? positives : negatives) += weights.empty() ? 1 : std::int64_t{weights[ranked[i].item]};
    }
    step(score, positives, negatives);
  }
}

/// Sum over distinct scores of (R_n - R_{n-1}) P_n; NaN without positives.
[[nodiscard]] double average_precision(std::span<const RankedScore> ranked, Weights weights = {});
/// Share of (positive, negative) pairs in the right order, ties counting half; NaN without either.
[[nodiscard]] double roc_auc(std::span<const RankedScore> ranked, Weights weights = {});

/// Of one item: the sum over its labels c of the precision at the rank of c, added to precision[c]; the number of
/// labels. Equal scores rank by class index.
std::int64_t add_label_precision(std::span<const double> scores, std::span<const std::uint8_t> labels,
                                 std::vector<std::size_t>& order, std::span<double> precision);

}  // namespace dcase::detail
