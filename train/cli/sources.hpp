#pragma once
/// Opening data sets for a verb: notes and warnings on the console, preparation with a progress bar.

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "train/cli/progress.hpp"
#include "train/data/open_dataset.hpp"

namespace dcase::cli {

struct SourceOptions {
  DataRequest request;
  std::string cache_folder;  ///< empty: inside the set
  CacheOptions cache;
};

/// The set and its prepared audio. `task` names it in messages.
[[nodiscard]] TaskSource open_source(Task task, const SourceOptions& options, Console& console);

/// `stop` or `skip`; anything else throws kUsage.
[[nodiscard]] BadFilePolicy parse_bad_file_policy(const std::string& text);

}  // namespace dcase::cli
