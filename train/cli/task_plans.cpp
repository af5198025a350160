#include "train/cli/task_plans.hpp"

#include "train/cli/sources.hpp"
#include "train/data/csv.hpp"

namespace dcase::cli {

DataRequest data_request(const TrainConfig& config, Task task) {
  const TaskConfig& t = config.task(task);
  return {.root = t.root, .layout = t.layout, .labels = {}, .reader = config.data.reader, .seed = config.train.seed};
}

namespace {

TaskPlan plan_of(const TrainConfig& config, TaskSource source) {
  const TaskConfig& t = config.task(source.task);
  return {.source = std::move(source),
          .batch = {.batch_size = t.batch_size,
                    .crop_frames = t.crop_frames,
                    .seed = config.train.seed,
                    .mixup_alpha = config.train.mixup_alpha,
                    .mixup_from_step = config.train.mixup_from_step},
          .loss_weight = t.loss_weight};
}

}  // namespace

std::vector<TaskPlan> open_tasks(const TrainConfig& config, Environment& environment) {
  check_roots(config);
  std::vector<TaskPlan> plans;
  for (const Task task : kTrainingOrder) {
    if (!config.trains(task)) continue;
    const SourceOptions source{.request = data_request(config, task),
                               .cache_folder = config.data.cache,
                               .cache = {.float32 = config.data.float32_cache,
                                         .on_bad_file = config.data.on_bad_file,
                                         .threads = environment.threads}};
    plans.push_back(plan_of(config, open_source(task, source, environment.console)));
  }
  return plans;
}

std::vector<TaskPlan> list_tasks(const TrainConfig& config, Environment& environment) {
  check_roots(config);
  std::vector<TaskPlan> plans;
  for (const Task task : kTrainingOrder) {
    if (!config.trains(task)) continue;
    auto dataset = std::make_shared<const Dataset>(open_dataset(data_request(config, task)));
    for (const std::string& warning : dataset->warnings) {
      environment.console.warn(concat(task_name(task), ": ", warning));
    }
    plans.push_back(plan_of(config, {.task = task, .dataset = std::move(dataset), .cache = {}}));
  }
  return plans;
}

void check_roots(const TrainConfig& config) {
  const TrainConfig& c = config;
  if (!c.trains(Task::kAsc) && !c.trains(Task::kTag) && !c.trains(Task::kSed) && c.train.tasks.empty()) {
    fail(ErrorKind::kUsage,
         "nothing to train: set data.asc.root, data.tag.root or data.sed.root (see train --help-config)");
  }
  for (const std::string& task : split_list(c.train.tasks, '+')) {
    if (c.task(parse_task(task)).root.empty()) {
      fail(ErrorKind::kUsage, "train.tasks names ", task, ", and data.", task, ".root is empty: --set data.", task,
           ".root=FOLDER");
    }
  }
}

}  // namespace dcase::cli
