#include "train/metrics/psds.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include <nlohmann/json.hpp>

#include "kernels/common/error.hpp"
#include "kernels/common/philox.hpp"
#include "tests/support/test.hpp"

namespace dcase {

namespace {

constexpr std::int64_t kFrame = 100'000;
constexpr std::int64_t kSecond = 1'000'000;
const std::vector<std::string> kTwo = {"dog", "phone"};

struct Case {
  std::vector<PsdsRecording> recordings;
  std::vector<FrameScores> scores;
};

double psds_of(std::span<const std::string> classes, const Case& c, const PsdsRule& rule) {
  return psds_metrics(classes, c.recordings, [&](std::size_t i) { return c.scores[i]; }, {.rules = {rule}})[0].psds;
}

/// The definition, term by term, over every distinct score: no shared code and no shared idea with the real one.
double psds_by_definition(std::size_t classes, const Case& c, const PsdsRule& rule) {
  struct Point {
    double e, tpr;
  };
  std::vector<std::vector<Point>> curves(classes);
  double hours = 0;
  std::vector<double> references(classes), class_hours(classes);
  std::set<double> thresholds;
  for (std::size_t i = 0; i < c.recordings.size(); ++i) {
    hours += static_cast<double>(c.recordings[i].length) / 3.6e9;
    for (const SoundEvent& y : c.recordings[i].truth) {
      references[static_cast<std::size_t>(y.label)] += 1;
      class_hours[static_cast<std::size_t>(y.label)] += static_cast<double>(y.offset - y.onset) / 3.6e9;
    }
    thresholds.insert(c.scores[i].values.begin(), c.scores[i].values.end());
  }
  const auto common = [](const SoundEvent& a, const SoundEvent& b) {
    return static_cast<double>(std::max<std::int64_t>(0, std::min(a.offset, b.offset) - std::max(a.onset, b.onset)));
  };
  const auto length = [](const SoundEvent& e) { return static_cast<double>(e.offset - e.onset); };
  constexpr double kRounding = 1e-9;  // of shares like 0.7
  for (const double threshold : thresholds) {
    std::vector<double> fp(classes), tp(classes);
    std::vector<std::vector<double>> ct(classes, std::vector<double>(classes));
    for (std::size_t i = 0; i < c.recordings.size(); ++i) {
      const FrameScores& s = c.scores[i];
      Roll roll{.frames = s.frames(), .classes = s.classes};
      for (const double v : s.values) roll.active.push_back(v >= threshold ? 1 : 0);
      const std::vector<SoundEvent> detections = events_of(roll, s.times);
      std::vector<SoundEvent> passing;
      for (const SoundEvent& x : detections) {
        std::vector<double> by_class(classes);
        for (const SoundEvent& y : c.recordings[i].truth) by_class[static_cast<std::size_t>(y.label)] += common(x, y);
        const auto label = static_cast<std::size_t>(x.label);
        if (by_class[label] / length(x) >= rule.dtc - kRounding) {
          passing.push_back(x);
          continue;
        }
        fp[label] += 1;
        for (std::size_t o = 0; o < classes; ++o) {
          if (o != label && rule.cttc > 0 && by_class[o] / length(x) >= rule.cttc - kRounding) ct[label][o] += 1;
        }
      }
      for (const SoundEvent& y : c.recordings[i].truth) {
        double sum = 0;
        for (const SoundEvent& x : passing) sum += x.label == y.label ? common(x, y) : 0;
        if (sum / length(y) >= rule.gtc - kRounding) tp[static_cast<std::size_t>(y.label)] += 1;
      }
    }
    for (std::size_t k = 0; k < classes; ++k) {
      double ctr = 0;
      for (std::size_t o = 0; o < classes; ++o) ctr += class_hours[o] > 0 ? ct[k][o] / class_hours[o] : 0;
      const bool all = rule.cross_mean == PsdsRule::CrossMean::kAll;
      const double e = fp[k] / hours + rule.alpha_ct * ctr / static_cast<double>(classes - (all ? 0 : 1));
      if (references[k] > 0) curves[k].push_back({e, tp[k] / references[k]});
    }
  }
  std::set<double> at = {0};
  for (const auto& curve : curves) {
    for (const Point& p : curve) at.insert(std::min(p.e, rule.e_max));
  }
  at.insert(rule.e_max);
  double area = 0;
  for (auto e = at.begin(); std::next(e) != at.end(); ++e) {
    std::vector<double> tpr;
    for (std::size_t k = 0; k < classes; ++k) {
      if (references[k] == 0) continue;
      double best = 0;
      for (const Point& p : curves[k]) best = p.e <= *e + 1e-9 ? std::max(best, p.tpr) : best;
      tpr.push_back(best);
    }
    double mean = 0, variance = 0;
    for (const double v : tpr) mean += v / static_cast<double>(tpr.size());
    for (const double v : tpr) variance += (v - mean) * (v - mean) / static_cast<double>(tpr.size());
    area += (*std::next(e) - *e) * std::max(0.0, mean - rule.alpha_st * std::sqrt(variance));
  }
  return area / rule.e_max;
}

/// Recordings of random scores with few distinct values, so that ties are common, and frames of uneven length.
Case random_case(std::uint32_t round, std::size_t classes) {
  const RandomKey key{.seed = 7, .purpose = purpose_id("psds"), .step = round};
  std::uint64_t at = 0;
  const auto below = [&](std::uint32_t n) { return static_cast<std::int64_t>(uniform_below(key, at++, n)); };
  Case c;
  for (int i = 0; i < 4; ++i) {
    FrameScores s{.classes = static_cast<std::int64_t>(classes)};
    const std::int64_t frames = below(30);
    std::int64_t time = 0;
    for (std::int64_t t = 0; frames > 0 && t <= frames; ++t, time += (1 + below(2)) * kFrame) s.times.push_back(time);
    for (std::int64_t v = 0; v < frames * s.classes; ++v) s.values.push_back(static_cast<double>(below(9)) / 8);
    PsdsRecording r{.length = 60 * kSecond};
    for (std::int64_t e = below(5); e > 0; --e) {
      const std::int64_t onset = below(30) * kFrame;
      r.truth.push_back({onset, onset + (1 + below(12)) * kFrame, static_cast<std::int32_t>(below(3) % 3)});
    }
    c.recordings.push_back(r);
    c.scores.push_back(s);
  }
  return c;
}

}  // namespace

TEST_CASE("psds: one class by hand", "[metrics][psds]") {
  // 36 s, so one false positive is 100 an hour. Dog sounds over frames 2..4; scores rise there, and once outside.
  Case c;
  c.recordings = {{{{2 * kFrame, 5 * kFrame, 0}}, 36 * kSecond}};
  c.scores = {frame_scores({0.1, 0.2, 0.9, 0.8, 0.7, 0.2, 0.1, 0.6, 0.1}, 1, kFrame)};
  const std::vector<std::string> dog = {"dog"};
  // 0.9: one third found. 0.8: two thirds, below 0.7 still. 0.7: found, at no false positive.
  CHECK(psds_of(dog, c, psds1()) == 1);
  // Half of the frames of the event are too low: it is found together with the false positive, at e = e_max.
  c.scores = {frame_scores({0.1, 0.2, 0.9, 0.3, 0.3, 0.2, 0.1, 0.6, 0.1}, 1, kFrame)};
  CHECK(psds_of(dog, c, psds1()) == 0);
  PsdsRule wide = psds1();
  wide.e_max = 400;
  CHECK(psds_of(dog, c, wide) == Approx(0.75).epsilon(1e-14));
  CHECK(psds_of(dog, c, {.gtc = 0.3, .e_max = 400}) == 1);
}

TEST_CASE("psds: cross triggers cost what the class they hit is short", "[metrics][psds]") {
  // Phone is detected where the dog is: one false positive (10 an hour in 6 minutes) and one cross trigger for the dog,
  // which sounds 3.6 s = 0.001 hours: 1000 an hour, of which alpha 0.5 over one other class gives 500.
  Case c;
  c.recordings = {{{{0, 36 * kFrame, 0}, {100 * kFrame, 110 * kFrame, 1}}, 360 * kSecond}};
  std::vector<double> values(std::size_t{120} * 2);
  for (std::size_t t = 0; t < 120; ++t) {
    values[2 * t] = t < 36 ? 0.9 : 0;
    values[2 * t + 1] = t < 36 ? 0.8 : t >= 100 && t < 110 ? 0.7 : 0;
  }
  c.scores = {frame_scores(values, 2, kFrame)};
  PsdsRule rule = psds2();
  rule.alpha_st = 0;
  rule.e_max = 1000;
  // dog 1 from e = 0, phone 1 from e = 510
  CHECK(psds_of(kTwo, c, rule) == Approx((510 * 0.5 + 490) / 1000).epsilon(1e-12));
  rule.cross_mean = PsdsRule::CrossMean::kAll;  // 250 instead of 500
  CHECK(psds_of(kTwo, c, rule) == Approx((260 * 0.5 + 740) / 1000).epsilon(1e-12));
  rule.alpha_st = 1;  // mean 0.5, deviation 0.5 while one class is found
  CHECK(psds_of(kTwo, c, rule) == Approx(0.74).epsilon(1e-12));
}

TEST_CASE("psds: equal to its definition on random scores with ties", "[metrics][psds]") {
  const std::vector<std::string> classes = {"a", "b", "c"};
  int counted = 0;
  for (std::uint32_t round = 0; round < 60; ++round) {
    const Case c = random_case(round, 3);
    PsdsRule first = psds1();
    PsdsRule second = psds2();
    first.e_max = second.e_max = 2000;  // of four minutes with many false positives
    first.dtc = first.gtc = 0.4;
    if (round % 2 == 1) second.cross_mean = PsdsRule::CrossMean::kAll;
    for (const PsdsRule& rule : {first, second}) {
      const double expected = psds_by_definition(3, c, rule);
      INFO("round " << round << ", " << rule.name);
      if (std::isnan(psds_of(classes, c, rule))) {
        CHECK(std::all_of(c.recordings.begin(), c.recordings.end(), [](const auto& r) { return r.truth.empty(); }));
        continue;
      }
      CHECK(psds_of(classes, c, rule) == Approx(expected).margin(1e-9));
      counted += expected > 0 ? 1 : 0;
    }
  }
  CHECK(counted > 60);
}

TEST_CASE("psds: the same whatever memory there is, and both rules at once", "[metrics][psds]") {
  const std::vector<std::string> classes = {"a", "b", "c"};
  const Case c = random_case(3, 3);
  std::size_t loads = 0;
  const LoadScores load = [&](std::size_t i) {
#pragma omp atomic
    ++loads;
    return c.scores[i];
  };
  const auto run = [&](std::uint64_t memory) {
    loads = 0;
    return psds_metrics(classes, c.recordings, load,
                        {.rules = {psds1(), psds2()}, .bootstrap = {.draws = 20}, .memory_bytes = memory});
  };
  const auto all = run(std::uint64_t{1} << 30U);
  CHECK(loads == 4);
  const auto tight = run(1);
  CHECK(loads == 12);  // one class at a time
  REQUIRE(all.size() == 2);
  for (std::size_t r = 0; r < 2; ++r) {
    CHECK(to_json(all[r]).dump() == to_json(tight[r]).dump());
    CHECK(all[r].interval.low <= all[r].interval.high);
  }
}

TEST_CASE("psds: without references, hours or frames", "[metrics][psds]") {
  const auto metrics = [](const Case& c) {
    return psds_metrics(kTwo, c.recordings, [&](std::size_t i) { return c.scores[i]; }, {.rules = {psds2()}})[0];
  };
  Case c{.recordings = {{{}, kSecond}}, .scores = {frame_scores({0.5, 0.5}, 2, kFrame)}};
  CHECK(std::isnan(metrics(c).psds));
  CHECK(metrics(c).classes_without_references == 2);
  c.recordings[0].truth = {{0, kFrame, 0}, {0, 0, 1}};  // the second has no length
  CHECK(metrics(c).psds == 1);
  CHECK(metrics(c).classes_without_references == 1);
  c.scores[0] = frame_scores({}, 2, kFrame);
  CHECK(metrics(c).psds == 0);
  c.recordings[0].length = 0;
  CHECK(std::isnan(metrics(c).psds));
  CHECK(std::isnan(metrics({}).psds));
  CHECK(to_json(metrics({}))["psds"].is_null() == false);  // NaN is null once it is text
  CHECK(nlohmann::json::parse(to_json(metrics({})).dump())["psds"].is_null());
}

TEST_CASE("psds: bad input is refused", "[metrics][psds]") {
  const Case c = random_case(1, 3);
  const auto refused = [&](const PsdsRule& rule) {
    try {
      static_cast<void>(psds_of(std::vector<std::string>{"a", "b", "c"}, c, rule));
    } catch (const Error& error) {
      return error.kind() == ErrorKind::kArgument;
    }
    return false;
  };
  CHECK(refused({.dtc = 0}));
  CHECK(refused({.gtc = 1.1}));
  CHECK(refused({.cttc = 0.3}));  // without alpha_ct
  CHECK(refused({.alpha_ct = 0.5}));
  CHECK(refused({.alpha_st = -1}));
  CHECK(refused({.e_max = 0}));
  CHECK_THROWS_AS(psds_of(kTwo, c, psds1()), Error);  // scores of three classes
  Case bad = {.recordings = {{{}, kSecond}}, .scores = {frame_scores({0.5, NAN}, 2, kFrame)}};
  CHECK_THROWS_AS(psds_of(kTwo, bad, psds1()), Error);
  bad.scores = {{.classes = 2, .times = {0, 0}, .values = {0.5, 0.5}}};
  CHECK_THROWS_AS(psds_of(kTwo, bad, psds1()), Error);
}

TEST_CASE("frame scores: filtered scores decide as decisions do, at every threshold", "[metrics][psds]") {
  const RandomKey key{.seed = 3, .purpose = purpose_id("filters"), .step = 0};
  std::uint64_t at = 0;
  for (int round = 0; round < 200; ++round) {
    const auto frames = static_cast<std::int64_t>(uniform_below(key, at++, 12));
    std::vector<double> values;
    for (std::int64_t i = 0; i < 2 * frames; ++i) values.push_back(static_cast<double>(uniform_below(key, at++, 5)));
    const auto length = [&](std::uint32_t n) { return static_cast<std::int64_t>(uniform_below(key, at++, n)); };
    DecisionRules rules = {.median_frames = {1 + 2 * length(3), 1},
                           .close_gap_frames = {length(4), length(9)},
                           .minimum_frames = {length(5), length(14)}};
    const FrameScores smooth = filtered(frame_scores(values, 2, kFrame), rules);
    for (const double threshold : {-1.0, 0.5, 1.5, 2.5, 3.5, 4.5}) {
      rules.thresholds = {threshold};
      const Roll expected = decide(values, frames, 2, rules);
      const Roll found = decide(smooth.values, frames, 2, {.thresholds = {threshold}});
      REQUIRE(found.active == expected.active);
    }
  }
}

TEST_CASE("bootstrap: weights and intervals", "[metrics]") {
  const BootstrapOptions options{.draws = 400, .seed = 1, .confidence = 0.9};
  const auto weights = draw_weights(options, 5, 10);
  CHECK(std::accumulate(weights.begin(), weights.end(), 0U) == 10);
  CHECK(weights == draw_weights(options, 5, 10));
  CHECK(weights != draw_weights(options, 6, 10));
  CHECK(draw_weights(options, 0, 0).empty());
  const Interval i = percentile_interval({NAN, 4, 0, 1, 2, 3}, 0.5);
  CHECK(i.low == 1);
  CHECK(i.high == 3);
  CHECK_FALSE(percentile_interval({NAN}, 0.9).defined());
  CHECK(to_json(Interval{}).is_null());
  // The mean of 100 values 0 and 1, half of each: deviation 0.05, so 90 % lie within 0.0822 of 0.5.
  const auto mean = [](std::span<const std::uint32_t> w) {
    double sum = 0;
    for (std::size_t k = 0; k < w.size(); k += 2) sum += w[k];
    return std::vector<double>{sum / static_cast<double>(w.size())};
  };
  const auto intervals = bootstrap(options, 100, mean);
  REQUIRE(intervals.size() == 1);
  CHECK(intervals[0].low == Approx(0.4178).margin(0.02));
  CHECK(intervals[0].high == Approx(0.5822).margin(0.02));
  CHECK(bootstrap({}, 100, mean).empty());
  CHECK_THROWS_AS(bootstrap({.draws = -1}, 1, mean), Error);
  CHECK_THROWS_AS(bootstrap({.draws = 1, .confidence = 1}, 1, mean), Error);
}

}  // namespace dcase
