#pragma once
/// An evaluation as text for the terminal.

#include <string>

#include "train/evaluate.hpp"

namespace dcase::cli {

/// All scores and tables of the task. `reference`: the scores of the released code instead, where they differ.
[[nodiscard]] std::string evaluation_text(const Evaluation& evaluation, bool reference = false);

/// One line: "asc accuracy 56.2 % (chance 25.0 %)".
[[nodiscard]] std::string evaluation_line(const Evaluation& evaluation);

}  // namespace dcase::cli
