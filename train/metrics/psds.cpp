#include "train/metrics/psds.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>
#include <numeric>

#include <nlohmann/json.hpp>

#include "kernels/common/error.hpp"
#include "train/metrics/counts.hpp"
#include "train/metrics/psds_sweep.hpp"

namespace dcase {

namespace {

using detail::PsdsChange;
using detail::PsdsChanges;
using detail::PsdsCross;

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kMicrosecondsPerHour = 3.6e9;

/// The lowest effective false positive rate at which a class has k true positives or more: [references + 1], rising.
using Staircase = std::vector<double>;

/// What the rates are relative to, of the recordings with weights.
struct Totals {
  double hours = 0;
  std::vector<std::int64_t> references;  // [K]
  std::vector<double> class_hours;       // [K]
};

[[nodiscard]] Totals totals_of(std::size_t classes, std::span<const PsdsRecording> recordings,
                               std::span<const std::uint32_t> weights) {
  Totals totals{.references = std::vector<std::int64_t>(classes), .class_hours = std::vector<double>(classes)};
  for (std::size_t i = 0; i < recordings.size(); ++i) {
    const auto weight = weights.empty() ? 1U : weights[i];
    totals.hours += weight * (static_cast<double>(recordings[i].length) / kMicrosecondsPerHour);
    for (const SoundEvent& e : recordings[i].truth) {
      if (e.offset == e.onset) continue;
      const auto label = static_cast<std::size_t>(e.label);
      totals.references[label] += weight;
      totals.class_hours[label] += weight * (static_cast<double>(e.offset - e.onset) / kMicrosecondsPerHour);
    }
  }
  return totals;
}

/// Lets the threshold fall through the sorted changes of the rule and those of all rules.
[[nodiscard]] Staircase staircase(const PsdsChanges& changes, const PsdsChanges& common, std::size_t label,
                                  const PsdsRule& rule, const Totals& totals, std::span<const std::uint32_t> weights) {
  Staircase lowest(static_cast<std::size_t>(totals.references[label]) + 1, kNever);
  lowest[0] = 0;
  const auto others =
      static_cast<double>(totals.references.size() - (rule.cross_mean == PsdsRule::CrossMean::kOther ? 1 : 0));
  const auto weight_of = [&](std::uint32_t recording) {
    return weights.empty() ? std::int64_t{1} : std::int64_t{weights[recording]};
  };
  std::int64_t false_positives = 0;
  std::int64_t found = 0;
  double crossed = 0;  // sum over the other classes of CTR
  auto count = changes.counts.begin();
  auto silent = common.counts.begin();
  auto cross = changes.crosses.begin();
  const auto next_of = [](const auto& at, const auto& list) { return at == list.end() ? -kNever : at->score; };
  const auto add_counts = [&](auto& at, const std::vector<PsdsChange>& list, double score) {
    for (; at != list.end() && at->score == score; ++at) {
      false_positives += weight_of(at->recording) * at->false_positives;
      found += weight_of(at->recording) * at->found;
    }
  };
  for (;;) {
    const double score =
        std::max({next_of(count, changes.counts), next_of(silent, common.counts), next_of(cross, changes.crosses)});
    if (score == -kNever) break;
    add_counts(count, changes.counts, score);
    add_counts(silent, common.counts, score);
    for (; cross != changes.crosses.end() && cross->score == score; ++cross) {
      const double hours = totals.class_hours[cross->other];
      if (hours > 0) crossed += static_cast<double>(weight_of(cross->recording) * cross->count) / hours;
    }
    double e = static_cast<double>(false_positives) / totals.hours;
    if (rule.alpha_ct > 0 && others > 0) e += rule.alpha_ct * std::max(0.0, crossed) / others;
    double& best = lowest[static_cast<std::size_t>(found)];
    best = std::min(best, e);
  }
  for (std::size_t k = lowest.size() - 1; k > 0; --k) lowest[k - 1] = std::min(lowest[k - 1], lowest[k]);
  return lowest;
}

/// 1 / e_max * integral of TPR.
[[nodiscard]] double area_of(const Staircase& lowest, double e_max) {
  double sum = 0;
  for (std::size_t k = 1; k < lowest.size(); ++k) sum += std::max(0.0, e_max - lowest[k]);
  return ratio(sum, static_cast<double>(lowest.size() - 1) * e_max);
}

/// The score from the staircases of all classes.
[[nodiscard]] double score_of(const std::vector<Staircase>& classes, const PsdsRule& rule) {
  struct Step {
    double e;
    std::size_t row;
  };
  std::vector<Step> steps;
  std::vector<double> references;  // of the classes that have some
  for (const Staircase& lowest : classes) {
    if (lowest.size() <= 1) continue;
    for (std::size_t k = 1; k < lowest.size() && lowest[k] < rule.e_max; ++k) {
      steps.push_back({lowest[k], references.size()});
    }
    references.push_back(static_cast<double>(lowest.size() - 1));
  }
  if (references.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) { return a.e < b.e; });
  std::vector<std::int64_t> found(references.size());
  const auto n = static_cast<double>(references.size());
  double area = 0;
  for (std::size_t i = 0; i < steps.size();) {
    const double e = steps[i].e;
    for (; i < steps.size() && steps[i].e == e; ++i) ++found[steps[i].row];
    double mean = 0;
    for (std::size_t c = 0; c < found.size(); ++c) mean += static_cast<double>(found[c]) / references[c] / n;
    double variance = 0;  // about the mean, not E[x^2] - E[x]^2: equal rates have to give 0
    for (std::size_t c = 0; c < found.size(); ++c) {
      const double difference = static_cast<double>(found[c]) / references[c] - mean;
      variance += difference * difference / n;
    }
    const double next = i < steps.size() ? steps[i].e : rule.e_max;
    area += (next - e) * std::max(0.0, mean - rule.alpha_st * std::sqrt(variance));
  }
  return area / rule.e_max;
}

void check(std::span<const std::string> classes, std::span<const PsdsRecording> recordings,
           const PsdsOptions& options) {
  DCASE_CHECK(!classes.empty() && classes.size() <= std::numeric_limits<std::uint16_t>::max(), "psds: ", classes.size(),
              " classes");
  DCASE_CHECK(!options.rules.empty(), "psds: no rules");
  const auto share = [](double value) { return value > 0 && value <= 1; };
  for (const PsdsRule& r : options.rules) {
    DCASE_CHECK(share(r.dtc) && share(r.gtc) && (r.cttc == 0 || share(r.cttc)), "psds: tolerances of ", r.dtc, ", ",
                r.gtc, " and ", r.cttc, "; they lie in (0, 1]");
    DCASE_CHECK(r.alpha_ct >= 0 && r.alpha_st >= 0 && r.e_max > 0 && std::isfinite(r.alpha_ct + r.alpha_st + r.e_max),
                "psds: alpha_ct ", r.alpha_ct, ", alpha_st ", r.alpha_st, ", e_max ", r.e_max);
    DCASE_CHECK((r.cttc > 0) == (r.alpha_ct > 0), "psds: cttc ", r.cttc, " and alpha_ct ", r.alpha_ct,
                "; both are above 0, or neither is");
  }
  DCASE_CHECK(recordings.size() < std::numeric_limits<std::uint32_t>::max(), "psds: ", recordings.size(),
              " recordings");
  for (std::size_t i = 0; i < recordings.size(); ++i) {
    DCASE_CHECK(recordings[i].length >= 0 && recordings[i].length <= kLatestMicrosecond, "psds: recording ", i,
                " has the length ", recordings[i].length);
    for (const SoundEvent& e : recordings[i].truth) {
      DCASE_CHECK(e.label >= 0 && static_cast<std::size_t>(e.label) < classes.size(), "psds: recording ", i,
                  " has an event of class ", e.label, " of ", classes.size());
      DCASE_CHECK(e.onset >= 0 && e.onset <= e.offset && e.offset <= kLatestMicrosecond, "psds: recording ", i,
                  " has an event from ", e.onset, " to ", e.offset, " microseconds");
    }
  }
}

class Scorer {
 public:
  Scorer(std::span<const std::string> classes, std::span<const PsdsRecording> recordings, const LoadScores& load,
         const PsdsOptions& options)
      : names_(classes), recordings_(recordings), load_(load), options_(options) {
    for (std::int64_t draw = -1; draw < options.bootstrap.draws; ++draw) {  // -1: the recordings as they are
      weights_.push_back(draw < 0 ? std::vector<std::uint32_t>()
                                  : draw_weights(options.bootstrap, draw, recordings.size()));
      totals_.push_back(totals_of(classes.size(), recordings, weights_.back()));
    }
    stairs_.assign(options.rules.size(),
                   std::vector<std::vector<Staircase>>(weights_.size(), std::vector<Staircase>(classes.size())));
  }

  std::vector<PsdsMetrics> run() {
    std::vector<std::int32_t> waiting(names_.size());
    std::iota(waiting.begin(), waiting.end(), 0);
    while (!waiting.empty()) {
      std::vector<std::int32_t> active = waiting;
      collect(active);
      build(active);
      waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(active.size()));
    }
    std::vector<PsdsMetrics> results;
    for (std::size_t r = 0; r < options_.rules.size(); ++r) results.push_back(result(r));
    return results;
  }

 private:
  /// Fills changes_ for the classes in `active`, of which it keeps as many as fit the memory.
  void collect(std::vector<std::int32_t>& active) {
    changes_.assign(options_.rules.size() + 1, std::vector<PsdsChanges>(active.size()));
    const std::size_t batch = 4 * static_cast<std::size_t>(omp_get_max_threads());
    for (std::size_t first = 0; first < recordings_.size(); first += batch) {
      const std::size_t count = std::min(batch, recordings_.size() - first);
      std::vector<std::vector<std::vector<PsdsChanges>>> found(count);
      std::vector<std::exception_ptr> failures(count);
#pragma omp parallel for schedule(dynamic)
      for (std::size_t i = 0; i < count; ++i) {
        try {
          found[i] = changes_of(first + i, active);
        } catch (...) {
          failures[i] = std::current_exception();
        }
      }
      for (std::size_t i = 0; i < count; ++i) {
        if (failures[i]) std::rethrow_exception(failures[i]);
        append(found[i]);
      }
      const std::uint64_t used = bytes();
      if (used > options_.memory_bytes && active.size() > 1) {
        // As many as would just fit at the end, if the rest of the recordings is like these.
        const double share = static_cast<double>(options_.memory_bytes) / static_cast<double>(used) *
                             static_cast<double>(first + count) / static_cast<double>(recordings_.size());
        const auto fitting = static_cast<std::size_t>(0.8 * share * static_cast<double>(active.size()));
        active.resize(std::clamp<std::size_t>(fitting, 1, active.size() - 1));
        for (auto& of_rule : changes_) of_rule.resize(active.size());
      }
    }
  }

  [[nodiscard]] std::vector<std::vector<PsdsChanges>> changes_of(std::size_t i,
                                                                 std::span<const std::int32_t> active) const {
    std::vector<std::vector<PsdsChanges>> changes(options_.rules.size() + 1, std::vector<PsdsChanges>(active.size()));
    const FrameScores scores = load_(i);
    check_frame_scores(scores);
    DCASE_CHECK(scores.classes == static_cast<std::int64_t>(names_.size()), "psds: recording ", i, " has scores of ",
                scores.classes, " classes, not ", names_.size());
    detail::psds_sweep(scores, recordings_[i].truth, static_cast<std::uint32_t>(i), options_.rules, active, changes);
    return changes;
  }

  void append(const std::vector<std::vector<PsdsChanges>>& found) {
    const auto add = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
    for (std::size_t r = 0; r < changes_.size(); ++r) {
      for (std::size_t c = 0; c < changes_[r].size(); ++c) {
        add(changes_[r][c].counts, found[r][c].counts);
        add(changes_[r][c].crosses, found[r][c].crosses);
      }
    }
  }

  [[nodiscard]] std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (const auto& of_rule : changes_) {
      for (const PsdsChanges& c : of_rule) {
        sum += c.counts.capacity() * sizeof(PsdsChange) + c.crosses.capacity() * sizeof(PsdsCross);
      }
    }
    return sum;
  }

  /// The staircases of the classes collected, of every draw.
  void build(std::span<const std::int32_t> active) {
    const auto later = [](const auto& a, const auto& b) {  // recordings in order, so that sums are reproducible
      return a.score != b.score ? a.score > b.score : a.recording < b.recording;
    };
#pragma omp parallel for schedule(dynamic)
    for (std::size_t at = 0; at < active.size(); ++at) {
      for (auto& of_rule : changes_) {
        std::sort(of_rule[at].counts.begin(), of_rule[at].counts.end(), later);
        std::stable_sort(of_rule[at].crosses.begin(), of_rule[at].crosses.end(), later);
      }
      const auto label = static_cast<std::size_t>(active[at]);
      for (std::size_t r = 0; r < options_.rules.size(); ++r) {
        for (std::size_t d = 0; d < weights_.size(); ++d) {
          stairs_[r][d][label] =
              staircase(changes_[r][at], changes_.back()[at], label, options_.rules[r], totals_[d], weights_[d]);
        }
      }
      for (auto& of_rule : changes_) of_rule[at] = {};
    }
  }

  [[nodiscard]] PsdsMetrics result(std::size_t r) const {
    const Totals& totals = totals_[0];
    PsdsMetrics m{.rule = options_.rules[r], .hours = totals.hours};
    const std::vector<Staircase>& stairs = stairs_[r][0];
    for (std::size_t c = 0; c < names_.size(); ++c) {
      const double area = totals.hours > 0 ? area_of(stairs[c], m.rule.e_max) : std::nan("");
      m.classes.push_back({.name = names_[c], .references = totals.references[c], .area = area});
      m.references += totals.references[c];
      m.classes_without_references += totals.references[c] == 0 ? 1 : 0;
    }
    const auto score = [&](std::size_t draw) {
      return totals_[draw].hours > 0 ? score_of(stairs_[r][draw], m.rule) : std::nan("");
    };
    m.psds = score(0);
    std::vector<double> drawn;
    for (std::size_t d = 1; d < weights_.size(); ++d) drawn.push_back(score(d));
    m.interval = percentile_interval(std::move(drawn), options_.bootstrap.confidence);
    return m;
  }

  std::span<const std::string> names_;
  std::span<const PsdsRecording> recordings_;
  const LoadScores& load_;
  const PsdsOptions& options_;
  std::vector<std::vector<std::uint32_t>> weights_;          // [1 + draws][recordings], the first empty
  std::vector<Totals> totals_;                               // [1 + draws]
  std::vector<std::vector<PsdsChanges>> changes_;            // [rules + 1][active], the last row for all rules
  std::vector<std::vector<std::vector<Staircase>>> stairs_;  // [rules][1 + draws][K]
};

}  // namespace

PsdsRule psds1() { return {.name = "psds1"}; }

PsdsRule psds2() { return {.name = "psds2", .dtc = 0.1, .gtc = 0.1, .cttc = 0.3, .alpha_ct = 0.5}; }

std::vector<PsdsMetrics> psds_metrics(std::span<const std::string> classes, std::span<const PsdsRecording> recordings,
                                      const LoadScores& load, const PsdsOptions& options) {
  check(classes, recordings, options);
  return Scorer(classes, recordings, load, options).run();
}

nlohmann::ordered_json to_json(const PsdsRule& rule) {
  return {{"dtc", rule.dtc},
          {"gtc", rule.gtc},
          {"cttc", rule.cttc},
          {"alpha_ct", rule.alpha_ct},
          {"alpha_st", rule.alpha_st},
          {"e_max_per_hour", rule.e_max},
          {"cross_mean", rule.cross_mean == PsdsRule::CrossMean::kOther ? "other" : "all"}};
}

nlohmann::ordered_json to_json(const PsdsMetrics& m) {
  nlohmann::ordered_json json = {{"psds", m.psds}};
  if (m.interval.defined()) json["psds_interval"] = to_json(m.interval);
  json["rule"] = to_json(m.rule);
  json["thresholds"] = "every distinct score";
  json["hours"] = m.hours;
  json["references"] = m.references;
  json["classes_without_references"] = m.classes_without_references;
  nlohmann::ordered_json classes = nlohmann::ordered_json::object();
  for (const PsdsClass& c : m.classes) classes[c.name] = {{"references", c.references}, {"area", c.area}};
  json["classes"] = std::move(classes);
  return json;
}

}  // namespace dcase
