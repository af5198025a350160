#pragma once
/// Softmax, and the cross-entropy of its logits against soft labels (one-hot, or a mix of two items).
///
/// `loss` is in memory of context.device, as all views: reading it on the host is the caller's copy and wait.
/// Arithmetic is double on the CPU; on CUDA elements are float, sums double.
///
/// Thread-safe on distinct outputs; the same bits for every number of threads; Error(kArgument) on wrong shapes and, on
/// the CPU, on a weight below 0. CUDA cannot look at weights before it starts: one below 0, or NaN, makes all results
/// NaN.

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

namespace cuda {
void softmax_forward(const SoftmaxForward<float>& a, const Context& context);
void softmax_xent(const SoftmaxXent<float>& a, const Context& context);
}  // namespace cuda

/// Throw Error(kArgument) where a call breaks the contract.
template <class Real>
void check(const SoftmaxForward<Real>& a) {
  const char* op = "softmax_forward";
  DCASE_CHECK(a.x.rank == 2 && a.x.dim(1) >= 1, op, ": x has shape ", shape_string(a.x), ", expected [N,K], K >= 1");
  check_shape(op, "x", a.x, {a.x.dim(0), a.x.dim(1)});
  check_shape(op, "y", a.y, {a.x.dim(0), a.x.dim(1)});
}

template <class Real>
void check(const SoftmaxXent<Real>& a) {
  const char* op = "softmax_xent";
  DCASE_CHECK(a.logits.rank == 2 && a.logits.dim(1) >= 1, op, ": logits have shape ", shape_string(a.logits),
              ", expected [N,K], K >= 1");
  const std::int64_t n = a.logits.dim(0);
  const std::int64_t k = a.logits.dim(1);
  check_shape(op, "logits", a.logits, {n, k});
  check_shape(op, "target", a.target, {n, k});
  if (a.weight.present()) check_shape(op, "weight", a.weight, {n});
  check_shape(op, "loss", a.loss, {1});
  if (a.dlogits.present()) check_shape(op, "dlogits", a.dlogits, {n, k});
}

/// Runs on context.device.
template <class Real>
void softmax_forward(const SoftmaxForward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::softmax_forward(a, context);
  }
  require_cpu(context, "softmax_forward");
  cpu::softmax_forward(a, context);
}

/// Runs on context.device.
template <class Real>
void softmax_xent(const SoftmaxXent<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::softmax_xent(a, context);
  }
  require_cpu(context, "softmax_xent");
  cpu::softmax_xent(a, context);
}

}  // namespace dcase
