#include "train/metrics/sed_metrics.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include <nlohmann/json.hpp>

#include "engine/archive.hpp"
#include "kernels/common/philox.hpp"
#include "tests/support/test.hpp"

namespace dcase {

namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kFrame = 100'000;
constexpr double kHalf = 0.5;
const std::vector<std::string> kTwo = {"dog", "phone"};
const std::vector<std::string> kThree = {"dog", "phone", "fire"};

SoundEvent seconds(double onset, double offset, int label) {
  return {microseconds(onset), microseconds(offset), label};
}

/// Rolls of a group of the reference file: every file alone.
std::vector<Roll> golden_rolls(const Archive& file, const std::string& name, bool probabilities) {
  const std::vector<std::int64_t>& shape = file.info(name).shape;
  std::vector<Roll> rolls;
  const auto size = static_cast<std::size_t>(shape[1] * shape[2]);
  const std::vector<double> values = file.doubles(name);
  for (std::int64_t i = 0; i < shape[0]; ++i) {
    const std::span<const double> part(values.data() + static_cast<std::size_t>(i) * size, size);
    rolls.push_back(decide(part, shape[1], shape[2], {.thresholds = {probabilities ? 0.3 : kHalf}}));
  }
  return rolls;
}

std::vector<SedItem> items_of(const std::vector<Roll>& truth, const std::vector<Roll>& output) {
  std::vector<SedItem> items;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    items.push_back({events_of(truth[i], kFrame), events_of(output[i], kFrame), truth[i].frames * kFrame});
  }
  return items;
}

}  // namespace

TEST_CASE("sed events: probabilities become decisions in the stated order", "[metrics][sed]") {
  const auto run = [](std::vector<double> p, const DecisionRules& rules) {
    const Roll roll = decide(p, static_cast<std::int64_t>(p.size()), 1, rules);
    return std::string(roll.active.begin(), roll.active.end());
  };
  const auto bits = [](const std::string& text) {
    std::string out;
    for (const char c : text) out += static_cast<char>(c - '0');
    return out;
  };
  const auto from = [](const std::string& text) {
    std::vector<double> p;
    for (const char c : text) p.push_back(c == '1' ? 0.9 : 0.1);
    return p;
  };
  CHECK(run({0.3, 0.30001, 0.5, 0.1}, {.thresholds = {0.3}}) == bits("0110"));  // strictly above
  CHECK(run(from("0100110111"), {.median_frames = {3}}) == bits("0000111111"));
  CHECK(run(from("1001"), {.median_frames = {3}}) == bits("1001"));  // mirrored ends
  CHECK(run(from("10110001"), {.close_gap_frames = {1}}) == bits("11110001"));
  CHECK(run(from("00110100"), {.close_gap_frames = {9}}) == bits("00111100"));  // pauses at the ends stay
  CHECK(run(from("10110111"), {.minimum_frames = {3}}) == bits("00000111"));
  CHECK(run(from("10110000"), {.close_gap_frames = {1}, .minimum_frames = {4}}) ==
        bits("11110000"));  // closed, then kept
  CHECK(run(from("1"), {.median_frames = {7}}) == bits("1"));
  CHECK(run({}, {.median_frames = {7}}).empty());
  // one threshold a class
  const Roll two = decide(std::vector<double>{0.4, 0.4}, 1, 2, {.thresholds = {0.3, 0.5}});
  CHECK(two.at(0, 0));
  CHECK_FALSE(two.at(0, 1));

  CHECK_THROWS_AS(decide(std::vector<double>{NAN}, 1, 1, {}), Error);
  CHECK_THROWS_AS(decide(std::vector<double>{0.1}, 2, 1, {}), Error);
  CHECK_THROWS_AS(decide(std::vector<double>{0.1}, 1, 1, {.thresholds = {0.1, 0.2}}), Error);
  CHECK_THROWS_AS(decide(std::vector<double>{0.1}, 1, 1, {.median_frames = {4}}), Error);
  CHECK_THROWS_AS(decide(std::vector<double>{0.1}, 1, 1, {.median_frames = {kLongestMedian + 2}}), Error);
  CHECK_THROWS_AS(decide(std::vector<double>{0.1}, 1, 1, {.minimum_frames = {-1}}), Error);
  CHECK_THROWS_AS(decide(std::vector<double>{0.1}, 1, 1, {.minimum_frames = {1, 1}}), Error);
}

TEST_CASE("sed events: runs of frames and microseconds", "[metrics][sed]") {
  const std::vector<std::uint8_t> labels = {1, 0, 1, 1, 0, 1, 1, 0};  // [4,2]
  const Roll roll = roll_of(labels, 4, 2);
  CHECK(events_of(roll, kFrame) ==
        std::vector<SoundEvent>{{0, 2 * kFrame, 0}, {3 * kFrame, 4 * kFrame, 0}, {kFrame, 3 * kFrame, 1}});
  CHECK(microseconds(0.1) * 3 == microseconds(0.3));
  CHECK(microseconds(3.0000000001) == 3 * kSecond);
  CHECK_THROWS_AS(microseconds(NAN), Error);
  CHECK_THROWS_AS(microseconds(1e300), Error);
  CHECK_THROWS_AS(roll_of(std::vector<std::uint8_t>{2}, 1, 1), Error);
}

TEST_CASE("sed metrics: segments by hand", "[metrics][sed]") {
  // Three seconds. Truth: dog [0.5,1.2) -> segments 0,1; phone [2,3) -> 2.
  // Output: dog [0,1.0) -> 0; phone [1.5,2.1) -> 1,2; fire [2.9,3.0) -> 2, and [5,6) beyond the end.
  const std::vector<SedItem> items = {{{seconds(0.5, 1.2, 0), seconds(2, 3, 1)},
                                       {seconds(0, 1, 0), seconds(1.5, 2.1, 1), seconds(2.9, 3, 2), seconds(5, 6, 2)},
                                       3 * kSecond}};
  const SegmentMetrics m = segment_metrics(kThree, items);
  CHECK(m.segments == 3);
  CHECK(m.counts == Counts{.tp = 2, .fp = 2, .fn = 1});
  CHECK(m.substitutions == 1);  // segment 1: phone for dog
  CHECK(m.deletions == 0);
  CHECK(m.insertions == 1);  // segment 2: fire
  CHECK(m.scores.error_rate == Approx(2.0 / 3).epsilon(1e-14));
  CHECK(m.scores.precision == 0.5);
  CHECK(m.scores.recall == Approx(2.0 / 3).epsilon(1e-14));
  CHECK(m.scores.f1 == Approx(4.0 / 7).epsilon(1e-14));
  CHECK(m.classes[0].scores.f1 == Approx(2.0 / 3).epsilon(1e-14));
  CHECK(m.classes[0].scores.error_rate == 0.5);
  CHECK(m.classes[2].scores.f1 == 0);
  CHECK(std::isnan(m.classes[2].scores.error_rate));  // insertions over no references
  CHECK(m.macro_f1 == Approx((2.0 / 3 + 2.0 / 3) / 3).epsilon(1e-14));
  CHECK(m.macro_error_rate == Approx((0.5 + 1) / 2).epsilon(1e-14));
  CHECK(m.everything_on_f1 == Approx(2.0 * 3 / (3 + 9)).epsilon(1e-14));

  // Other segment lengths: 0.5 s makes six segments of dog 1,2 and phone 4,5.
  const SegmentMetrics half = segment_metrics(kThree, items, {.segment_us = kSecond / 2});
  CHECK(half.segments == 6);
  CHECK(half.classes[0].counts == Counts{.tp = 1, .fp = 1, .fn = 1});
  CHECK(half.classes[1].counts == Counts{.tp = 1, .fp = 1, .fn = 1});
}

TEST_CASE("sed metrics: a class that is never detected scores zero, or is skipped as sed_eval does", "[metrics][sed]") {
  const std::vector<SedItem> items = {{{seconds(0, 2, 0), seconds(0, 1, 1)}, {seconds(0, 2, 0)}, 2 * kSecond}};
  const SegmentMetrics m = segment_metrics(kThree, items);
  CHECK(m.classes[1].scores.f1 == 0);
  CHECK(m.classes[1].scores.precision == 0);
  CHECK(std::isnan(m.classes[2].scores.f1));
  CHECK(m.classes_without_data == 1);
  CHECK(m.macro_f1 == 0.5);
  const SegmentMetrics compat = segment_metrics(kThree, items, {.undefined = UndefinedRule::kSedEval});
  CHECK(std::isnan(compat.classes[1].scores.f1));
  CHECK(compat.macro_f1 == 1);
  const auto json = nlohmann::json::parse(to_json(compat).dump());
  CHECK(json["classes"]["phone"]["f1"].is_null());
  CHECK(json["undefined"] == "sed_eval");

  const SegmentMetrics silent = segment_metrics(kThree, std::vector<SedItem>{{{seconds(0, 1, 0)}, {}, kSecond}});
  CHECK(silent.scores.f1 == 0);
  CHECK(silent.scores.error_rate == 1);
  const SegmentMetrics none = segment_metrics(kThree, {});
  CHECK(std::isnan(none.scores.f1));
  CHECK(std::isnan(none.scores.error_rate));
  CHECK(std::isnan(none.everything_on_f1));
}

TEST_CASE("sed metrics: events by hand", "[metrics][sed]") {
  const auto matches = [](SoundEvent truth, SoundEvent output, EventOptions options = {}) {
    return event_metrics(kTwo, std::vector<SedItem>{{{truth}, {output}, 100 * kSecond}}, options).counts.tp == 1;
  };
  const SoundEvent truth = seconds(1, 3, 0);
  CHECK(matches(truth, seconds(1.2, 3, 0)));  // exactly at the collar
  CHECK(matches(truth, seconds(0.8, 3, 0)));
  CHECK_FALSE(matches(truth, seconds(1.200001, 3, 0)));
  CHECK_FALSE(matches(truth, seconds(1, 3, 1)));
  CHECK(matches(truth, seconds(1, 4, 0)));  // half of two seconds
  CHECK_FALSE(matches(truth, seconds(1, 4.000001, 0)));
  CHECK(matches(truth, seconds(1, 3.4, 0), {.offset_share = 0.2}));
  CHECK_FALSE(matches(truth, seconds(1, 3.5, 0), {.offset_share = 0.2}));
  CHECK(matches(truth, seconds(1, 99, 0), {.test_offset = false}));
  const SoundEvent brief = seconds(1, 1.1, 0);
  CHECK(matches(brief, seconds(1, 1.3, 0)));  // the collar is the least tolerance
  CHECK_FALSE(matches(brief, seconds(1, 1.4, 0)));
}

TEST_CASE("sed metrics: substitutions, deletions and insertions of events", "[metrics][sed]") {
  const std::vector<SedItem> items = {{{seconds(1, 2, 0), seconds(4, 5, 0), seconds(7, 8, 1)},
                                       {seconds(1, 2, 1), seconds(4, 5, 0), seconds(4, 5, 1), seconds(9, 9.5, 0)},
                                       10 * kSecond}};
  const EventMetrics m = event_metrics(kTwo, items);
  CHECK(m.counts == Counts{.tp = 1, .fp = 3, .fn = 2});
  CHECK(m.substitutions == 1);  // phone for dog at 1 s; at 4 s the dog is already matched
  CHECK(m.deletions == 1);
  CHECK(m.insertions == 2);
  CHECK(m.scores.error_rate == Approx(4.0 / 3).epsilon(1e-14));
  CHECK(m.scores.f1 == Approx(2.0 / 7).epsilon(1e-14));
}

TEST_CASE("sed metrics: the best matching finds pairs that a greedy one loses", "[metrics][sed]") {
  // The first reference fits both outputs and takes the earlier; the second fits that one only.
  const std::vector<SedItem> items = {
      {{seconds(1.0, 2, 0), seconds(1.05, 1.5, 0)}, {seconds(0.95, 1.7, 0), seconds(1.1, 2.3, 0)}, 10 * kSecond}};
  CHECK(event_metrics(kTwo, items).counts.tp == 2);
  CHECK(event_metrics(kTwo, items, {.matching = EventOptions::Matching::kGreedy}).counts.tp == 1);
}

TEST_CASE("sed metrics: the matching is the largest there is", "[metrics][sed]") {
  // Against all assignments of up to six references.
  const RandomKey key{.seed = 5, .purpose = purpose_id("matching"), .step = 0};
  std::uint64_t at = 0;
  int improved = 0;
  for (int round = 0; round < 300; ++round) {
    SedItem item{.length = 100 * kSecond};
    const auto draw = [&] {
      const auto onset = static_cast<std::int64_t>(uniform_below(key, at++, 8)) * kFrame;
      return SoundEvent{onset, onset + (1 + static_cast<std::int64_t>(uniform_below(key, at++, 6))) * kFrame, 0};
    };
    for (int i = 0; i < 6; ++i) item.truth.push_back(draw());
    for (int i = 0; i < 6; ++i) item.output.push_back(draw());
    const auto fits = [&](const SoundEvent& r, const SoundEvent& e) {
      return std::abs(r.onset - e.onset) <= 2 * kFrame &&
             std::abs(r.offset - e.offset) <= std::max(2 * kFrame, (r.offset - r.onset) / 2);
    };
    const std::function<std::int64_t(std::size_t, unsigned)> best = [&](std::size_t r, unsigned used) {
      if (r == item.truth.size()) return std::int64_t{0};
      std::int64_t most = best(r + 1, used);
      for (std::size_t e = 0; e < item.output.size(); ++e) {
        if ((used >> e & 1U) == 0 && fits(item.truth[r], item.output[e])) {
          most = std::max(most, 1 + best(r + 1, used | 1U << e));
        }
      }
      return most;
    };
    const std::int64_t expected = best(0, 0);
    const std::vector<SedItem> items = {item};
    REQUIRE(event_metrics(kTwo, items).counts.tp == expected);
    const std::int64_t greedy = event_metrics(kTwo, items, {.matching = EventOptions::Matching::kGreedy}).counts.tp;
    REQUIRE(greedy <= expected);
    improved += greedy < expected ? 1 : 0;
  }
  CHECK(improved > 0);
}

TEST_CASE("sed metrics: bad input is refused", "[metrics][sed]") {
  const auto refused = [](const SedItem& item) {
    try {
      static_cast<void>(segment_metrics(kTwo, std::vector<SedItem>{item}));
    } catch (const Error& error) {
      return error.kind() == ErrorKind::kArgument;
    }
    return false;
  };
  CHECK(refused({{seconds(1, 2, 2)}, {}, kSecond}));
  CHECK(refused({{}, {seconds(1, 2, -1)}, kSecond}));
  CHECK(refused({{{2, 1, 0}}, {}, kSecond}));
  CHECK(refused({{{-1, 1, 0}}, {}, kSecond}));
  CHECK(refused({{}, {}, -1}));
  CHECK_THROWS_AS(segment_metrics(kTwo, {}, {.segment_us = 0}), Error);
  CHECK_THROWS_AS(event_metrics(kTwo, {}, {.offset_share = 2}), Error);
  CHECK_THROWS_AS(reference_sed_metrics({}, {}, 1), Error);
}

TEST_CASE("sed metrics: the released blocks drop their last frame and the incomplete block", "[metrics][sed]") {
  // Seven frames in blocks of three: frames 2 and 5 are not looked at, block 2 is frame 6 alone.
  const std::vector<Roll> truth = {roll_of(std::vector<std::uint8_t>{0, 0, 1, 1, 0}, 5, 1),
                                   roll_of(std::vector<std::uint8_t>{1, 1}, 2, 1)};
  const std::vector<Roll> output = {roll_of(std::vector<std::uint8_t>{1, 0, 0, 0, 1}, 5, 1),
                                    roll_of(std::vector<std::uint8_t>{0, 0}, 2, 1)};
  const ReferenceSedMetrics m = reference_sed_metrics(truth, output, 3);
  // truth blocks 0,1,1; output blocks 1,1,0: TP 1, Nref 2, Nsys 2; complete blocks: one insertion, one reference
  CHECK(m.f1 == Approx(0.5).margin(1e-7));
  CHECK(m.error_rate == 1);
  CHECK(std::isnan(reference_sed_metrics({}, {}).error_rate));
  CHECK(reference_sed_metrics({}, {}).f1 == 0);
}

TEST_CASE("sed metrics: the reference file", "[metrics][sed][golden]") {
  const Archive file = Archive::open(test::golden("metrics.safetensors"));
  const std::vector<std::string> classes(14, "c");
  for (const std::string group : {"sed.", "sed_ragged."}) {
    INFO(group);
    const std::vector<Roll> truth = golden_rolls(file, group + "truth", false);
    const std::vector<Roll> output = golden_rolls(file, group + "prob", true);
    const auto number = [&](const std::string& name) { return file.doubles(group + name)[0]; };
    for (const int block : {50, 10}) {
      const ReferenceSedMetrics released = reference_sed_metrics(truth, output, block);
      CHECK(std::abs(released.f1 - number(concat("released_f1_block", block))) <= 1e-9);
      CHECK(std::abs(released.error_rate - number(concat("released_er_block", block))) <= 1e-9);
    }
    const std::vector<SedItem> items = items_of(truth, output);
    const SegmentMetrics s = segment_metrics(classes, items);
    CHECK(std::vector<std::int64_t>{s.counts.tp, s.counts.fp, s.counts.fn, s.counts.references(), s.counts.outputs(),
                                    s.substitutions, s.deletions,
                                    s.insertions} == file.integers(group + "seg1s_counts"));
    CHECK(std::abs(s.scores.f1 - number("seg1s_f1")) <= 1e-12);
    CHECK(std::abs(s.scores.error_rate - number("seg1s_er")) <= 1e-12);
    const EventMetrics e = event_metrics(classes, items);
    CHECK(std::vector<std::int64_t>{e.counts.tp, e.counts.outputs(), e.counts.references()} ==
          file.integers(group + "event200ms_counts"));
    CHECK(std::abs(e.scores.f1 - number("event200ms_f1")) <= 1e-12);
    CHECK(std::abs(e.scores.error_rate - number("event200ms_er")) <= 1e-12);
    const EventMetrics onset = event_metrics(classes, items, {.test_offset = false});
    CHECK(std::vector<std::int64_t>{onset.counts.tp, onset.counts.outputs(), onset.counts.references()} ==
          file.integers(group + "event200ms_onset_counts"));
    CHECK(std::abs(onset.scores.f1 - number("event200ms_onset_f1")) <= 1e-12);
  }
}

}  // namespace dcase
