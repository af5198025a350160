#include "train/joint_step.hpp"

#include <cmath>

#include "train/loss.hpp"

namespace dcase {

StepReport joint_step(Model& model, Optimizer& optimizer, const std::vector<Batch>& batches,
                      const std::vector<double>& loss_weights, const JointStepOptions& options) {
  DCASE_CHECK(loss_weights.size() == batches.size(), "joint_step: ", loss_weights.size(), " weights for ",
              batches.size(), " batches");
  StepReport report{.step = options.step + 1, .learning_rate = options.learning_rate};
  Pass pass{.training = true,
            .random = {.seed = options.seed, .step = static_cast<std::uint32_t>(options.step)},
            .dropout = options.dropout};
  model.parameters().reset_grads();
  std::vector<Array<double>> losses;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const Batch& batch = batches[i];
    if (model.info().bn_stats != BnStats::kShared) pass.domain = domain_of(batch.task);
    const Variable x(batch.x.copied_to(model.backend()));
    const Outputs out = model.network().forward(x, batch.task, pass);
    const Loss loss = task_loss(batch.task, out, batch.target.copied_to(model.backend()));
    if (!loss.variable.requires_grad()) {
      fail(ErrorKind::kUsage, "train.freeze: nothing that the ", task_name(batch.task), " loss depends on is trained");
    }
    backward(loss.variable, static_cast<float>(loss_weights[i]));
    losses.push_back(loss.value);
  }
  // Read behind all of the work, which a device does on its own meanwhile.
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const double loss = losses[i].to_vector()[0];
    const char* const task = task_name(batches[i].task);
    if (!std::isfinite(loss)) {
      fail(ErrorKind::kNumeric, "the ", task, " loss is ", loss, " in step ", options.step + 1,
           "; the last checkpoint is as it was; try a smaller train.lr or train.grad_clip");
    }
    report.losses[task] = loss;
    report.loss += loss_weights[i] * loss;
  }
  report.gradient_norm = optimizer.step(report.learning_rate);
  return report;
}

}  // namespace dcase
