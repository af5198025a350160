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
    BnStats bn_stats = BnStats::kShared;
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
  } train;

  struct {
    double threshold = 0.5;  ///< of sound events, for the selection on the validation part
  } eval;

  std::string init;  ///< model to start from; "": drawn

  [[nodiscard]] TaskConfig& task(Task task);
  [[nodiscard]] const TaskConfig& task(Task task) const;
  /// The divisor of model.width.
  [[nodiscard]] std::int64_t width_divisor() const;
};

/// The file (empty: defaults alone), then `overrides` "a.b=value" in order. Throws Error(kUsage), kIo for the file.
[[nodiscard]] TrainConfig load_config(const std::string& file, const std::vector<std::string>& overrides);
/// Overrides on top of a configuration.
[[nodiscard]] TrainConfig with_overrides(TrainConfig config, const std::vector<std::string>& overrides);
/// From a resolved configuration, as `to_json` wrote it.
[[nodiscard]] TrainConfig config_from_json(const nlohmann::json& json, const std::string& origin);
/// Every key with its value.
[[nodiscard]] nlohmann::ordered_json to_json(const TrainConfig& config);
/// Every key with its default and a line of explanation.
[[nodiscard]] std::string config_help();

}  // namespace dcase
