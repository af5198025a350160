#pragma once
/// Opening data sets for a verb: notes and warnings on the console, preparation with a progress bar.

#include <CLI/CLI.hpp>
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

/// --layout, --selection, --tag-eval, --sed-audio, ... : how the readers take a data set. `request` outlives the verb.
void add_reader_options(CLI::App& verb, DataRequest& request);
/// --cache, --on-bad-file: the prepared audio. `source` outlives the verb.
void add_cache_options(CLI::App& verb, SourceOptions& source);

}  // namespace dcase::cli
