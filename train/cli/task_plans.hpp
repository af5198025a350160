#pragma once
/// From a configuration to the data sets of a run.

#include <vector>

#include "train/cli/app.hpp"
#include "train/config/config.hpp"
#include "train/trainer.hpp"

namespace dcase::cli {

/// The order of the reference trainer, which fixes in which order batch-norm averages move.
inline constexpr Task kTrainingOrder[] = {Task::kAsc, Task::kSed, Task::kTag};

/// How a task's data set is opened.
[[nodiscard]] DataRequest data_request(const TrainConfig& config, Task task);

/// The tasks whose root is set, in training order, with their audio prepared. Throws Error(kUsage) where none is.
[[nodiscard]] std::vector<TaskPlan> open_tasks(const TrainConfig& config, Environment& environment);

}  // namespace dcase::cli
