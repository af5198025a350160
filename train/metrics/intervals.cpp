#include "train/metrics/intervals.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <nlohmann/json.hpp>

#include "train/metrics/tag_ranking.hpp"

namespace dcase {

namespace {

[[nodiscard]] Intervals named(const std::vector<std::string>& names, const std::vector<Interval>& intervals) {
  Intervals list;
  for (std::size_t i = 0; i < intervals.size(); ++i) list.emplace_back(names[i], intervals[i]);
  return list;
}

[[nodiscard]] const std::vector<std::string>& sed_names() {
  static const std::vector<std::string> kNames = {"f1",     "error_rate", "precision",
                                                  "recall", "macro_f1",   "macro_error_rate"};
  return kNames;
}

[[nodiscard]] std::vector<double> sed_values(const SedScore& s) {
  return {s.scores.f1, s.scores.error_rate, s.scores.precision, s.scores.recall, s.macro_f1, s.macro_error_rate};
}

}  // namespace

Intervals asc_intervals(const AscInput& input, const BootstrapOptions& options) {
  const AscMetrics all = asc_metrics(input);
  const std::size_t classes = input.classes.size();
  const auto scores = [&](std::span<const std::uint32_t> weights) {
    std::vector<std::int64_t> items(classes);
    std::vector<std::int64_t> correct(classes);
    double loss = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const auto truth = static_cast<std::size_t>(input.truth[i]);
      items[truth] += weights[i];
      correct[truth] += all.prediction[i] == input.truth[i] ? weights[i] : 0;
      loss += weights[i] * all.losses[i];
    }
    std::vector<double> accuracy;
    for (std::size_t c = 0; c < classes; ++c) {
      accuracy.push_back(100 * ratio(static_cast<double>(correct[c]), static_cast<double>(items[c])));
    }
    const auto n = static_cast<double>(weights.size());
    const auto right = static_cast<double>(std::accumulate(correct.begin(), correct.end(), std::int64_t{0}));
    return std::vector<double>{100 * ratio(right, n), mean_defined(accuracy), ratio(loss, n)};
  };
  return named({"accuracy_percent", "macro_accuracy_percent", "log_loss"},
               bootstrap(options, input.truth.size(), scores));
}

Intervals tag_intervals(const TagInput& input, const BootstrapOptions& options) {
  static_cast<void>(tag_metrics(input));  // checks
  const std::size_t classes = input.classes.size();
  const std::size_t items = input.scores.size() / classes;
  std::vector<std::vector<detail::RankedScore>> ranked;
  for (std::size_t c = 0; c < classes; ++c) {
    ranked.push_back(detail::ranked_class(input.scores, input.truth, c, classes));
  }
  const std::vector<detail::RankedScore> flat = detail::ranked_all(input.scores, input.truth, classes);
  std::vector<double> precision(items);  // summed over the labels of an item
  std::vector<std::int64_t> labels(items);
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < items; ++i) {
    std::vector<double> by_class(classes);
    labels[i] = detail::add_label_precision(input.scores.subspan(i * classes, classes),
                                            input.truth.subspan(i * classes, classes), order, by_class);
    precision[i] = std::accumulate(by_class.begin(), by_class.end(), 0.0);
  }
  const auto scores = [&](std::span<const std::uint32_t> weights) {
    double sum = 0;
    double count = 0;
    for (std::size_t i = 0; i < items; ++i) {
      sum += weights[i] * precision[i];
      count += weights[i] * static_cast<double>(labels[i]);
    }
    std::vector<double> ap;
    std::vector<double> auc;
    std::vector<double> f1;
    Counts all;
    for (std::size_t c = 0; c < classes; ++c) {
      ap.push_back(detail::average_precision(ranked[c], weights));
      auc.push_back(detail::roc_auc(ranked[c], weights));
      const double threshold = input.thresholds.empty() ? 0.5 : input.thresholds[input.thresholds.size() == 1 ? 0 : c];
      Counts counts;
      for (const detail::RankedScore& r : ranked[c]) {
        const bool output = r.score > threshold;
        if (output) (r.positive ? counts.tp : counts.fp) += weights[r.item];
        if (!output && r.positive) counts.fn += weights[r.item];
      }
      f1.push_back(ratios(counts, UndefinedRule::kStandard).f1);
      all += counts;
    }
    return std::vector<double>{ratio(sum, count),
                               mean_defined(ap),
                               detail::average_precision(flat, weights),
                               mean_defined(auc),
                               ratios(all, UndefinedRule::kStandard).f1,
                               mean_defined(f1)};
  };
  return named({"lwlrap", "map", "micro_ap", "mean_auc", "micro_f1", "macro_f1"}, bootstrap(options, items, scores));
}

Intervals segment_intervals(std::span<const std::string> classes, std::span<const SedTally> tallies,
                            const SegmentOptions& segments, const BootstrapOptions& options) {
  return named(sed_names(), bootstrap(options, tallies.size(), [&](std::span<const std::uint32_t> weights) {
                 return sed_values(sum_segments(classes, tallies, segments, weights));
               }));
}

Intervals event_intervals(std::span<const std::string> classes, std::span<const SedTally> tallies,
                          const EventOptions& events, const BootstrapOptions& options) {
  return named(sed_names(), bootstrap(options, tallies.size(), [&](std::span<const std::uint32_t> weights) {
                 return sed_values(sum_events(classes, tallies, events, weights));
               }));
}

nlohmann::ordered_json to_json(const Intervals& intervals) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [name, interval] : intervals) json[name] = to_json(interval);
  return json;
}

}  // namespace dcase
