#include "train/metrics/tag_metrics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <nlohmann/json.hpp>

#include "kernels/common/error.hpp"
#include "train/metrics/tag_ranking.hpp"

namespace dcase {

namespace {

using detail::average_precision;
using detail::for_each_score;
using detail::ranked_all;
using detail::ranked_class;
using detail::RankedScore;
using detail::roc_auc;

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

void check_sizes(std::span<const double> scores, std::span<const std::uint8_t> truth, std::size_t classes) {
  DCASE_CHECK(classes > 0, "tag_metrics: no classes");
  DCASE_CHECK(scores.size() == truth.size() && scores.size() % classes == 0, "tag_metrics: ", scores.size(),
              " scores and ", truth.size(), " labels for ", classes, " classes");
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (!std::isfinite(scores[i])) {
      fail(ErrorKind::kNumeric, "tag_metrics: item ", i / classes, ", class ", i % classes, " has the score ",
           scores[i]);
    }
    DCASE_CHECK(truth[i] <= 1, "tag_metrics: item ", i / classes, ", class ", i % classes, " has the label ",
                int{truth[i]});
  }
}

/// Sums of precision at each label, and the number of labels, per class.
struct LabelRanking {
  std::vector<double> precision;
  std::vector<std::int64_t> labels;
  std::int64_t items = 0;
  std::int64_t items_without_labels = 0;

  [[nodiscard]] double overall() const {
    double sum = 0;
    double n = 0;
    for (std::size_t c = 0; c < labels.size(); ++c) {
      sum += precision[c];
      n += static_cast<double>(labels[c]);
    }
    return ratio(sum, n);
  }
};

/// `scores_of(item)` gives the K scores of an item.
template <class ScoresOf>
[[nodiscard]] LabelRanking rank_labels(ScoresOf scores_of, std::span<const std::uint8_t> truth, std::size_t classes) {
  LabelRanking r{.precision = std::vector<double>(classes), .labels = std::vector<std::int64_t>(classes)};
  std::vector<std::size_t> order;
  for (std::size_t item = 0; item < truth.size() / classes; ++item) {
    const std::span<const std::uint8_t> labels = truth.subspan(item * classes, classes);
    for (std::size_t c = 0; c < classes; ++c) r.labels[c] += labels[c];
    ++r.items;
    if (detail::add_label_precision(scores_of(item), labels, order, r.precision) == 0) ++r.items_without_labels;
  }
  return r;
}

[[nodiscard]] double d_prime(double auc) { return std::sqrt(2.0) * inverse_normal(auc); }

}  // namespace

double inverse_normal(double p) {
  if (!(p >= 0 && p <= 1)) return kUndefined;
  if (p == 0 || p == 1)
    return p == 0 ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  if (p > 0.5) return -inverse_normal(1 - p);
  // Bisection: P(x <= -39) is below the smallest double, so the bracket holds, and it is called once a class.
  double low = -39;
  double high = 0;
  for (double middle = 0.5 * (low + high); middle > low && middle < high; middle = 0.5 * (low + high)) {
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? low : high) = middle;
  }
  return high;
}

double lwlrap(std::span<const double> scores, std::span<const std::uint8_t> truth, std::int64_t classes) {
  const auto width = static_cast<std::size_t>(std::max<std::int64_t>(classes, 0));
  check_sizes(scores, truth, width);
  return rank_labels([&](std::size_t item) { return scores.subspan(item * width, width); }, truth, width).overall();
}

double prior_lwlrap(std::span<const double> frequencies, std::span<const std::uint8_t> truth) {
  DCASE_CHECK(!frequencies.empty() && truth.size() % frequencies.size() == 0, "prior_lwlrap: ", truth.size(),
              " labels for ", frequencies.size(), " classes");
  for (const double f : frequencies) {
    if (!std::isfinite(f)) fail(ErrorKind::kNumeric, "prior_lwlrap: a class has the frequency ", f);
  }
  return rank_labels([&](std::size_t) { return frequencies; }, truth, frequencies.size()).overall();
}

std::vector<double> best_f1_thresholds(std::span<const double> scores, std::span<const std::uint8_t> truth,
                                       std::int64_t classes) {
  const auto width = static_cast<std::size_t>(std::max<std::int64_t>(classes, 0));
  check_sizes(scores, truth, width);
  std::vector<double> thresholds(width, 0.5);
  for (std::size_t c = 0; c < width; ++c) {
    const std::vector<RankedScore> sorted = ranked_class(scores, truth, c, width);
    const auto total =
        std::count_if(sorted.begin(), sorted.end(), [](const RankedScore& pair) { return pair.positive; });
    double best = 0;
    double best_score = 0;  // lowest score that is still an output
    Counts counts{.tp = 0, .fp = 0, .fn = total};
    for_each_score(sorted, {}, [&](double score, std::int64_t positives, std::int64_t negatives) {
      counts += {.tp = positives, .fp = negatives, .fn = -positives};
      const double f1 = ratios(counts, UndefinedRule::kStandard).f1;
      if (f1 > best) {
        best = f1;
        best_score = score;
      }
    });
    if (best == 0) continue;
    const auto below =
        std::find_if(sorted.begin(), sorted.end(), [&](const RankedScore& pair) { return pair.score < best_score; });
    // Without a lower score, anything below the lowest serves.
    const double next = below == sorted.end() ? best_score - 1e-6 * (1 + std::abs(best_score)) : below->score;
    const double middle = next + 0.5 * (best_score - next);
    thresholds[c] = middle < best_score ? middle : next;
  }
  return thresholds;
}

TagMetrics tag_metrics(const TagInput& in) {
  const std::size_t classes = in.classes.size();
  check_sizes(in.scores, in.truth, classes);
  DCASE_CHECK(in.thresholds.size() <= 1 || in.thresholds.size() == classes, "tag_metrics: ", in.thresholds.size(),
              " thresholds for ", classes, " classes");
  DCASE_CHECK(in.frequencies.empty() || in.frequencies.size() == classes, "tag_metrics: ", in.frequencies.size(),
              " frequencies for ", classes, " classes");

  TagMetrics m;
  const LabelRanking ranking =
      rank_labels([&](std::size_t item) { return in.scores.subspan(item * classes, classes); }, in.truth, classes);
  m.items = ranking.items;
  m.items_without_labels = ranking.items_without_labels;
  m.labels = std::accumulate(ranking.labels.begin(), ranking.labels.end(), std::int64_t{0});
  m.lwlrap = ranking.overall();

  std::vector<double> ap(classes);
  std::vector<double> auc(classes);
  std::vector<double> f1(classes);
  Counts all;
  for (std::size_t c = 0; c < classes; ++c) {
    const std::vector<RankedScore> sorted = ranked_class(in.scores, in.truth, c, classes);
    TagClass row{.name = in.classes[c], .positives = ranking.labels[c]};
    const auto positives = static_cast<double>(row.positives);
    row.weight = m.labels == 0 ? 0 : positives / static_cast<double>(m.labels);
    row.lwlrap = ratio(ranking.precision[c], positives);
    row.average_precision = ap[c] = average_precision(sorted);
    row.roc_auc = auc[c] = roc_auc(sorted);
    row.d_prime = d_prime(row.roc_auc);
    if (!in.thresholds.empty()) row.threshold = in.thresholds[in.thresholds.size() == 1 ? 0 : c];
    for (const RankedScore& pair : sorted) {
      const bool output = pair.score > row.threshold;
      if (output) ++(pair.positive ? row.counts.tp : row.counts.fp);
      if (!output && pair.positive) ++row.counts.fn;
    }
    row.at_threshold = ratios(row.counts, UndefinedRule::kStandard);
    f1[c] = row.at_threshold.f1;
    all += row.counts;
    m.classes.push_back(std::move(row));
  }
  m.mean_ap = mean_defined(ap);
  m.mean_auc = mean_defined(auc);
  m.d_prime = d_prime(m.mean_auc);
  m.micro_f1 = ratios(all, UndefinedRule::kStandard).f1;
  m.macro_f1 = mean_defined(f1);

  m.micro_ap = average_precision(ranked_all(in.scores, in.truth, classes));

  const std::vector<double> own(ranking.labels.begin(), ranking.labels.end());
  m.prior_lwlrap = prior_lwlrap(in.frequencies.empty() ? std::span<const double>(own) : in.frequencies, in.truth);
  return m;
}

nlohmann::ordered_json to_json(const TagMetrics& m) {
  nlohmann::ordered_json json = {{"items", m.items},       {"items_without_labels", m.items_without_labels},
                                 {"labels", m.labels},     {"lwlrap", m.lwlrap},
                                 {"map", m.mean_ap},       {"micro_ap", m.micro_ap},
                                 {"mean_auc", m.mean_auc}, {"d_prime", m.d_prime},
                                 {"micro_f1", m.micro_f1}, {"macro_f1", m.macro_f1}};
  json["chance"] = {{"prior_lwlrap", m.prior_lwlrap}};
  nlohmann::ordered_json classes = nlohmann::ordered_json::object();
  for (const TagClass& c : m.classes) {
    classes[c.name] = {{"positives", c.positives},
                       {"weight", c.weight},
                       {"lwlrap", c.lwlrap},
                       {"ap", c.average_precision},
                       {"auc", c.roc_auc},
                       {"d_prime", c.d_prime},
                       {"threshold", c.threshold},
                       {"precision", c.at_threshold.precision},
                       {"recall", c.at_threshold.recall},
                       {"f1", c.at_threshold.f1}};
  }
  json["classes"] = std::move(classes);
  return json;
}

}  // namespace dcase
