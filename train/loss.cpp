#include "train/loss.hpp"

#include "kernels/bce/bce.hpp"
#include "kernels/elementwise/elementwise.hpp"
#include "kernels/softmax_xent/softmax_xent.hpp"

namespace dcase {
namespace {

// Loss and gradient are one operator, run(loss, dx): backward only multiplies by what arrives.
template <class Run>
Loss record_loss(const char* name, const Variable& x, const Run& run) {
  const BackendPtr& backend = x.value().backend();
  Array<double> value(1, backend);
  Tensor gradient = x.requires_grad() ? x.value().like() : Tensor();
  run(value.view(), gradient.view());
  Tensor y({1}, backend);
  narrow<float>({.x = value.view(), .y = y}, backend->context());
  Variable variable = record(name, y, {x}, [gradient](Grads& g) {
    const Gradient dx = g.in(0);
    scale_by<float>({.x = gradient, .s = g.out(), .y = dx.view, .mode = dx.mode}, gradient.context());
  });
  return {.variable = std::move(variable), .value = std::move(value)};
}

}  // namespace

Loss task_loss(Task task, const Outputs& outputs, const Tensor& target) {
  const Context& context = target.context();
  switch (task) {
    case Task::kAsc:
      return record_loss("loss_asc", outputs.asc, [&](View<double> loss, View<float> dx) {
        softmax_xent<float>({.logits = outputs.asc.value(), .target = target, .loss = loss, .dlogits = dx}, context);
      });
    case Task::kTag:
      return record_loss("loss_tag", outputs.tag, [&](View<double> loss, View<float> dx) {
        bce_logits<float>({.x = outputs.tag.value(), .target = target, .loss = loss, .dx = dx}, context);
      });
    case Task::kSed:
      return record_loss("loss_sed", outputs.sed, [&](View<double> loss, View<float> dx) {
        bce<float>({.x = outputs.sed.value(), .target = target, .loss = loss, .dx = dx}, context);
      });
  }
  fail(ErrorKind::kArgument, "loss: unknown task");
}

}  // namespace dcase
