#include "train/loss.hpp"

#include "kernels/bce/bce.hpp"
#include "kernels/softmax_xent/softmax_xent.hpp"

namespace dcase {
namespace {

// Loss and gradient are one operator; forward asks for the loss, backward for the gradient times what arrives.
// `run(loss, dx, scale, mode)` calls it.
template <class Run>
Loss record_loss(const char* name, const Variable& x, const Run& run) {
  double value = 0;
  run(View<double>(&value, {1}), View<float>(), 1.0, GradMode::kSet);
  Tensor y({1}, x.value().backend());
  y.fill(static_cast<float>(value));
  Variable variable = record(name, y, {x}, [run](Grads& g) {
    double unused = 0;
    const Gradient dx = g.in(0);
    run(View<double>(&unused, {1}), dx.view, static_cast<double>(g.out().data()[0]), dx.mode);
  });
  return {.variable = std::move(variable), .value = value};
}

}  // namespace

Loss task_loss(Task task, const Outputs& outputs, const Tensor& target) {
  switch (task) {
    case Task::kAsc:
      return record_loss(
          "loss_asc", outputs.asc,
          [x = outputs.asc.value(), target](View<double> loss, View<float> dx, double scale, GradMode mode) {
            softmax_xent<float>(
                {.logits = x, .target = target, .loss = loss, .dlogits = dx, .grad_scale = scale, .dlogits_mode = mode},
                x.context());
          });
    case Task::kTag:
      return record_loss(
          "loss_tag", outputs.tag,
          [x = outputs.tag.value(), target](View<double> loss, View<float> dx, double scale, GradMode mode) {
            bce_logits<float>({.x = x, .target = target, .loss = loss, .dx = dx, .grad_scale = scale, .dx_mode = mode},
                              x.context());
          });
    case Task::kSed:
      return record_loss(
          "loss_sed", outputs.sed,
          [x = outputs.sed.value(), target](View<double> loss, View<float> dx, double scale, GradMode mode) {
            bce<float>({.x = x, .target = target, .loss = loss, .dx = dx, .grad_scale = scale, .dx_mode = mode},
                       x.context());
          });
  }
  fail(ErrorKind::kArgument, "loss: unknown task");
}

}  // namespace dcase
