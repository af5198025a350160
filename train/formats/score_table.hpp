#pragma once
/// Scores of every frame, one file a recording, as the sed_scores_eval package reads and writes them: tab-separated,
/// header `onset offset CLASS ...`, a row a frame, each beginning where the one before it ends. Any finite number is a
/// score. Read without a table in between: sets of 15,000 such files have gigabytes.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dcasenet/labels.hpp"
#include "train/metrics/frame_scores.hpp"

namespace dcase {

/// The classes of a header, in the order of the file. Throws Error(kData) as below.
[[nodiscard]] std::vector<std::string> read_score_header(std::string_view text, const std::string& file);

/// Scores in the order of `classes`, whatever that of the columns. Throws Error(kData) "file:line: ..." for a class too
/// many or too few, a number that is none, rows that leave a gap or overlap.
[[nodiscard]] FrameScores read_score_table(std::string_view text, const std::string& file, const LabelSet& classes);

/// Microseconds at which the last frame ends, 0 without frames: from the header and the last line alone.
[[nodiscard]] std::int64_t read_score_end(std::string_view text, const std::string& file);

/// Frames of `frame_seconds`; the last one ends at `seconds` where that is inside it. `values` [frames,K].
[[nodiscard]] std::string write_score_table(const std::vector<std::string>& classes, const std::vector<float>& values,
                                            double frame_seconds, double seconds);

}  // namespace dcase
