#pragma once
/// Scenes or tags from any file that has them.

#include <string>
#include <vector>

#include "dcasenet/labels.hpp"
#include "train/formats/clip_tables.hpp"

namespace dcase {

/// Tables (clip_tables.hpp) and JSON Lines (*.jsonl), told apart by the ending; the rows of all files as one table.
/// Throws Error(kData) where files have other classes than the first one, or where a recording lacks what others have.
[[nodiscard]] ClipTable read_clips(Task task, const std::vector<std::string>& paths);

}  // namespace dcase
