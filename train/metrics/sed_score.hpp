#pragma once
/// Shared by segment-based and event-based scoring: not for other callers.

#include <cstdint>
#include <span>
#include <string>

#include "train/metrics/sed_tally.hpp"

namespace dcase::detail {

/// Throws Error(kArgument) for a label outside 0..classes-1, times that cannot be, a negative length.
void check_item(std::int64_t classes, const SedItem& item);

/// The rows of classes with counts.
[[nodiscard]] std::vector<SedTally::Row> rows_of(std::span<const Counts> classes);

/// Names the classes and adds the tallies; returns the weighted number of segments.
std::int64_t add_tallies(SedScore& score, std::span<const std::string> classes, std::span<const SedTally> tallies,
                         std::span<const std::uint32_t> weights);

/// Fills totals, ratios and means from the classes' counts and from S, D and I.
void finish_sed_score(SedScore& score, UndefinedRule rule);

}  // namespace dcase::detail
