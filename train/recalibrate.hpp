#pragma once
/// Batch-norm averages of existing weights, from training data.
///
/// Training keeps averages by momentum: the last ten batches or so decide, taken while the weights moved. Here the
/// weights stand still and batches b = 1..B of a task pass through the network as in training, each normalised by its
/// own statistics. With mean_b and the biased variance_b over the n_b positions of batch b, every layer gets
///
///     mean     = sum_b mean_b / B
///     variance = sum_b variance_b * n_b / (n_b - 1) / B
///
/// what the momentum estimates, without its noise. Order, crops and lengths of the batches are those of training with
/// the same seed; there is no mix-up and no dropout.

#include <cstdint>
#include <functional>
#include <vector>

#include "train/trainer.hpp"

namespace dcase {

struct RecalibrateOptions {
  BnStats mode = BnStats::kPerTask;  ///< pooled or per-task
  std::int64_t batches = 100;        ///< of each task
  /// done, total. What it throws ends the work.
  std::function<void(std::int64_t, std::int64_t)> progress;
};

/// Averages of the plans' tasks are made anew; those of other tasks stay, for the weights do. The model has
/// `options.mode` afterwards. Needs exclusive use of the model. Throws Error(kArgument) for the mode `shared` or no
/// batches, Error where a batch cannot be made.
void recalibrate(Model& model, const std::vector<TaskPlan>& plans, const RecalibrateOptions& options);

}  // namespace dcase
