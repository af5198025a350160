#pragma once
/// Scores as text for the terminal. Every figure has the level beside it that needs no learning.

#include <functional>
#include <string>
#include <vector>

#include "train/metrics/asc_metrics.hpp"
#include "train/metrics/psds.hpp"
#include "train/metrics/sed_metrics.hpp"
#include "train/metrics/tag_metrics.hpp"

namespace dcase {

/// Overall scores, then tables by class, device group and device, and the confusion matrix.
[[nodiscard]] std::string report_text(const AscMetrics& metrics);
/// Overall scores, then a table by class.
[[nodiscard]] std::string report_text(const TagMetrics& metrics);
/// Overall scores with the rules they follow, then a table by class.
[[nodiscard]] std::string report_text(const SegmentMetrics& metrics);
[[nodiscard]] std::string report_text(const EventMetrics& metrics);
/// Overall scores with their parameters, then one table by class.
[[nodiscard]] std::string report_text(const std::vector<PsdsMetrics>& metrics);
/// One paragraph that says what these numbers are not.
[[nodiscard]] std::string report_text(const ReferenceSedMetrics& metrics);

/// " [61.20 %, 64.05 %]", or "" where there is no interval.
[[nodiscard]] std::string interval_text(const Interval& interval, const std::function<std::string(double)>& text);

/// The truth in rows, numbered predictions in columns.
[[nodiscard]] std::string confusion_text(const AscMetrics& metrics);

}  // namespace dcase
