#include "train/optimizer.hpp"

#include <cmath>

#include "kernels/adam/adam.hpp"
#include "kernels/reduce/reduce.hpp"
#include "kernels/sgd/sgd.hpp"

namespace dcase {

Optimizer::Optimizer(ParameterStore& store, const OptimizerOptions& options) : store_(&store), options_(options) {
  const auto add = [&](const char* name) {
    state_.emplace_back(name, Tensor::filled({store.parameter_count()}, 0, store.backend()));
  };
  if (options.kind == OptimizerOptions::Kind::kAdam) {
    add("adam_m");
    add("adam_v");
    if (options.amsgrad) add("adam_vmax");
  } else if (options.momentum != 0) {
    add("sgd_momentum");
  }
}

std::vector<Optimizer::Range> Optimizer::touched() const {
  std::vector<Range> ranges;
  for (const Parameter& p : store_->parameters()) {
    if (!p.leaf.grad().present()) continue;
    const std::int64_t end = p.offset + p.value().size();
    if (!ranges.empty() && ranges.back().end == p.offset) {
      ranges.back().end = end;
    } else {
      ranges.push_back({p.offset, end});
    }
  }
  return ranges;
}

double Optimizer::gradient_norm(const std::vector<Range>& ranges) const {
  const Context& context = store_->backend()->context();
  double sum = 0;
  for (const Range& r : ranges) {
    sum += squared_norm<float>(store_->flat_grads().slice(r.begin, {r.end - r.begin}), context);
  }
  if (std::isfinite(sum)) return std::sqrt(sum);
  for (const Parameter& p : store_->parameters()) {
    const Tensor grad = p.leaf.grad();
    if (!grad.present()) continue;
    if (const std::int64_t at = first_not_finite<float>(grad, context); at >= 0) {
      const float value = grad.reshaped({grad.size()}).slice(at, {1}).to_vector()[0];
      fail(ErrorKind::kNumeric, "the gradient of ", p.name, " is ", value, " at element ", at,
           "; try a smaller train.lr or train.grad_clip");
    }
  }
  fail(ErrorKind::kNumeric, "the squared norm of the gradient overflows; try a smaller train.lr or train.grad_clip");
}

double Optimizer::step(double learning_rate) {
  const std::vector<Range> ranges = touched();
  const double norm = gradient_norm(ranges);
  const double scale = options_.clip_norm > 0 && norm > options_.clip_norm ? options_.clip_norm / norm : 1;
  ++steps_;
  for (const Range& r : ranges) update(r, learning_rate, scale);
  store_->reset_grads();
  store_->touch();
  return norm;
}

Tensor Optimizer::moment(std::size_t index, const Range& r) const {
  return state_.size() > index ? state_[index].second.slice(r.begin, {r.end - r.begin}) : Tensor();
}

void Optimizer::update(const Range& r, double learning_rate, double scale) {
  const Context& context = store_->backend()->context();
  const Tensor g = store_->flat_grads().slice(r.begin, {r.end - r.begin});
  const Tensor p = store_->flat_values().slice(r.begin, {r.end - r.begin});
  if (options_.kind == OptimizerOptions::Kind::kAdam) {
    adam_step<float>({.g = g,
                      .p = p,
                      .m = moment(0, r),
                      .v = moment(1, r),
                      .vmax = moment(2, r),
                      .lr = learning_rate,
                      .beta1 = options_.beta1,
                      .beta2 = options_.beta2,
                      .eps = options_.eps,
                      .weight_decay = options_.weight_decay,
                      .grad_scale = scale,
                      .step = steps_},
                     context);
  } else {
    sgd_step<float>({.g = g,
                     .p = p,
                     .b = moment(0, r),
                     .lr = learning_rate,
                     .momentum = options_.momentum,
                     .weight_decay = options_.weight_decay,
                     .grad_scale = scale,
                     .nesterov = options_.nesterov},
                    context);
  }
}

}  // namespace dcase
