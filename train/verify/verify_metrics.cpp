#include <algorithm>

#include "kernels/common/error.hpp"
#include "train/metrics/asc_metrics.hpp"
#include "train/metrics/sed_metrics.hpp"
#include "train/metrics/tag_metrics.hpp"
#include "train/verify/verify_kinds.hpp"

namespace dcase::detail {

namespace {

constexpr std::int64_t kFrame = 100'000;  // microseconds
constexpr double kThreshold = 0.3;        // of the released evaluation; the decision is strict

[[nodiscard]] std::vector<std::string> numbered(std::int64_t classes) {
  std::vector<std::string> names;
  for (std::int64_t c = 0; c < classes; ++c) names.push_back(std::to_string(c));
  return names;
}

/// Shape of a tensor that must have this rank.
[[nodiscard]] std::vector<std::int64_t> shape_of(const Checker& checker, const std::string& name, std::size_t rank) {
  const std::vector<std::int64_t>& shape = checker.file().info(name).shape;
  if (shape.size() != rank) {
    fail(ErrorKind::kData, "'", checker.file().path(), "', tensor '", name, "': shape ", shape_string(shape),
         ", expected rank ", rank);
  }
  return shape;
}

void verify_tags(Checker& checker) {
  const std::int64_t classes = shape_of(checker, "tag.scores", 2)[1];
  const std::vector<double> scores = checker.doubles("tag.scores");
  const std::vector<std::int64_t> labels = checker.integers("tag.truth");
  const std::vector<std::uint8_t> truth(labels.begin(), labels.end());
  const std::vector<std::string> names = numbered(classes);
  const TagMetrics m = tag_metrics({.classes = names, .scores = scores, .truth = truth});
  std::vector<double> per_class;
  std::vector<double> weights;
  for (const TagClass& c : m.classes) {
    per_class.push_back(c.positives > 0 ? c.lwlrap : 0);  // the file has 0 where nothing is defined
    weights.push_back(c.weight);
  }
  checker.compare("tag.per_class_lwlrap", per_class);
  checker.compare("tag.class_weight", weights);
  checker.compare("tag.lwlrap", std::vector<double>{m.lwlrap});
}

void verify_scenes(Checker& checker) {
  const std::vector<std::int64_t> shape = shape_of(checker, "asc.logits", 3);
  const std::vector<double> p = mean_softmax(checker.floats("asc.logits"), shape[1], shape[2]);
  checker.compare("asc.mean_prob", p);
  const std::vector<std::int64_t> labels = checker.integers("asc.truth");
  const std::vector<std::int32_t> truth(labels.begin(), labels.end());
  const std::vector<std::string> names = numbered(shape[2]);
  const AscMetrics m = asc_metrics({.classes = names, .probabilities = p, .truth = truth});
  checker.compare("asc.pred", std::vector<std::int64_t>(m.prediction.begin(), m.prediction.end()));
  checker.compare("asc.confusion", m.confusion);
  checker.compare("asc.accuracy_percent", std::vector<double>{m.overall.accuracy});
}

/// The files of a tensor [files,frames,classes], each as a roll.
[[nodiscard]] std::vector<Roll> rolls_of(Checker& checker, const std::string& name, double threshold) {
  const std::vector<std::int64_t> shape = shape_of(checker, name, 3);
  const std::vector<double> values = checker.doubles(name);
  const auto size = static_cast<std::size_t>(shape[1] * shape[2]);
  std::vector<Roll> rolls;
  for (std::size_t i = 0; i < static_cast<std::size_t>(shape[0]); ++i) {
    const std::span<const double> part = std::span(values).subspan(i * size, size);
    rolls.push_back(decide(part, shape[1], shape[2], {.thresholds = {threshold}}));
  }
  return rolls;
}

void compare_events(Checker& checker, const std::string& name, const EventMetrics& m) {
  checker.compare(name + "_counts", std::vector<std::int64_t>{m.counts.tp, m.counts.outputs(), m.counts.references()});
  checker.compare(name + "_f1", std::vector<double>{m.scores.f1});
}

void verify_events(Checker& checker, const std::string& group) {
  const std::vector<Roll> truth = rolls_of(checker, group + ".truth", 0.5);
  const std::vector<Roll> output = rolls_of(checker, group + ".prob", kThreshold);
  for (const int block : {50, 10}) {
    const ReferenceSedMetrics m = reference_sed_metrics(truth, output, block);
    checker.compare(concat(group, ".released_f1_block", block), std::vector<double>{m.f1});
    checker.compare(concat(group, ".released_er_block", block), std::vector<double>{m.error_rate});
  }
  std::vector<SedItem> items;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    items.push_back({events_of(truth[i], kFrame), events_of(output[i], kFrame), truth[i].frames * kFrame});
  }
  const std::vector<std::string> names = numbered(shape_of(checker, group + ".truth", 3)[2]);
  const SegmentMetrics s = segment_metrics(names, items);
  checker.compare(group + ".seg1s_counts",
                  std::vector<std::int64_t>{s.counts.tp, s.counts.fp, s.counts.fn, s.counts.references(),
                                            s.counts.outputs(), s.substitutions, s.deletions, s.insertions});
  checker.compare(group + ".seg1s_f1", std::vector<double>{s.scores.f1});
  checker.compare(group + ".seg1s_er", std::vector<double>{s.scores.error_rate});
  const EventMetrics e = event_metrics(names, items);
  compare_events(checker, group + ".event200ms", e);
  checker.compare(group + ".event200ms_er", std::vector<double>{e.scores.error_rate});
  compare_events(checker, group + ".event200ms_onset", event_metrics(names, items, {.test_offset = false}));
}

}  // namespace

void verify_metrics(Checker& checker) {
  for (const std::string& group : groups_of(checker.file())) {
    if (group == "tag") verify_tags(checker);
    if (group == "asc") verify_scenes(checker);
    if (fits("sed*", group)) verify_events(checker, group);
  }
}

}  // namespace dcase::detail
