#include "train/metrics/tag_ranking.hpp"

#include <algorithm>
#include <numeric>

#include "train/metrics/counts.hpp"

namespace dcase::detail {

namespace {

void sort_descending(std::vector<RankedScore>& ranked) {
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const RankedScore& a, const RankedScore& b) { return a.score > b.score; });
}

}  // namespace

std::vector<RankedScore> ranked_class(std::span<const double> scores, std::span<const std::uint8_t> truth,
                                      std::size_t c, std::size_t classes) {
  std::vector<RankedScore> ranked;
  for (std::size_t i = c; i < scores.size(); i += classes) {
    ranked.push_back({scores[i], static_cast<std::uint32_t>(i / classes), truth[i] != 0});
  }
  sort_descending(ranked);
  return ranked;
}

std::vector<RankedScore> ranked_all(std::span<const double> scores, std::span<const std::uint8_t> truth,
                                    std::size_t classes) {
  std::vector<RankedScore> ranked;
  ranked.reserve(scores.size());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    ranked.push_back({scores[i], static_cast<std::uint32_t>(i / classes), truth[i] != 0});
  }
  sort_descending(ranked);
  return ranked;
}

double average_precision(std::span<const RankedScore> ranked, Weights weights) {
  double sum = 0;
  std::int64_t tp = 0;
  std::int64_t outputs = 0;
  for_each_score(ranked, weights, [&](double, std::int64_t positives, std::int64_t negatives) {
    tp += positives;
    outputs += positives + negatives;
    if (positives > 0) sum += static_cast<double>(positives) * static_cast<double>(tp) / static_cast<double>(outputs);
  });
  return ratio(sum, static_cast<double>(tp));
}

double roc_auc(std::span<const RankedScore> ranked, Weights weights) {
  double right = 0;
  std::int64_t tp = 0;
  std::int64_t fp = 0;
  for_each_score(ranked, weights, [&](double, std::int64_t positives, std::int64_t negatives) {
    right += static_cast<double>(negatives) * (static_cast<double>(tp) + 0.5 * static_cast<double>(positives));
    tp += positives;
    fp += negatives;
  });
  return ratio(right, static_cast<double>(tp) * static_cast<double>(fp));
}

std::int64_t add_label_precision(std::span<const double> scores, std::span<const std::uint8_t> labels,
                                 std::vector<std::size_t>& order, std::span<double> precision) {
  order.resize(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  std::int64_t hits = 0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const std::size_t c = order[rank];
    if (labels[c] == 0) continue;
    ++hits;
    precision[c] += static_cast<double>(hits) / static_cast<double>(rank + 1);
  }
  return hits;
}

}  // namespace dcase::detail
