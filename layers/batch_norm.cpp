#include "layers/batch_norm.hpp"

#include "kernels/batchnorm/batchnorm.hpp"
#include "kernels/common/map.hpp"

namespace dcase {

BatchNorm::BatchNorm(const Scope& scope, std::int64_t channels, const Initializer& weight)
    : weight_(scope.parameter("weight", {channels}, weight)),
      bias_(scope.parameter("bias", {channels}, Initializer::constant(0))),
      running_mean_(scope.buffer("running_mean", {channels}, 0)),
      running_var_(scope.buffer("running_var", {channels}, 1)),
      batches_(scope.counter("num_batches_tracked")) {}

BatchNorm::Statistics BatchNorm::statistics(View<const float> x, const Pass& pass) const {
  if (!pass.training) return {.mean = running_mean_->value, .variance = running_var_->value};
  const Context& context = weight_->value().context();
  Statistics batch{.mean = weight_->value().like(), .variance = weight_->value().like()};
  batchnorm_statistics<float>({.x = x, .mean = batch.mean, .variance = batch.variance}, context);
  batchnorm_update_running<float>({.mean = batch.mean,
                                   .variance = batch.variance,
                                   .count = positions(x),
                                   .momentum = kMomentum,
                                   .running_mean = running_mean_->value,
                                   .running_variance = running_var_->value},
                                  context);
  ++batches_->value;
  return batch;
}

Variable BatchNorm::forward(const Variable& x, const Pass& pass, bool relu) const {
  const Tensor& in = x.value();
  const Statistics s = statistics(as_map(View<const float>(in)), pass);
  Tensor y = in.like();
  batchnorm_forward<float>({.x = as_map(View<const float>(in)),
                            .mean = s.mean,
                            .variance = s.variance,
                            .gamma = gamma().value(),
                            .beta = beta().value(),
                            .eps = kEps,
                            .relu = relu,
                            .y = as_map(y.view())},
                           y.context());
  return record("batch_norm", y, {x, gamma(), beta()}, [this, in, s, relu, training = pass.training](Grads& g) {
    const Gradient dx = g.in(0);
    const Gradient dgamma = g.in(1);
    const Gradient dbeta = g.in(2);
    batchnorm_backward<float>({.x = as_map(View<const float>(in)),
                               .mean = s.mean,
                               .variance = s.variance,
                               .gamma = gamma().value(),
                               .beta = beta().value(),
                               .eps = kEps,
                               .relu = relu,
                               .dy = as_map(View<const float>(g.out())),
                               .batch_statistics = training,
                               .dx = dx.view.present() ? as_map(dx.view) : View<float>(),
                               .dgamma = dgamma.view,
                               .dbeta = dbeta.view,
                               .dx_mode = dx.mode,
                               .dgamma_mode = dgamma.mode,
                               .dbeta_mode = dbeta.mode},
                              in.context());
  });
}

}  // namespace dcase
