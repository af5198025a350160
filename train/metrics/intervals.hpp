#pragma once
/// Bootstrap intervals of the overall scores. Each is a list of name and interval in the units of the score itself.

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "train/metrics/asc_metrics.hpp"
#include "train/metrics/bootstrap.hpp"
#include "train/metrics/sed_tally.hpp"
#include "train/metrics/tag_metrics.hpp"

namespace dcase {

/// By the keys that to_json gives the scores.
using Intervals = std::vector<std::pair<std::string, Interval>>;

/// accuracy_percent, macro_accuracy_percent, log_loss
[[nodiscard]] Intervals asc_intervals(const AscInput& input, const BootstrapOptions& options);
/// lwlrap, map, micro_ap, mean_auc, micro_f1, macro_f1
[[nodiscard]] Intervals tag_intervals(const TagInput& input, const BootstrapOptions& options);
/// f1, error_rate, precision, recall, macro_f1, macro_error_rate
[[nodiscard]] Intervals segment_intervals(std::span<const std::string> classes, std::span<const SedTally> tallies,
                                          const SegmentOptions& segments, const BootstrapOptions& options);
[[nodiscard]] Intervals event_intervals(std::span<const std::string> classes, std::span<const SedTally> tallies,
                                        const EventOptions& events, const BootstrapOptions& options);

/// {"accuracy_percent": [low, high], ...}
[[nodiscard]] nlohmann::ordered_json to_json(const Intervals& intervals);

}  // namespace dcase
