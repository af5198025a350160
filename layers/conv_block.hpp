#pragma once
#include "layers/batch_norm.hpp"
#include "layers/conv.hpp"

namespace dcase {

/// conv 3x3 - BN - ReLU - conv 3x3 - BN - ReLU - average pool (floor mode): [N,M,T,Ci] -> [N,M/pm,T/pt,Co].
///
/// One autograd node. On the CPU the maps between its ends are in whatever layout the backend convolves fastest
/// (conv2d_plan), and backward keeps the two convolution outputs and the activation between them; the last activation
/// is recomputed. On CUDA (conv_block_fused.cpp) statistics, normalisation and ReLU are part of the convolutions, so
/// that the activation between is never stored, and at inference the normalisations are folded into the weights. Paper
/// section 2 ("double convolution block"); state: conv1.weight, conv2.weight, bn1.*, bn2.*.
class ConvBlock {
 public:
  struct Pool {
    std::int64_t m = 2;
    std::int64_t t = 2;
  };
  ConvBlock(const Scope& scope, std::int64_t inputs, std::int64_t outputs, Pool pool);

  [[nodiscard]] Variable forward(const Variable& x, const Pass& pass) const;

 private:
  /// The variables that the block's node depends on.
  [[nodiscard]] std::vector<Variable> inputs(const Variable& x) const;
  [[nodiscard]] Variable train_fused(const Variable& x, const Pass& pass) const;
  [[nodiscard]] Variable infer_folded(const Variable& x, const Pass& pass) const;

  Conv conv1_, conv2_;
  BatchNorm bn1_, bn2_;
  std::int64_t outputs_;
  Pool pool_;
};

}  // namespace dcase
