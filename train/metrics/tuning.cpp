#include "train/metrics/tuning.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/common/error.hpp"
#include "train/metrics/tag_metrics.hpp"

namespace dcase {

namespace {

/// F1 of the decision score > threshold, one class a column.
[[nodiscard]] std::vector<TunedClass> tune_cells(std::span<const double> scores, std::span<const std::uint8_t> truth,
                                                 std::int64_t classes) {
  const std::vector<double> thresholds = best_f1_thresholds(scores, truth, classes);
  const auto width = static_cast<std::size_t>(classes);
  std::vector<TunedClass> tuned;
  for (std::size_t c = 0; c < width; ++c) {
    Counts counts;
    for (std::size_t i = c; i < scores.size(); i += width) {
      const bool output = scores[i] > thresholds[c];
      const bool reference = truth[i] != 0;
      counts += {.tp = output && reference, .fp = output && !reference, .fn = reference && !output};
    }
    const bool known = counts.references() > 0;
    tuned.push_back(
        {.threshold = thresholds[c],
         .value = known ? ratios(counts, UndefinedRule::kStandard).f1 : std::numeric_limits<double>::quiet_NaN(),
         .references = counts.references()});
  }
  return tuned;
}

/// A segment is active where one of its frames is: its score is the highest of them.
[[nodiscard]] std::vector<TunedClass> tune_segments(std::int64_t classes, std::span<const TuningItem> items,
                                                    const std::vector<FrameScores>& scores,
                                                    const SegmentOptions& options) {
  const auto width = static_cast<std::size_t>(classes);
  double lowest = 0;
  for (const FrameScores& s : scores) {
    for (const double v : s.values) lowest = std::min(lowest, v);
  }
  std::vector<double> cells;
  std::vector<std::uint8_t> truth;
  const auto for_each_segment = [&](std::int64_t onset, std::int64_t offset, std::int64_t length, const auto& use) {
    const std::int64_t last = std::min(offset, length);
    if (onset >= last) return;
    for (std::int64_t s = onset / options.segment_us; s <= (last - 1) / options.segment_us; ++s) {
      use(static_cast<std::size_t>(s));
    }
  };
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::int64_t length = items[i].length;
    const std::size_t base = cells.size();
    const auto size = static_cast<std::size_t>((length + options.segment_us - 1) / options.segment_us) * width;
    cells.resize(base + size, lowest - 1);  // segments without frames are never active
    truth.resize(base + size);
    for (const SoundEvent& e : items[i].truth) {
      for_each_segment(e.onset, e.offset, length,
                       [&](std::size_t s) { truth[base + s * width + static_cast<std::size_t>(e.label)] = 1; });
    }
    const FrameScores& own = scores[i];
    for (std::size_t t = 0; t < static_cast<std::size_t>(own.frames()); ++t) {
      for_each_segment(own.times[t], own.times[t + 1], length, [&](std::size_t s) {
        for (std::size_t c = 0; c < width; ++c) {
          double& cell = cells[base + s * width + c];
          cell = std::max(cell, own.values[t * width + c]);
        }
      });
    }
  }
  return tune_cells(cells, truth, classes);
}

/// Thresholds midway between neighbouring scores of a class, from high to low; one below them all at the end.
[[nodiscard]] std::vector<double> candidates(const std::vector<FrameScores>& scores, std::size_t c) {
  constexpr std::size_t kMost = 200;
  std::vector<double> distinct;
  for (const FrameScores& s : scores) {
    for (std::size_t at = c; at < s.values.size(); at += static_cast<std::size_t>(s.classes)) {
      distinct.push_back(s.values[at]);
    }
  }
  std::sort(distinct.begin(), distinct.end(), std::greater<>());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  std::vector<double> thresholds;
  const std::size_t count = std::min(distinct.size(), kMost);
  for (std::size_t i = 1; i <= count; ++i) {
    const std::size_t below = i * distinct.size() / count;
    const double score = distinct[below - 1];
    thresholds.push_back(below == distinct.size() ? score - 1 : score - 0.5 * (score - distinct[below]));
  }
  return thresholds;
}

[[nodiscard]] TunedClass tune_events_of_class(std::size_t c, std::span<const TuningItem> items,
                                              const std::vector<FrameScores>& scores, const EventOptions& options) {
  const std::vector<std::string> name = {"class"};
  std::vector<SedItem> scored(items.size());
  std::vector<std::vector<double>> columns(items.size());
  TunedClass best{.value = -1};
  for (std::size_t i = 0; i < items.size(); ++i) {
    scored[i].length = std::max(items[i].length, scores[i].times.empty() ? 0 : scores[i].times.back());
    for (const SoundEvent& e : items[i].truth) {
      if (static_cast<std::size_t>(e.label) == c) scored[i].truth.push_back({e.onset, e.offset, 0});
    }
    for (std::size_t at = c; at < scores[i].values.size(); at += static_cast<std::size_t>(scores[i].classes)) {
      columns[i].push_back(scores[i].values[at]);
    }
    best.references += static_cast<std::int64_t>(scored[i].truth.size());
  }
  if (best.references == 0) return {.value = std::numeric_limits<double>::quiet_NaN()};
  for (const double threshold : candidates(scores, c)) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      const Roll roll = decide(columns[i], scores[i].frames(), 1, {.thresholds = {threshold}});
      scored[i].output = events_of(roll, scores[i].times);
    }
    const double value = event_metrics(name, scored, options).scores.f1;
    if (value > best.value) {
      best.value = value;
      best.threshold = threshold;
    }
  }
  best.value = std::max(best.value, 0.0);  // without any frame there was no candidate
  return best;
}

}  // namespace

std::vector<TunedClass> tune_thresholds(std::int64_t classes, std::span<const TuningItem> items,
                                        const TuningOptions& options) {
  std::vector<FrameScores> scores;
  for (std::size_t i = 0; i < items.size(); ++i) {
    DCASE_CHECK(items[i].scores.classes == classes && items[i].length >= 0, "tune_thresholds: item ", i,
                " has scores of ", items[i].scores.classes, " classes and the length ", items[i].length);
    for (const SoundEvent& e : items[i].truth) {
      DCASE_CHECK(e.label >= 0 && e.label < classes && e.onset >= 0 && e.onset <= e.offset, "tune_thresholds: item ", i,
                  " has an event of class ", e.label, " from ", e.onset, " to ", e.offset);
    }
    scores.push_back(filtered(items[i].scores, options.rules));
  }
  if (options.objective == TuningObjective::kSegmentF1) {
    return tune_segments(classes, items, scores, options.segments);
  }
  std::vector<TunedClass> tuned;
  for (std::int64_t c = 0; c < classes; ++c) {
    tuned.push_back(tune_events_of_class(static_cast<std::size_t>(c), items, scores, options.events));
  }
  return tuned;
}

std::vector<TunedClass> tune_tag_thresholds(std::span<const double> scores, std::span<const std::uint8_t> truth,
                                            std::int64_t classes) {
  return tune_cells(scores, truth, classes);
}

}  // namespace dcase
