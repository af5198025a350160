#pragma once
/// The options that turn probabilities into decisions, the same for eval, predict and score.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "train/formats/decision_file.hpp"

namespace dcase::cli {

struct DecisionOptions {
  std::optional<double> threshold;  ///< none: the default of the verb
  std::int64_t median_frames = 1;
  std::int64_t minimum_frames = 0;
  std::int64_t close_gap_frames = 0;
  std::string file;  ///< of --decisions; replaces the others
};

/// --threshold, --median, --min-frames, --close-gap and --decisions. `options` outlives the verb.
void add_decision_options(CLI::App& verb, DecisionOptions& options, const std::string& default_threshold);

/// The rules for these classes. Throws Error(kUsage) for rules that cannot be, or for a file of another task or other
/// classes, or beside other options; Error(kData) for a bad file, whose content goes to `content` if that is given.
[[nodiscard]] DecisionRules decision_rules(const DecisionOptions& options, double default_threshold,
                                           const LabelSet& classes, Task task, DecisionFile* content = nullptr);

}  // namespace dcase::cli
