#include "train/metrics/tuning.hpp"

#include <cmath>

#include "kernels/common/error.hpp"
#include "kernels/common/philox.hpp"
#include "tests/support/test.hpp"
#include "train/metrics/intervals.hpp"

namespace dcase {

namespace {

constexpr std::int64_t kFrame = 100'000;
constexpr std::int64_t kSecond = 1'000'000;

/// Recordings of 25 to 54 frames with few distinct scores; the third class never sounds.
std::vector<TuningItem> random_items(std::uint32_t round) {
  const RandomKey key{.seed = 11, .purpose = purpose_id("tuning"), .step = round};
  std::uint64_t at = 0;
  const auto below = [&](std::uint32_t n) { return static_cast<std::int64_t>(uniform_below(key, at++, n)); };
  std::vector<TuningItem> items;
  for (int i = 0; i < 4; ++i) {
    const std::int64_t frames = 25 + below(30);
    std::vector<double> values;
    for (std::int64_t v = 0; v < 3 * frames; ++v) values.push_back(static_cast<double>(below(12)) / 12);
    TuningItem item{.scores = frame_scores(values, 3, kFrame), .length = frames * kFrame};
    for (std::int64_t e = below(4); e > 0; --e) {
      const std::int64_t onset = below(20) * kFrame;
      item.truth.push_back({onset, onset + (1 + below(9)) * kFrame, static_cast<std::int32_t>(below(2))});
    }
    items.push_back(std::move(item));
  }
  return items;
}

/// Class-wise F1 of decisions with these thresholds.
std::vector<double> f1_of(const std::vector<TuningItem>& items, DecisionRules rules, std::vector<double> thresholds,
                          bool segments) {
  const std::vector<std::string> names = {"a", "b", "c"};
  rules.thresholds = std::move(thresholds);
  std::vector<SedItem> scored;
  for (const TuningItem& item : items) {
    const Roll roll = decide(item.scores.values, item.scores.frames(), 3, rules);
    scored.push_back({item.truth, events_of(roll, item.scores.times), item.length});
  }
  std::vector<double> f1;
  const SedScore score = segments ? SedScore(segment_metrics(names, scored)) : SedScore(event_metrics(names, scored));
  for (const SedClass& c : score.classes) f1.push_back(c.scores.f1);
  return f1;
}

}  // namespace

TEST_CASE("tuning: no threshold is better than the one chosen", "[metrics][tuning]") {
  int above_zero = 0;
  for (std::uint32_t round = 0; round < 12; ++round) {
    const std::vector<TuningItem> items = random_items(round);
    const DecisionRules rules{.median_frames = {round % 2 == 0 ? 1 : 3}, .minimum_frames = {round % 3}};
    for (const auto objective : {TuningObjective::kSegmentF1, TuningObjective::kEventF1}) {
      const bool segments = objective == TuningObjective::kSegmentF1;
      const auto tuned = tune_thresholds(3, items, {.objective = objective, .rules = rules});
      REQUIRE(tuned.size() == 3);
      std::vector<double> thresholds;
      for (const TunedClass& c : tuned) thresholds.push_back(c.threshold);
      const std::vector<double> chosen = f1_of(items, rules, thresholds, segments);
      for (int step = -1; step < 12; ++step) {
        const std::vector<double> other = f1_of(items, rules, std::vector<double>(3, (step + 0.5) / 12), segments);
        for (std::size_t c = 0; c < 2; ++c) {
          if (tuned[c].references == 0) continue;
          INFO("round " << round << ", class " << c << ", threshold " << (step + 0.5) / 12);
          CHECK(tuned[c].value == Approx(chosen[c]));
          CHECK(chosen[c] >= other[c] - 1e-12);
          above_zero += chosen[c] > 0 ? 1 : 0;
        }
      }
      CHECK(tuned[2].references == 0);
      CHECK(tuned[2].threshold == 0.5);
      CHECK(std::isnan(tuned[2].value));
    }
  }
  CHECK(above_zero > 100);
  CHECK_THROWS_AS(tune_thresholds(2, random_items(0), {}), Error);
  CHECK(tune_thresholds(3, {}, {}).size() == 3);
}

TEST_CASE("tuning: tags by hand", "[metrics][tuning]") {
  // First class: 0.3 and 0.2 are true, 0.1 is not. Second class: nothing is.
  const std::vector<double> scores = {0.3, 0.5, 0.2, 0.1, 0.1, 0.2};
  const std::vector<std::uint8_t> truth = {1, 0, 1, 0, 0, 0};
  const auto tuned = tune_tag_thresholds(scores, truth, 2);
  CHECK(tuned.at(0).threshold == Approx(0.15));
  CHECK(tuned.at(0).value == 1);
  CHECK(tuned.at(0).references == 2);
  CHECK(tuned.at(1).threshold == 0.5);
  CHECK(std::isnan(tuned.at(1).value));
}

TEST_CASE("intervals: draws are the metrics of the recordings drawn", "[metrics]") {
  // Every draw of equal recordings gives the score itself, so each interval is a point.
  const std::vector<std::string> classes = {"x", "y"};
  const BootstrapOptions options{.draws = 10, .seed = 4};
  const std::vector<double> p = {0.75, 0.25, 0.75, 0.25, 0.75, 0.25};
  const std::vector<std::int32_t> scenes = {0, 0, 0};
  const AscInput asc{.classes = classes, .probabilities = p, .truth = scenes};
  for (const auto& [name, interval] : asc_intervals(asc, options)) {
    const double expected = name == "log_loss" ? -std::log(0.75) : 100;
    CHECK(interval.low == Approx(expected));
    CHECK(interval.high == Approx(expected));
  }
  const std::vector<std::uint8_t> tags = {1, 0, 1, 0, 1, 0};
  for (const auto& [name, interval] : tag_intervals({.classes = classes, .scores = p, .truth = tags}, options)) {
    INFO(name);
    CHECK(interval.defined() == (name != "mean_auc"));  // no negatives of x, no positives of y
    if (interval.defined()) CHECK(interval.low == 1);
  }
  // One clip right, one wrong: three outcomes of two draws, so the accuracy of a draw is 0, 50 or 100.
  const std::vector<std::int32_t> half = {0, 1};
  const AscInput mixed{.classes = classes, .probabilities = std::span(p).first(4), .truth = half};
  const Intervals spread = asc_intervals(mixed, {.draws = 200, .seed = 1});
  CHECK(spread.at(0).first == "accuracy_percent");
  CHECK(spread.at(0).second.low == 0);
  CHECK(spread.at(0).second.high == 100);
  CHECK(asc_intervals(mixed, {}).empty());

  const std::vector<SedItem> items = {{{{0, kSecond, 0}}, {{0, kSecond, 0}}, 2 * kSecond},
                                      {{{0, kSecond, 1}}, {}, 2 * kSecond}};
  std::vector<SedTally> tallies;
  for (const SedItem& item : items) tallies.push_back(segment_tally(2, item, {}));
  const std::vector<std::uint32_t> weights = {3, 1};
  const SegmentMetrics weighted = sum_segments(classes, tallies, {}, weights);
  std::vector<SedItem> repeated = {items[0], items[0], items[0], items[1]};
  const SegmentMetrics expected = segment_metrics(classes, repeated);
  CHECK(weighted.counts == expected.counts);
  CHECK(weighted.segments == expected.segments);
  CHECK(weighted.deletions == expected.deletions);
  CHECK(weighted.macro_f1 == expected.macro_f1);
  const Intervals f1 = segment_intervals(classes, tallies, {}, {.draws = 200, .seed = 1});
  CHECK(f1.at(0).second.low == 0);
  CHECK(f1.at(0).second.high == 1);
  CHECK_THROWS_AS(sum_segments(classes, tallies, {}, std::vector<std::uint32_t>{1}), Error);
}

}  // namespace dcase
