#pragma once
/// What `train --dry-run` shows.

#include <string>
#include <vector>

#include "train/cli/interrupt.hpp"
#include "train/config/config.hpp"
#include "train/trainer.hpp"

namespace dcase::cli {

/// Items by task and split, steps, memory and time. Times a few steps, which changes the model.
[[nodiscard]] std::string dry_run_report(const TrainConfig& config, const std::vector<TaskPlan>& plans, Model& model,
                                         const TrainerOptions& options, const InterruptScope& interrupt);

}  // namespace dcase::cli
