#include "train/metrics/tag_metrics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <nlohmann/json.hpp>

#include "kernels/common/error.hpp"

namespace dcase {

namespace {

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
  std::vector<std::size_t> order(classes);
  for (std::size_t item = 0; item < truth.size() / classes; ++item) {
    const std::span<const double> scores = scores_of(item);
    const std::span<const std::uint8_t> labels = truth.subspan(item * classes, classes);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    double hits = 0;
    for (std::size_t rank = 0; rank < classes; ++rank) {
      const std::size_t c = order[rank];
      if (labels[c] == 0) continue;
      hits += 1;
      r.precision[c] += hits / static_cast<double>(rank + 1);
      ++r.labels[c];
    }
    ++r.items;
    if (hits == 0) ++r.items_without_labels;
  }
  return r;
}

struct Pair {
  double score;
  bool positive;
};

void sort_descending(std::vector<Pair>& pairs) {
  std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.score > b.score; });
}

/// Calls step(score, positives, negatives) for each distinct score, from the highest down.
template <class Step>
void for_each_score(const std::vector<Pair>& sorted, Step step) {
  for (std::size_t i = 0; i < sorted.size();) {
    std::int64_t positives = 0;
    std::int64_t negatives = 0;
    const double score = sorted[i].score;
    for (; i < sorted.size() && sorted[i].score == score; ++i) (sorted[i].positive ? positives : negatives) += 1;
    step(score, positives, negatives);
  }
}

/// Sum over distinct scores of (R_n - R_{n-1}) P_n.
[[nodiscard]] double average_precision(const std::vector<Pair>& sorted) {
  double sum = 0;
  std::int64_t tp = 0;
  std::int64_t outputs = 0;
  for_each_score(sorted, [&](double, std::int64_t positives, std::int64_t negatives) {
    tp += positives;
    outputs += positives + negatives;
    sum += static_cast<double>(positives) * static_cast<double>(tp) / static_cast<double>(outputs);
  });
  return ratio(sum, static_cast<double>(tp));
}

/// Share of (positive, negative) pairs in the right order, ties counting half.
[[nodiscard]] double roc_auc(const std::vector<Pair>& sorted) {
  double right = 0;
  std::int64_t tp = 0;
  std::int64_t fp = 0;
  for_each_score(sorted, [&](double, std::int64_t positives, std::int64_t negatives) {
    right += static_cast<double>(negatives) * (static_cast<double>(tp) + 0.5 * static_cast<double>(positives));
    tp += positives;
    fp += negatives;
  });
  return ratio(right, static_cast<double>(tp) * static_cast<double>(fp));
}

[[nodiscard]] std::vector<Pair> pairs_of_class(std::span<const double> scores, std::span<const std::uint8_t> truth,
                                               std::size_t c, std::size_t classes) {
  std::vector<Pair> pairs;
  for (std::size_t i = c; i < scores.size(); i += classes) pairs.push_back({scores[i], truth[i] != 0});
  sort_descending(pairs);
  return pairs;
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
    const std::vector<Pair> sorted = pairs_of_class(scores, truth, c, width);
    const auto total = std::count_if(sorted.begin(), sorted.end(), [](const Pair& pair) { return pair.positive; });
    double best = 0;
    double best_score = 0;  // lowest score that is still an output
    Counts counts{.tp = 0, .fp = 0, .fn = total};
    for_each_score(sorted, [&](double score, std::int64_t positives, std::int64_t negatives) {
      counts += {.tp = positives, .fp = negatives, .fn = -positives};
      const double f1 = ratios(counts, UndefinedRule::kStandard).f1;
      if (f1 > best) {
        best = f1;
        best_score = score;
      }
    });
    if (best == 0) continue;
    const auto below =
        std::find_if(sorted.begin(), sorted.end(), [&](const Pair& pair) { return pair.score < best_score; });
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
    const std::vector<Pair> sorted = pairs_of_class(in.scores, in.truth, c, classes);
    TagClass row{.name = in.classes[c], .positives = ranking.labels[c]};
    const auto positives = static_cast<double>(row.positives);
    row.weight = m.labels == 0 ? 0 : positives / static_cast<double>(m.labels);
    row.lwlrap = ratio(ranking.precision[c], positives);
    row.average_precision = ap[c] = average_precision(sorted);
    row.roc_auc = auc[c] = roc_auc(sorted);
    row.d_prime = d_prime(row.roc_auc);
    if (!in.thresholds.empty()) row.threshold = in.thresholds[in.thresholds.size() == 1 ? 0 : c];
    for (const Pair& pair : sorted) {
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

  std::vector<Pair> pairs;
  pairs.reserve(in.scores.size());
  for (std::size_t i = 0; i < in.scores.size(); ++i) pairs.push_back({in.scores[i], in.truth[i] != 0});
  sort_descending(pairs);
  m.micro_ap = average_precision(pairs);

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
