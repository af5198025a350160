#pragma once
/// What verbs ask of a model's batch-norm averages (dcasenet/bn_stats.hpp), and an option of `model convert` and `model
/// export`: one set, for programs that know no more.

#include <string>

#include "dcasenet/model.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's own
class App;
}

namespace dcase::cli {

void add_averages_option(CLI::App& verb, std::string& averages);

/// Throws Error(kUsage) naming option and file where the model has no averages of single tasks.
void need_task_averages(const Model& model, const std::string& option, const std::string& file);

/// Reduces the model to what the option says: "pooled", "shared", or a task. Does nothing without a word. Throws
/// Error(kUsage) naming `file` where it has no such averages.
void keep_averages(Model& model, const std::string& averages, const std::string& file);

}  // namespace dcase::cli
