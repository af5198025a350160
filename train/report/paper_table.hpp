#pragma once
/// The paper's Tables 2 and 3 with our figures beside the published ones.
///
/// A table for each metric mode, since the SED scores of the released code are other quantities than those of the
/// standard definition: `reference` has the published figure above ours, `standard` ours alone. Ours are mean and
/// standard deviation (n - 1) over seeds, with their number: "68.33 ±0.42 (3)". A row without a run is "missing"; runs
/// that failed, or have not come to their end, are in no mean and named below the tables; "*" marks rows whose
/// configuration departs from the preset's, also named below. Batch sizes of the paper and of the released code are
/// tables of their own.

#include <string>

#include "train/report/paper_runs.hpp"

namespace dcase {

/// For the terminal.
[[nodiscard]] std::string paper_tables_text(const PaperRuns& runs);
/// The same as Markdown tables.
[[nodiscard]] std::string paper_tables_markdown(const PaperRuns& runs);
/// One line for each figure: preset, table, task, metric, mode, paper, mean, deviation, seeds, state, changes.
/// Published figures stand in rows of the mode `reference` alone.
[[nodiscard]] std::string paper_tables_csv(const PaperRuns& runs);

}  // namespace dcase
