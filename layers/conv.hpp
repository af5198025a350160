#pragma once
#include "kernels/conv2d/conv2d.hpp"
#include "layers/module.hpp"

namespace dcase {

/// Convolution without bias on maps [N,M,T,Ci] -> [N,M',T',Co], padding K/2. State: weight, [Co,Ci,K,K]; with one
/// dimension [Co,Ci,K], and the kernel and the stride work along T alone (M = 1).
class Conv {
 public:
  struct Options {
    int dimensions = 2;
    std::int64_t kernel = 3;
    std::int64_t stride = 1;
  };
  Conv(const Scope& scope, std::int64_t inputs, std::int64_t outputs, const Options& options,
       const Initializer& initializer);

  [[nodiscard]] Variable forward(const Variable& x) const;

  // For modules that run the operator themselves.
  [[nodiscard]] const Variable& weight() const { return weight_->variable; }
  [[nodiscard]] View<const float> kernel_view() const;  // [Co,Ci,Km,Kt]
  [[nodiscard]] Conv2dShape shape(std::int64_t N, std::int64_t M, std::int64_t T) const;
  /// Calls the operator with the layer's packed weights.
  void run_forward(View<const float> x, View<float> y) const;
  void run_backward(View<const float> x, View<const float> dy, const Gradient& dx, const Gradient& dw) const;

 private:
  const Parameter* weight_;
  const ParameterStore* store_;
  std::int64_t inputs_, outputs_;
  Options options_;
  std::shared_ptr<Conv2dPack> pack_;
};

/// Uniform bound of the released initialisation of the trunk: sqrt(6 / fan_in), Kaiming with gain sqrt 2.
[[nodiscard]] Initializer kaiming_uniform(std::int64_t fan_in);

}  // namespace dcase
