#pragma once
#include <optional>

#include "layers/batch_norm.hpp"
#include "layers/conv.hpp"
#include "layers/linear.hpp"

namespace dcase {

/// Squeeze-excite: per channel scale s = sigmoid(W2 relu(W1 mean(x))), [N,..,C] -> [N,C]. No biases; reduction 16.
/// State: fc.0.weight [C/16,C], fc.2.weight [C,C/16].
class SqueezeExcite {
 public:
  static constexpr std::int64_t kReduction = 16;
  SqueezeExcite(const Scope& scope, std::int64_t channels);
  [[nodiscard]] Variable forward(const Variable& x) const;

 private:
  Linear squeeze_, excite_;
};

/// relu(x' * se(x') + residual), x' = BN(conv(relu(BN(conv(x))))); the residual is x, or BN(conv 1x1 (x)) where the
/// widths differ. [N,M,T,Ci] -> [N,M',T',Co]. One-dimensional blocks have M = 1 and kernels along T.
/// State: conv1, bn1, conv2, bn2, se, downsample.0, downsample.1.
class SeResidual {
 public:
  struct Options {
    int dimensions = 2;
    std::int64_t stride = 1;
  };
  SeResidual(const Scope& scope, std::int64_t inputs, std::int64_t outputs, const Options& options);
  [[nodiscard]] Variable forward(const Variable& x, const Pass& pass) const;

 private:
  Conv conv1_;
  BatchNorm bn1_;
  Conv conv2_;
  BatchNorm bn2_;
  SqueezeExcite se_;
  struct Downsample {
    Conv conv;
    BatchNorm bn;
  };
  std::optional<Downsample> downsample_;
};

}  // namespace dcase
