#pragma once
/// Sound events between the network's frame probabilities and the scores: rolls of frames, decisions, lists of events.
/// All times are whole microseconds, so that a difference of two 100 ms frames is 200000 and never 0.2000000001 s.

#include <cstdint>
#include <span>
#include <vector>

namespace dcase {

/// One event over [onset, offset) microseconds.
struct SoundEvent {
  std::int64_t onset = 0;
  std::int64_t offset = 0;
  std::int32_t label = 0;
  [[nodiscard]] bool operator==(const SoundEvent&) const = default;
};

/// 31 years: later times are refused, so that products of times stay in 64 bits.
inline constexpr std::int64_t kLatestMicrosecond = 1'000'000'000'000'000;

/// Seconds rounded to the nearest microsecond. Throws Error(kNumeric) for NaN, infinity and beyond kLatestMicrosecond.
[[nodiscard]] std::int64_t microseconds(double seconds);

/// Activity by frame and class, 0 or 1.
struct Roll {
  std::int64_t frames = 0;
  std::int64_t classes = 0;
  std::vector<std::uint8_t> active;  // [T,K]

  [[nodiscard]] bool at(std::int64_t frame, std::int64_t c) const {
    return active[static_cast<std::size_t>(frame * classes + c)] != 0;
  }
};

/// From probabilities to decisions, in this order; each one value, or one a class. The defaults switch everything off
/// but the threshold.
struct DecisionRules {
  std::vector<double> thresholds = {0.5};            ///< active is probability > threshold
  std::vector<std::int64_t> median_frames = {1};     ///< odd length of a median over time; edges are mirrored
  std::vector<std::int64_t> close_gap_frames = {0};  ///< pauses of at most this length inside a class are filled
  std::vector<std::int64_t> minimum_frames = {0};    ///< events shorter than this are dropped
};
inline constexpr std::int64_t kLongestMedian = 100'001;

/// The value of a class from one for all, or one a class.
template <class Value>
[[nodiscard]] Value of_class(const std::vector<Value>& values, std::size_t c) {
  return values[values.size() == 1 ? 0 : c];
}

/// Throws Error(kArgument) for rules that do not fit `classes`, negative lengths, an even or too long median.
void check_rules(const DecisionRules& rules, std::int64_t classes);

/// Frame t mirrored about the ends with the end repeated (2 1 0 | 0 1 2 | 2 1 0), as scipy's median filter does.
[[nodiscard]] std::int64_t mirrored_index(std::int64_t t, std::int64_t frames);

/// Throws Error(kNumeric) for a probability that is NaN or infinite, Error(kArgument) for rules that do not fit.
[[nodiscard]] Roll decide(std::span<const double> probabilities, std::int64_t frames, std::int64_t classes,
                          const DecisionRules& rules);

/// A roll from labels [T,K] of 0 and 1.
[[nodiscard]] Roll roll_of(std::span<const std::uint8_t> labels, std::int64_t frames, std::int64_t classes);

/// The runs of active frames as events, by class, then time.
[[nodiscard]] std::vector<SoundEvent> events_of(const Roll& roll, std::int64_t frame_us);

}  // namespace dcase
