#pragma once
/// Shared by segment-based and event-based scoring: not for other callers.

#include <span>
#include <string>

#include "train/metrics/sed_metrics.hpp"

namespace dcase::detail {

/// Names the classes and checks every event of every item.
void begin_sed_score(SedScore& score, std::span<const std::string> classes, std::span<const SedItem> items);

/// Fills totals, ratios and means from the classes' counts and from S, D and I.
void finish_sed_score(SedScore& score, UndefinedRule rule);

}  // namespace dcase::detail
