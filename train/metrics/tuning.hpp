#pragma once
/// Thresholds a class, chosen on one part of the data to be applied to another.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "train/data/words.hpp"
#include "train/metrics/frame_scores.hpp"
#include "train/metrics/sed_metrics.hpp"

namespace dcase {

/// What a threshold makes as high as it can be, class by class.
enum class TuningObjective : std::uint8_t {
  kSegmentF1,  ///< F1 of segments: exact, every distinct score is tried
  kEventF1,    ///< F1 of events with collars: up to 200 scores are tried, at equal shares of the distinct ones
};
inline constexpr Words<TuningObjective, 2> kTuningObjectiveWords = {
    {{"segment-f1", TuningObjective::kSegmentF1}, {"event-f1", TuningObjective::kEventF1}}};

struct TuningItem {
  FrameScores scores;
  std::vector<SoundEvent> truth;
  std::int64_t length = 0;
};

struct TuningOptions {
  TuningObjective objective = TuningObjective::kSegmentF1;
  DecisionRules rules;  ///< median, gaps and lengths; thresholds are not looked at
  SegmentOptions segments;
  EventOptions events;
};

struct TunedClass {
  double threshold = 0.5;
  double value = 0;             ///< of the objective at the threshold, on these items; NaN without references
  std::int64_t references = 0;  ///< segments or events; 0: the threshold stays 0.5
};

/// One entry a class. Among equal values the highest threshold.
[[nodiscard]] std::vector<TunedClass> tune_thresholds(std::int64_t classes, std::span<const TuningItem> items,
                                                      const TuningOptions& options);

/// The same for tags: F1 of clips, exact. Scores and truth are [N,K].
[[nodiscard]] std::vector<TunedClass> tune_tag_thresholds(std::span<const double> scores,
                                                          std::span<const std::uint8_t> truth, std::int64_t classes);

}  // namespace dcase
