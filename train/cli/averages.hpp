#pragma once
/// One set of batch-norm averages for programs that know no more (dcasenet/bn_stats.hpp): an option of `model convert`
/// and `model export`.

#include <string>

#include "dcasenet/model.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's own
class App;
}

namespace dcase::cli {

void add_averages_option(CLI::App& verb, std::string& averages);

/// Reduces the model to what the option says: "pooled", "shared", or a task. Does nothing without a word. Throws
/// Error(kUsage) naming `file` where it has no such averages.
void keep_averages(Model& model, const std::string& averages, const std::string& file);

}  // namespace dcase::cli
