// Between presets and configurations: what a preset sets, and where a configuration departs from it.

#include <set>

#include "train/config/config.hpp"

namespace dcase {
namespace {

using nlohmann::ordered_json;

// "model.width=1/8" for every value of `config` that `base` has otherwise; both have every key.
void compare(const ordered_json& config, const ordered_json& base, const std::string& path,
             std::vector<std::string>& changes) {
  // What does not decide the result: places, names and intervals.
  static const std::set<std::string> kIrrelevant = {"data.asc.root",
                                                    "data.tag.root",
                                                    "data.sed.root",
                                                    "data.asc.layout",
                                                    "data.tag.layout",
                                                    "data.sed.layout",
                                                    "data.cache",
                                                    "data.on_bad_file",
                                                    "train.seed",
                                                    "train.log_every",
                                                    "train.checkpoint_every",
                                                    "data.events_table",
                                                    "init",
                                                    "preset",
                                                    "data.allow_outside"};
  if (config.is_object()) {
    for (const auto& [name, value] : config.items()) {
      compare(value, base.at(name), path.empty() ? name : path + "." + name, changes);
    }
  } else if (config != base && !kIrrelevant.contains(path)) {
    changes.push_back(path + "=" + (config.is_string() ? config.get<std::string>() : config.dump()));
  }
}

}  // namespace

TrainConfig preset_config(const Preset& preset) {
  TrainConfig c;
  c.preset = preset.name();
  c.model = {.version = preset.version, .width = "1", .bn_stats = BnStats::kShared};
  for (const Task task : kAllTasks) c.task(task).batch_size = batch_size(preset.batches, task);
  c.data.asc.crop_frames = 251;
  c.data.tag.crop_frames = 251;
  c.data.sed.crop_frames = 1500;
  c.data.reader.selection = Selection::kReference;
  constexpr std::int64_t kEpoch = 500;  // the paper's "epoch" of a joint training; the released trainer keeps it
  c.train.tasks = task_set_text(preset.tasks);
  c.train.epoch_steps = kEpoch;
  c.train.steps = 160 * kEpoch;
  c.train.eval_every = kEpoch;
  c.train.optimizer = "adam";
  c.train.lr = 1e-3;
  c.train.lr_min = 1e-6;
  c.train.restart_steps = 80 * kEpoch;
  c.train.mixup_alpha = preset.mixup ? 0.1 : 0;
  c.train.mixup_from_step = 6 * kEpoch;
  c.eval.threshold = 0.3;
  return c;
}

std::vector<std::string> preset_changes(const TrainConfig& config) {
  std::vector<std::string> changes;
  if (config.preset.empty()) return changes;
  compare(to_json(config), to_json(preset_config(find_preset(config.preset))), "", changes);
  return changes;
}

}  // namespace dcase
