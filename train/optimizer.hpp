#pragma once
/// Adam and SGD over the flat arenas of a parameter store.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/parameters.hpp"

namespace dcase {

struct OptimizerOptions {
  enum class Kind : std::uint8_t { kAdam, kSgd };
  Kind kind = Kind::kAdam;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  bool amsgrad = false;
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;  ///< added to the gradient (L2)
  double clip_norm = 0;     ///< gradients are scaled down to this norm; 0: never
};

/// Parameters that got no gradient since the last step keep their values and moments, as in the reference framework.
/// The store outlives the optimiser.
class Optimizer {
 public:
  Optimizer(ParameterStore& store, const OptimizerOptions& options);

  /// One update with the gradients that are there; they are forgotten. Returns their norm before clipping.
  /// Throws Error(kNumeric) naming the parameter whose gradient is not finite; nothing has changed then.
  double step(double learning_rate);

  [[nodiscard]] std::int64_t steps() const { return steps_; }
  void set_steps(std::int64_t steps) { steps_ = steps; }
  /// Moments by name ("adam_m", ...), each flat as the parameters; for checkpoints.
  [[nodiscard]] const std::vector<std::pair<std::string, Tensor>>& state() const { return state_; }

 private:
  /// Neighbouring parameters with gradients, as one range of the flat arenas.
  struct Range {
    std::int64_t begin, end;
  };
  [[nodiscard]] std::vector<Range> touched() const;
  [[nodiscard]] double gradient_norm(const std::vector<Range>& ranges) const;
  void update(const Range& range, double learning_rate, double scale);
  [[nodiscard]] Tensor moment(std::size_t index, const Range& range) const;

  ParameterStore* store_;
  OptimizerOptions options_;
  std::int64_t steps_ = 0;
  std::vector<std::pair<std::string, Tensor>> state_;
};

}  // namespace dcase
