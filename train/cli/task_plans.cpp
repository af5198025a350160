#include "train/cli/task_plans.hpp"

#include "train/cli/sources.hpp"

namespace dcase::cli {

DataRequest data_request(const TrainConfig& config, Task task) {
  const TaskConfig& t = config.task(task);
  return {.root = t.root, .layout = t.layout, .labels = {}, .reader = config.data.reader, .seed = config.train.seed};
}

std::vector<TaskPlan> open_tasks(const TrainConfig& config, Environment& environment) {
  std::vector<TaskPlan> plans;
  for (const Task task : kTrainingOrder) {
    const TaskConfig& t = config.task(task);
    if (t.root.empty()) continue;
    const SourceOptions source{.request = data_request(config, task),
                               .cache_folder = config.data.cache,
                               .cache = {.float32 = config.data.float32_cache,
                                         .on_bad_file = config.data.on_bad_file,
                                         .threads = environment.threads}};
    TaskSource opened = open_source(task, source, environment.console);
    plans.push_back({.source = std::move(opened),
                     .batch = {.batch_size = t.batch_size,
                               .crop_frames = t.crop_frames,
                               .seed = config.train.seed,
                               .mixup_alpha = config.train.mixup_alpha,
                               .mixup_from_step = config.train.mixup_from_step},
                     .loss_weight = t.loss_weight});
  }
  if (plans.empty()) {
    fail(ErrorKind::kUsage,
         "nothing to train: set data.asc.root, data.tag.root or data.sed.root (see train --help-config)");
  }
  return plans;
}

}  // namespace dcase::cli
