#pragma once
/// One recording under a threshold that falls through all its scores: what changes where. For psds.cpp alone.

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "train/metrics/psds.hpp"

namespace dcase::detail {

/// Once the threshold is below `score`, there are so many more of each.
struct PsdsChange {
  double score = 0;
  std::uint32_t recording = 0;
  std::int16_t false_positives = 0;
  std::int16_t found = 0;
};

/// Cross triggers for one other class.
struct PsdsCross {
  double score = 0;
  std::uint32_t recording = 0;
  std::uint16_t other = 0;
  std::int16_t count = 0;
};

/// The changes of one class: under one rule, or under all of them.
struct PsdsChanges {
  std::vector<PsdsChange> counts;
  std::vector<PsdsCross> crosses;

  /// Appends; what does not fit 16 bits becomes several changes.
  void add(double score, std::uint32_t recording, std::int64_t false_positives, std::int64_t found);
  void add_cross(double score, std::uint32_t recording, std::uint16_t other, std::int64_t count);
};

/// a >= share * b, exact for lengths up to 2.5 hours and shares of millionths.
[[nodiscard]] inline bool covers(std::int64_t a, std::int64_t b, double share) {
  return static_cast<double>(a) * 1e6 >= static_cast<double>(std::llround(share * 1e6)) * static_cast<double>(b);
}

/// Appends to `changes` [rules + 1][classes.size()] those of the classes listed, from high scores to low. Where a class
/// does not sound, every run of frames is a false positive under each rule: these go to the last row, once for all.
void psds_sweep(const FrameScores& scores, std::span<const SoundEvent> truth, std::uint32_t recording,
                std::span<const PsdsRule> rules, std::span<const std::int32_t> classes,
                std::vector<std::vector<PsdsChanges>>& changes);

}  // namespace dcase::detail
