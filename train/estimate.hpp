#pragma once
/// What a training would cost, by trying: a few joint steps on made-up batches of the right sizes.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "train/trainer.hpp"

namespace dcase {

/// What decides the cost of a task's part of a step.
struct BatchShape {
  Task task = Task::kAsc;
  std::int64_t batch_size = 1;
  std::int64_t crop_frames = 251;
};

struct EstimateOptions {
  std::int64_t steps = 3;      ///< timed, after one that is not
  double enough_seconds = 20;  ///< no step is begun after so much time; at least one is timed
  std::function<bool()> stop;  ///< asked between steps; true ends with Error(kInterrupted)
};

struct StepEstimate {
  double seconds = 0;           ///< of a step: median of those timed
  std::int64_t timed = 0;       ///< steps
  std::size_t peak_bytes = 0;   ///< on the model's backend: parameters, gradients, moments and one step
  std::size_t batch_bytes = 0;  ///< batches of a step, of which the loader holds up to three beside it
};

/// Batches are noise; front end, decoding and validation are not in it, for they run beside the steps or between them.
/// Changes the model. Throws Error(kDevice) where memory does not suffice.
[[nodiscard]] StepEstimate estimate_step(Model& model, const std::vector<BatchShape>& shapes,
                                         const TrainerOptions& training, const EstimateOptions& options = {});

}  // namespace dcase
