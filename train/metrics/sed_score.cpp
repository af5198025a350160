#include "train/metrics/sed_score.hpp"

#include <nlohmann/json.hpp>

#include "kernels/common/error.hpp"

namespace dcase {

namespace detail {

void check_item(std::int64_t classes, const SedItem& item) {
  DCASE_CHECK(classes > 0, "sed_metrics: no classes");
  DCASE_CHECK(item.length >= 0 && item.length <= kLatestMicrosecond, "sed_metrics: an item has the length ",
              item.length);
  for (const auto* events : {&item.truth, &item.output}) {
    for (const SoundEvent& e : *events) {
      DCASE_CHECK(e.label >= 0 && e.label < classes, "sed_metrics: an event of class ", e.label, " of ", classes);
      DCASE_CHECK(e.onset >= 0 && e.onset <= e.offset && e.offset <= kLatestMicrosecond, "sed_metrics: an event from ",
                  e.onset, " to ", e.offset, " microseconds");
    }
  }
}

std::vector<SedTally::Row> rows_of(std::span<const Counts> classes) {
  std::vector<SedTally::Row> rows;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    if (classes[c].references() + classes[c].outputs() > 0) rows.push_back({static_cast<std::int32_t>(c), classes[c]});
  }
  return rows;
}

std::int64_t add_tallies(SedScore& score, std::span<const std::string> classes, std::span<const SedTally> tallies,
                         std::span<const std::uint32_t> weights) {
  DCASE_CHECK(!classes.empty(), "sed_metrics: no classes");
  DCASE_CHECK(weights.empty() || weights.size() == tallies.size(), "sed_metrics: ", weights.size(), " weights for ",
              tallies.size(), " recordings");
  for (const std::string& name : classes) score.classes.push_back({.name = name});
  std::int64_t segments = 0;
  for (std::size_t i = 0; i < tallies.size(); ++i) {
    const std::int64_t weight = weights.empty() ? 1 : std::int64_t{weights[i]};
    for (const SedTally::Row& row : tallies[i].rows) {
      const auto label = static_cast<std::size_t>(row.label);
      DCASE_CHECK(row.label >= 0 && label < classes.size(), "sed_metrics: counts of class ", row.label, " of ",
                  classes.size());
      score.classes[label].counts +=
          {.tp = weight * row.counts.tp, .fp = weight * row.counts.fp, .fn = weight * row.counts.fn};
    }
    score.substitutions += weight * tallies[i].substitutions;
    score.deletions += weight * tallies[i].deletions;
    score.insertions += weight * tallies[i].insertions;
    segments += weight * tallies[i].segments;
  }
  return segments;
}

void finish_sed_score(SedScore& score, UndefinedRule rule) {
  std::vector<double> f1;
  std::vector<double> error_rates;
  for (SedClass& c : score.classes) {
    c.scores = ratios(c.counts, rule);
    score.counts += c.counts;
    score.classes_without_data += c.has_data() ? 0 : 1;
    f1.push_back(c.scores.f1);
    error_rates.push_back(c.scores.error_rate);
  }
  score.macro_f1 = mean_defined(f1);
  score.macro_error_rate = mean_defined(error_rates);
  score.scores = ratios(score.counts, rule);
  const auto references = static_cast<double>(score.counts.references());
  score.substitution_rate = ratio(static_cast<double>(score.substitutions), references);
  score.deletion_rate = ratio(static_cast<double>(score.deletions), references);
  score.insertion_rate = ratio(static_cast<double>(score.insertions), references);
  score.scores.error_rate =
      ratio(static_cast<double>(score.substitutions + score.deletions + score.insertions), references);
}

}  // namespace detail

namespace {

using Json = nlohmann::ordered_json;

[[nodiscard]] Json score_json(const SedScore& s) {
  Json json = {{"f1", s.scores.f1},
               {"error_rate", s.scores.error_rate},
               {"precision", s.scores.precision},
               {"recall", s.scores.recall},
               {"substitution_rate", s.substitution_rate},
               {"deletion_rate", s.deletion_rate},
               {"insertion_rate", s.insertion_rate},
               {"macro_f1", s.macro_f1},
               {"macro_error_rate", s.macro_error_rate},
               {"true_positives", s.counts.tp},
               {"outputs", s.counts.outputs()},
               {"references", s.counts.references()},
               {"substitutions", s.substitutions},
               {"deletions", s.deletions},
               {"insertions", s.insertions},
               {"classes_without_data", s.classes_without_data}};
  Json classes = Json::object();
  for (const SedClass& c : s.classes) {
    classes[c.name] = {{"f1", c.scores.f1},
                       {"error_rate", c.scores.error_rate},
                       {"precision", c.scores.precision},
                       {"recall", c.scores.recall},
                       {"true_positives", c.counts.tp},
                       {"outputs", c.counts.outputs()},
                       {"references", c.counts.references()}};
  }
  json["classes"] = std::move(classes);
  return json;
}

[[nodiscard]] double seconds(std::int64_t microseconds) { return static_cast<double>(microseconds) / 1e6; }

}  // namespace

Json to_json(const SegmentMetrics& m) {
  Json json = {{"segment_seconds", seconds(m.options.segment_us)},
               {"undefined", undefined_rule_name(m.options.undefined)},
               {"segments", m.segments}};
  json.update(score_json(m));
  json["chance"] = {{"everything_on_f1", m.everything_on_f1}};
  return json;
}

Json to_json(const EventMetrics& m) {
  Json json = {{"collar_seconds", seconds(m.options.collar_us)},
               {"offset_share", m.options.offset_share},
               {"test_offset", m.options.test_offset},
               {"matching", m.options.matching == EventOptions::Matching::kOptimal ? "optimal" : "greedy"},
               {"undefined", undefined_rule_name(m.options.undefined)}};
  json.update(score_json(m));
  return json;
}

Json to_json(const ReferenceSedMetrics& m) {
  return {{"block_frames", m.block_frames}, {"f1", m.f1}, {"error_rate", m.error_rate}};
}

Json to_json(const DecisionRules& rules) {
  const auto lengths = [](const std::vector<std::int64_t>& values) {
    return values.size() == 1 ? Json(values[0]) : Json(values);
  };
  return {{"thresholds", rules.thresholds},
          {"median_frames", lengths(rules.median_frames)},
          {"close_gap_frames", lengths(rules.close_gap_frames)},
          {"minimum_frames", lengths(rules.minimum_frames)}};
}

}  // namespace dcase
