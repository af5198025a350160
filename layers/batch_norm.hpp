#pragma once
#include "engine/autograd.hpp"
#include "layers/module.hpp"

namespace dcase {

/// Parameters, running averages and the choice of statistics of one batch norm; the arithmetic is kernels/batchnorm.
/// eps 1e-5, momentum 0.1 (or 1/n: Pass::cumulative), running variance unbiased. State: weight, bias, running_mean,
/// running_var, num_batches_tracked; beside it averages of single domains (Pass::domain).
class BatchNorm {
 public:
  static constexpr float kEps = 1e-5F;
  static constexpr float kMomentum = 0.1F;

  BatchNorm(const Scope& scope, std::int64_t channels, const Initializer& weight = Initializer::constant(1));

  /// Mean and biased variance to normalise with, both [C].
  struct Statistics {
    Tensor mean, variance;
  };
  /// Where `uses_batch`: those of the batch x (a map, channels grouped or last), which also move the pass's running
  /// averages. Else the running averages of the pass.
  [[nodiscard]] Statistics statistics(View<const float> x, const Pass& pass) const;
  /// Moves the running averages by a training batch of `count` positions, whose statistics an operator has taken.
  void track(const Statistics& batch, std::int64_t count, const Pass& pass) const;
  [[nodiscard]] Statistics running(const Pass& pass) const;

  /// Whether a pass normalises with the statistics of its batch, and moves the running averages: in training, unless
  /// gamma and beta are frozen. A frozen batch norm computes what it computed before, in training too.
  [[nodiscard]] bool uses_batch(const Pass& pass) const { return pass.training && !(weight_->frozen && bias_->frozen); }

  [[nodiscard]] const Variable& gamma() const { return weight_->variable; }
  [[nodiscard]] const Variable& beta() const { return bias_->variable; }

  /// What follows the normalisation within the same operator.
  struct Tail {
    bool relu = false;
    std::int64_t pool_m = 1;
    std::int64_t pool_t = 1;
  };
  /// y = pool(act(bn(x))), maps in any grouping; for modules that run the operator themselves.
  void run_forward(View<const float> x, const Statistics& s, const Tail& tail, View<float> y) const;
  /// Its gradients. `batch_statistics`: s came from x, as in training.
  void run_backward(View<const float> x, const Statistics& s, const Tail& tail, View<const float> dy,
                    bool batch_statistics, const Gradient& dx, const Gradient& dgamma, const Gradient& dbeta) const;

  /// act(bn(x)), x [N,M,T,C], act = ReLU or none
  [[nodiscard]] Variable forward(const Variable& x, const Pass& pass, bool relu) const;

 private:
  void move(const Averages& averages, const Statistics& batch, std::int64_t count, bool cumulative) const;

  const Parameter* weight_;
  const Parameter* bias_;
  const AverageSets* averages_;
};

}  // namespace dcase
