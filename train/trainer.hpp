#pragma once
/// Joint training: in each step one batch of every task, losses weighted and summed, one update.
///
/// Gradients of the tasks are collected one task after the other (forward, loss, backward) before the update. The sum
/// is that of one backward over the summed loss, but only one task's graph is alive at a time.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "train/checkpoint.hpp"
#include "train/data/batcher.hpp"
#include "train/evaluate.hpp"
#include "train/joint_step.hpp"
#include "train/optimizer.hpp"
#include "train/run_log.hpp"

namespace dcase {

struct TaskPlan {
  TaskSource source;
  BatchOptions batch;
  double loss_weight = 1;
};

struct TrainerOptions {
  std::string run_folder;
  std::uint64_t seed = 0;
  std::int64_t steps = 0;             ///< total, counted from the start of the run
  std::int64_t epoch_steps = 500;     ///< for reports alone
  std::int64_t log_every = 10;        ///< steps in one line of metrics.csv
  std::int64_t checkpoint_every = 0;  ///< 0: at the end alone
  std::int64_t evaluate_every = 0;    ///< on the validation part; 0: at the end alone
  double learning_rate = 1e-3;
  double minimum_learning_rate = 1e-6;
  std::int64_t restart_steps = 0;  ///< period of the cosine; 0: constant rate
  bool dropout = true;
  OptimizerOptions optimizer;
  EvaluateOptions evaluation;  ///< decisions; the part is the validation part
  nlohmann::json config;       ///< kept in checkpoints
};

struct TrainerHooks {
  std::function<void(const StepReport&)> step;
  std::function<void(std::int64_t step, const std::vector<Evaluation>&)> evaluation;
  std::function<void(std::int64_t done, std::int64_t total)> evaluation_progress;
  std::function<bool()> stop;  ///< asked after each step; true: save and return
};

enum class TrainOutcome : std::uint8_t { kFinished, kStopped };

class Trainer {
 public:
  /// The model's classes are those of the tasks' data sets. Throws Error where a batch cannot be made.
  Trainer(std::shared_ptr<Model> model, std::vector<TaskPlan> tasks, TrainerOptions options);

  /// Goes on where a checkpoint of the same run stopped. Throws Error(kData) where it does not fit.
  void resume(const Archive& checkpoint);

  /// Trains up to options.steps. `last.safetensors` and `best_<task>.safetensors` are in the run folder afterwards.
  /// Throws Error(kNumeric) when a loss or gradient is not finite: the last checkpoint is left as it was.
  TrainOutcome run(const TrainerHooks& hooks = {});

  [[nodiscard]] const TrainState& state() const { return state_; }
  [[nodiscard]] std::string last_path() const { return options_.run_folder + "/last.safetensors"; }
  [[nodiscard]] std::string best_path(Task task) const;

 private:
  TrainOutcome run_steps(const TrainerHooks& hooks);
  [[nodiscard]] StepReport train_step(const std::vector<Batch>& batches);
  [[nodiscard]] double learning_rate(std::int64_t step) const;
  void evaluate_all(const TrainerHooks& hooks);
  void log_step(const StepReport& report);
  void save_last();

  std::shared_ptr<Model> model_;
  std::vector<TaskPlan> tasks_;
  TrainerOptions options_;
  std::vector<std::shared_ptr<const Batcher>> batchers_;
  Optimizer optimizer_;
  TrainState state_;
  std::optional<RunLog> log_;
};

}  // namespace dcase
