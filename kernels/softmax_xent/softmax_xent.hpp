#pragma once
/// Softmax, and the cross-entropy of its logits against soft labels (one-hot, or a mix of two items).
///
/// Thread-safe on distinct outputs; the same bits for every number of threads; Error(kArgument) on wrong shapes.

#include "kernels/common/context.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

/// y[n,k] = exp(x[n,k]) / sum over j of exp(x[n,j]), with the row's maximum taken off first. K >= 1.
template <class Real>
struct SoftmaxForward {
  View<const Real> x;  // [N,K]
  View<Real> y;        // [N,K], overwritten; may be x itself
};

/// CE_n = -sum over k of target[n,k] * log softmax(logits[n])_k
/// loss = sum w_n * CE_n / sum w_n,  w = 1 where `weight` is absent;  0 when all weights are 0
/// dlogits[n,k] = grad_scale * w_n / sum w * (softmax_k * sum_j target[n,j] - target[n,k])
template <class Real>
struct SoftmaxXent {
  View<const Real> logits;       // [N,K]
  View<const Real> target;       // [N,K], >= 0
  View<const Real> weight = {};  // [N], >= 0 (0: the label is unknown, the item counts for nothing), or absent
  View<double> loss;             // [1], overwritten
  View<Real> dlogits = {};       // [N,K], or absent
  double grad_scale = 1;
  GradMode dlogits_mode = GradMode::kSet;
};

namespace cpu {
template <class Real>
void softmax_forward(const SoftmaxForward<Real>& a, const Context& context);  // float, double
template <class Real>
void softmax_xent(const SoftmaxXent<Real>& a, const Context& context);  // float, double
}  // namespace cpu

/// Runs on context.device.
template <class Real>
void softmax_forward(const SoftmaxForward<Real>& a, const Context& context) {
  require_cpu(context, "softmax_forward");
  cpu::softmax_forward(a, context);
}

/// Runs on context.device.
template <class Real>
void softmax_xent(const SoftmaxXent<Real>& a, const Context& context) {
  require_cpu(context, "softmax_xent");
  cpu::softmax_xent(a, context);
}

}  // namespace dcase
