#pragma once
/// The configuration of a training run: JSON with comments, every key overridable from the command line.
///
///     {
///       "model": {"width": "1/8"},            // comments are allowed
///       "data": {"asc": {"root": "data/asc", "batch_size": 16}},
///       "train": {"steps": 450, "lr": 1e-3}
///     }
///
/// One table of keys (config.cpp) serves reading, checking, help and writing. Errors are kUsage and say the key, the
/// value and what is allowed; an unknown key comes with the nearest known one.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "dcasenet/bn_stats.hpp"
#include "dcasenet/task.hpp"
#include "train/config/presets.hpp"
#include "train/data/open_dataset.hpp"

namespace dcase {

/// data.asc, data.tag, data.sed: a task is trained when its root is set.
struct TaskConfig {
  std::string root;  ///< folder of the data set, or a manifest file
  Layout layout = Layout::kAuto;
  std::int64_t batch_size = 32;    ///< as the released trainer; sed 24
  std::int64_t crop_frames = 251;  ///< 5 s; sed 1500, 30 s
  double loss_weight = 1;
};

struct TrainConfig {
  struct {
    std::int64_t version = 3;
    std::string width = "1";  ///< 1, 1/2, 1/4, 1/8
    BnStats bn_stats = BnStats::kPerTask;
  } model;

  struct {
    TaskConfig asc;
    TaskConfig tag;
    TaskConfig sed{.batch_size = 24, .crop_frames = 1500};
    ReaderOptions reader;
    std::string cache;  ///< folder of prepared audio; "": .dcasenet inside each set
    BadFilePolicy on_bad_file = BadFilePolicy::kStop;
    bool float32_cache = false;
  } data;

  struct {
    std::string tasks;  ///< "asc+tag": these alone, whatever roots are set; "": every task with a root
    std::uint64_t seed = 0;
    std::int64_t steps = 80000;
    std::int64_t epoch_steps = 500;
    std::int64_t log_every = 10;
    std::int64_t checkpoint_every = 500;
    std::int64_t eval_every = 500;  ///< 0: at the end alone
    std::string optimizer = "adam";
    double lr = 1e-3;
    double lr_min = 1e-6;
    std::int64_t restart_steps = 40000;  ///< period of the cosine; 0: constant rate
    double weight_decay = 0;
    bool amsgrad = false;
    double momentum = 0;  ///< of sgd
    bool nesterov = false;
    double mixup_alpha = 0.1;  ///< 0: no mix-up; at most 4
    std::int64_t mixup_from_step = 3000;
    double grad_clip = 0;  ///< 0: never
    bool dropout = true;
    std::vector<std::string> freeze;  ///< parts of the network that stay as they are
  } train;

  struct {
    double threshold = 0.5;  ///< of sound events, for the selection on the validation part
  } eval;

  std::string init;    ///< model to start from; "": drawn
  std::string preset;  ///< experiment of the paper that the configuration began with (presets.hpp); "": none

  /// Whether the run trains the task: its root is set, and train.tasks does not leave it out.
  [[nodiscard]] bool trains(Task task) const;
  [[nodiscard]] TaskConfig& task(Task task);
  [[nodiscard]] const TaskConfig& task(Task task) const;
  /// The divisor of model.width.
  [[nodiscard]] std::int64_t width_divisor() const;
};

/// A preset's configuration. Its data sets have no roots, a fine-tuning no model to start from.
[[nodiscard]] TrainConfig preset_config(const Preset& preset);
/// "model.width=1/8", ...: where a configuration that began with a preset departs from it in what decides the result.
/// Roots, seed, starting model, caches and intervals of logs and checkpoints do not count.
[[nodiscard]] std::vector<std::string> preset_changes(const TrainConfig& config);

/// The preset (empty: defaults), over it the file (empty: none), over it `overrides` "a.b=value" in order. A file may
/// name its preset itself: "preset". Throws Error(kUsage), kIo for the file.
[[nodiscard]] TrainConfig load_config(const std::string& file, const std::vector<std::string>& overrides,
                                      const std::string& preset = "");
/// Overrides on top of a configuration.
[[nodiscard]] TrainConfig with_overrides(TrainConfig config, const std::vector<std::string>& overrides);
/// From a resolved configuration, as `to_json` wrote it.
[[nodiscard]] TrainConfig config_from_json(const nlohmann::json& json, const std::string& origin);
/// Every key with its value.
[[nodiscard]] nlohmann::ordered_json to_json(const TrainConfig& config);
/// Every key with its default and a line of explanation.
[[nodiscard]] std::string config_help();

}  // namespace dcase
