#include "layers/batch_norm.hpp"

#include "kernels/batchnorm/batchnorm.hpp"
#include "kernels/common/map.hpp"

namespace dcase {

BatchNorm::BatchNorm(const Scope& scope, std::int64_t channels, const Initializer& weight)
    : weight_(scope.parameter("weight", {channels}, weight)),
      bias_(scope.parameter("bias", {channels}, Initializer::constant(0))),
      averages_(scope.averages(channels)) {}

BatchNorm::Statistics BatchNorm::statistics(View<const float> x, const Pass& pass) const {
  if (!uses_batch(pass)) return running(pass);
  Statistics batch{.mean = weight_->value().like(), .variance = weight_->value().like()};
  batchnorm_statistics<float>({.x = x, .mean = batch.mean, .variance = batch.variance}, weight_->value().context());
  track(batch, positions(x), pass);
  return batch;
}

BatchNorm::Statistics BatchNorm::running(const Pass& pass) const {
  const Averages* from = &averages_->common;
  if (pass.domain != Pass::kNoDomain) {
    const Averages& own = averages_->domains.at(static_cast<std::size_t>(pass.domain));
    if (own.batches->value > 0) from = &own;
  }
  return {.mean = from->mean->value, .variance = from->variance->value};
}

void BatchNorm::track(const Statistics& batch, std::int64_t count, const Pass& pass) const {
  if (pass.domain == Pass::kNoDomain) {
    move(averages_->common, batch, count, pass.cumulative);
    return;
  }
  move(averages_->domains.at(static_cast<std::size_t>(pass.domain)), batch, count, pass.cumulative);
  if (!pass.cumulative) move(averages_->mixture, batch, count, false);
}

void BatchNorm::move(const Averages& averages, const Statistics& batch, std::int64_t count, bool cumulative) const {
  ++averages.batches->value;
  batchnorm_update_running<float>(
      {.mean = batch.mean,
       .variance = batch.variance,
       .count = count,
       .momentum = cumulative ? 1 / static_cast<double>(averages.batches->value) : kMomentum,
       .running_mean = averages.mean->value,
       .running_variance = averages.variance->value},
      weight_->value().context());
}

void BatchNorm::run_forward(View<const float> x, const Statistics& s, const Tail& tail, View<float> y) const {
  batchnorm_forward<float>({.x = x,
                            .mean = s.mean,
                            .variance = s.variance,
                            .gamma = gamma().value(),
                            .beta = beta().value(),
                            .eps = kEps,
                            .relu = tail.relu,
                            .pool_m = static_cast<int>(tail.pool_m),
                            .pool_t = static_cast<int>(tail.pool_t),
                            .y = y},
                           weight_->value().context());
}

void BatchNorm::run_backward(View<const float> x, const Statistics& s, const Tail& tail, View<const float> dy,
                             bool batch_statistics, const Gradient& dx, const Gradient& dgamma,
                             const Gradient& dbeta) const {
  batchnorm_backward<float>({.x = x,
                             .mean = s.mean,
                             .variance = s.variance,
                             .gamma = gamma().value(),
                             .beta = beta().value(),
                             .eps = kEps,
                             .relu = tail.relu,
                             .pool_m = static_cast<int>(tail.pool_m),
                             .pool_t = static_cast<int>(tail.pool_t),
                             .dy = dy,
                             .batch_statistics = batch_statistics,
                             .dx = dx.view,
                             .dgamma = dgamma.view,
                             .dbeta = dbeta.view,
                             .dx_mode = dx.mode,
                             .dgamma_mode = dgamma.mode,
                             .dbeta_mode = dbeta.mode},
                            weight_->value().context());
}

Variable BatchNorm::forward(const Variable& x, const Pass& pass, bool relu) const {
  const Tensor& in = x.value();
  const Statistics s = statistics(as_map(View<const float>(in)), pass);
  const Tail tail{.relu = relu};
  Tensor y = in.like();
  run_forward(as_map(View<const float>(in)), s, tail, as_map(y.view()));
  return record("batch_norm", y, {x, gamma(), beta()}, [this, in, s, tail, batch = uses_batch(pass)](Grads& g) {
    Gradient dx = g.in(0);
    const Gradient dgamma = g.in(1);
    const Gradient dbeta = g.in(2);
    if (dx.view.present()) dx.view = as_map(dx.view);
    run_backward(as_map(View<const float>(in)), s, tail, as_map(View<const float>(g.out())), batch, dx, dgamma, dbeta);
  });
}

}  // namespace dcase
