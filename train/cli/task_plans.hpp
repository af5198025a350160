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

/// Throws Error(kUsage) where no task has a root, or one of train.tasks has none.
void check_roots(const TrainConfig& config);

/// The tasks that the run trains, in training order, with their audio prepared. Throws as check_roots.
[[nodiscard]] std::vector<TaskPlan> open_tasks(const TrainConfig& config, Environment& environment);
/// The same from the sets' tables alone: nothing is decoded or written, and the plans have no audio.
[[nodiscard]] std::vector<TaskPlan> list_tasks(const TrainConfig& config, Environment& environment);

}  // namespace dcase::cli
