#pragma once
/// Gradients of a layer for a given gradient of its output.

#include "engine/autograd.hpp"
#include "kernels/common/error.hpp"
#include "kernels/elementwise/elementwise.hpp"

namespace dcase::detail {

/// Runs backward with dL/dy = dy: the gradients are left in the leaves that y depends on.
inline void backward_from(const Variable& y, const Tensor& dy) {
  DCASE_CHECK(y.value().shape() == dy.shape(), "verify: y has shape ", to_string(y.value().shape()), ", dy ",
              to_string(dy.shape()));
  // L = sum y * dy. Its value does not matter, only that dL/dy = dy.
  const Tensor sum = Tensor::filled({1}, 0, dy.backend());
  backward(record("weighted_sum", sum, {y}, [dy](Grads& g) {
    const Gradient into = g.in(0);
    scale_by<float>({.x = dy, .s = g.out(), .y = into.view, .mode = into.mode}, dy.context());
  }));
}

}  // namespace dcase::detail
