#pragma once
/// Checkpoints: a model file that also holds what training needs to go on as if it had not stopped.
///
/// Tensors "train.adam_m" and so on, flat as the parameters, and the metadata entry `dcasenet.train` (JSON). Batches,
/// crops, mix-up and dropout are functions of (seed, step), so the step is all of the loader's and generator's state.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "dcasenet/model.hpp"
#include "train/optimizer.hpp"

namespace dcase {

/// The best validation result of one task so far.
struct Best {
  double value = 0;
  std::int64_t step = 0;
};

/// The validation results of one step: "valid_asc_accuracy" and so on, as in metrics.csv. Undefined ones are left out.
struct Validation {
  std::int64_t step = 0;
  std::map<std::string, double> values;
};

struct TrainState {
  std::int64_t step = 0;             ///< steps done
  std::int64_t evaluated_step = -1;  ///< of the last validation; -1: none yet
  std::map<std::string, Best> best;  ///< by task name
  std::vector<Validation> history;   ///< of the whole run, a resumed one included
  nlohmann::json config;             ///< resolved configuration of the run
  /// Loss sums since the last line of metrics.csv, by column, so that a resumed run writes the same lines.
  std::map<std::string, double> window;
  std::int64_t window_steps = 0;
  std::string device = "cpu";
  int threads = 1;
};

/// Writes model, optimiser and state atomically. Throws Error(kIo).
void save_checkpoint(const std::string& path, const Model& model, const Optimizer& optimizer, const TrainState& state);

/// The training state of a checkpoint. Throws Error(kData) for a file that has none or whose entry is damaged.
[[nodiscard]] TrainState read_train_state(const Archive& archive);

/// Restores weights and optimiser. Throws Error(kData) where the file belongs to another architecture or optimiser.
void restore_checkpoint(const Archive& archive, Model& model, Optimizer& optimizer);

/// The configuration of the run that a model file comes from, as the file's metadata tell: that of a checkpoint, or of
/// a model made from one. Null where they tell nothing.
[[nodiscard]] nlohmann::json run_config(const std::map<std::string, std::string>& metadata);
/// The step that it was saved after; -1 where they tell nothing.
[[nodiscard]] std::int64_t run_step(const std::map<std::string, std::string>& metadata);
/// A model made from a checkpoint is none: of the training state the configuration alone stays.
void drop_train_state(std::map<std::string, std::string>& metadata);

}  // namespace dcase
