#pragma once
/// One update from one batch of every task.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "dcasenet/model.hpp"
#include "train/data/batcher.hpp"
#include "train/optimizer.hpp"

namespace dcase {

struct JointStepOptions {
  std::uint64_t seed = 0;
  std::int64_t step = 0;  ///< steps done before; with the seed it decides dropout
  double learning_rate = 1e-3;
  bool dropout = true;
};

/// What one step did.
struct StepReport {
  std::int64_t step = 0;  ///< steps done, this one included
  double learning_rate = 0;
  double loss = 0;                       ///< weighted sum
  std::map<std::string, double> losses;  ///< by task
  double gradient_norm = 0;
};

/// Forward, loss and backward of one batch after the other, in their order, then the update. `loss_weights`: one a
/// batch. The sum of the gradients is that of one backward over the weighted sum of the losses, with one task's graph
/// alive at a time. Batch-norm averages move as the model's mode asks for (bn_stats.hpp). Throws Error(kNumeric) when a
/// loss or gradient is not finite; no parameter has changed then.
[[nodiscard]] StepReport joint_step(Model& model, Optimizer& optimizer, const std::vector<Batch>& batches,
                                    const std::vector<double>& loss_weights, const JointStepOptions& options);

}  // namespace dcase
