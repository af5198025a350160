#pragma once
/// Scores of sound events as sums over recordings: what a recording adds is kept, so that events need not be, and a sum
/// with other weights is a bootstrap draw.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "train/metrics/sed_metrics.hpp"

namespace dcase {

/// What one recording adds.
struct SedTally {
  struct Row {
    std::int32_t label = 0;
    Counts counts;
  };
  std::vector<Row> rows;  // classes with anything to count, by label
  std::int64_t substitutions = 0;
  std::int64_t deletions = 0;
  std::int64_t insertions = 0;
  std::int64_t segments = 0;  // of segment-based scoring
};

/// Throws Error(kArgument) as segment_metrics and event_metrics do, which are sums of these.
[[nodiscard]] SedTally segment_tally(std::int64_t classes, const SedItem& item, const SegmentOptions& options);
[[nodiscard]] SedTally event_tally(std::int64_t classes, const SedItem& item, const EventOptions& options);

/// `weights`: one a recording, or empty for 1.
[[nodiscard]] SegmentMetrics sum_segments(std::span<const std::string> classes, std::span<const SedTally> tallies,
                                          const SegmentOptions& options, std::span<const std::uint32_t> weights = {});
[[nodiscard]] EventMetrics sum_events(std::span<const std::string> classes, std::span<const SedTally> tallies,
                                      const EventOptions& options, std::span<const std::uint32_t> weights = {});

}  // namespace dcase
