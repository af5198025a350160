#include "train/estimate.hpp"

#include <algorithm>
#include <chrono>

#include "kernels/common/philox.hpp"

namespace dcase {
namespace {

// Noise in [0, 1) of a shape; as log-mel as good as any, and as a target where each class is as likely.
Tensor noise(const Shape& shape, const char* name, const BackendPtr& backend) {
  const RandomKey key{.seed = 1, .purpose = purpose_id(name), .step = 0};
  std::vector<float> values(static_cast<std::size_t>(element_count(shape)));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = uniform_float(key, i);
  return Tensor::from(shape, values, backend);
}

Batch made_up(const BatchShape& s, const Model& model) {
  const std::int64_t K = model.info().architecture.classes(s.task);
  const Shape target = s.task == Task::kSed ? Shape{s.batch_size, s.crop_frames / 5, K} : Shape{s.batch_size, K};
  return {.task = s.task,
          .x = noise({s.batch_size, model.info().front_end.mels, s.crop_frames, 1}, "estimate/x", model.backend()),
          .target = noise(target, "estimate/target", model.backend())};
}

}  // namespace

StepEstimate estimate_step(Model& model, const std::vector<BatchShape>& shapes, const TrainerOptions& training,
                           const EstimateOptions& options) {
  DCASE_CHECK(!shapes.empty() && options.steps >= 1, "estimate: no task or no step");
  using Clock = std::chrono::steady_clock;
  const auto seconds_since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  StepEstimate estimate;
  std::vector<Batch> batches;
  for (const BatchShape& shape : shapes) {
    batches.push_back(made_up(shape, model));
    const auto elements = static_cast<std::size_t>(batches.back().x.size() + batches.back().target.size());
    estimate.batch_bytes += elements * sizeof(float);
  }
  model.parameters().set_trainable(true);
  Optimizer optimizer(model.parameters(), training.optimizer);
  const std::vector<double> weights(batches.size(), 1);
  std::vector<double> times;
  const Clock::time_point begin = Clock::now();
  for (std::int64_t step = 0; step <= options.steps; ++step) {
    if (options.stop && options.stop()) fail(ErrorKind::kInterrupted, "interrupted while timing steps");
    const Clock::time_point start = Clock::now();
    // A rate of 0: the weights stay as drawn, so that no number can run away.
    static_cast<void>(
        joint_step(model, optimizer, batches, weights,
                   {.seed = training.seed, .step = step, .learning_rate = 0, .dropout = training.dropout}));
    model.backend()->synchronise();
    if (step > 0) times.push_back(seconds_since(start));  // the first one asks for memory and packs weights
    if (step > 0 && seconds_since(begin) > options.enough_seconds) break;
  }
  std::sort(times.begin(), times.end());
  estimate.seconds = times[times.size() / 2];
  estimate.timed = std::ssize(times);
  estimate.peak_bytes = model.backend()->memory().peak_in_use;
  return estimate;
}

}  // namespace dcase
