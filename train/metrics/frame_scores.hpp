#pragma once
/// The scores of a detector over one recording, before any threshold.

#include <cstdint>
#include <span>
#include <vector>

#include "train/metrics/sed_events.hpp"

namespace dcase {

/// Frame t covers [times[t], times[t + 1]) microseconds; times rise. Frames may differ in length.
struct FrameScores {
  std::int64_t classes = 0;
  std::vector<std::int64_t> times;  // [T+1], or empty for no frames
  std::vector<double> values;       // [T,K], finite

  [[nodiscard]] std::int64_t frames() const { return times.empty() ? 0 : static_cast<std::int64_t>(times.size()) - 1; }
};

/// Frames of one length, the first at 0.
[[nodiscard]] FrameScores frame_scores(std::vector<double> values, std::int64_t classes, std::int64_t frame_us);

/// Scores after the rules' median, gap closing and minimum length, as grey-scale filters of the frames: a threshold on
/// the result gives what `decide` gives with these rules and that threshold, for every threshold at once.
[[nodiscard]] FrameScores filtered(const FrameScores& scores, const DecisionRules& rules);

/// The runs of active frames as events in the frames' times, by class, then time.
[[nodiscard]] std::vector<SoundEvent> events_of(const Roll& roll, std::span<const std::int64_t> times);

/// Throws Error(kArgument) unless sizes fit and times rise, Error(kNumeric) for a score that is NaN or infinite.
void check_frame_scores(const FrameScores& scores);

}  // namespace dcase
