#pragma once
/// Binary cross-entropy of independent labels, on probabilities (sound events) and on logits (tags).
///
/// `loss` is in memory of context.device, as all views: reading it on the host is the caller's copy and wait.
///
/// Thread-safe on distinct outputs; the same bits for every number of threads; Error(kArgument) on wrong shapes and, on
/// the CPU, on a weight below 0. CUDA cannot look at weights before it starts: one below 0, or NaN, makes all results
/// NaN.

#include "kernels/common/context.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

/// Over the first L = min(T, T2) frames, with count = sum w_n * L * K (w = 1 where `weight` is absent):
///   loss = -sum w_n * (t * max(log p, -100) + (1 - t) * max(log(1 - p), -100)) / count
///   dx = grad_scale * w_n / count * (p - t) / max(p * (1 - p), 1e-12),  0 in frames beyond L
/// and both 0 when count = 0. As torch.nn.BCELoss, whose clamps bound loss and gradient at p = 0 and p = 1; elements
/// are computed in Real, as there, because 1 - p of a saturated float p is another number in double.
template <class Real>
struct Bce {
  View<const Real> x;            // [N,T,K], probabilities p in [0, 1]
  View<const Real> target;       // [N,T2,K], t in [0, 1]
  View<const Real> weight = {};  // [N], >= 0 (0: the label is unknown, the item counts for nothing), or absent
  View<double> loss;             // [1], overwritten
  View<Real> dx = {};            // [N,T,K], or absent
  double grad_scale = 1;
  GradMode dx_mode = GradMode::kSet;
};

/// With count = sum w_n * K:
///   loss = sum w_n * (max(x, 0) - x * t + log(1 + exp(-|x|))) / count
///   dx = grad_scale * w_n / count * (sigmoid(x) - t)
/// and both 0 when count = 0. As torch.nn.BCEWithLogitsLoss.
template <class Real>
struct BceLogits {
  View<const Real> x;            // [N,K], logits
  View<const Real> target;       // [N,K], t in [0, 1]
  View<const Real> weight = {};  // [N], as above, or absent
  View<double> loss;             // [1], overwritten
  View<Real> dx = {};            // [N,K], or absent
  double grad_scale = 1;
  GradMode dx_mode = GradMode::kSet;
};

namespace cpu {
template <class Real>
void bce(const Bce<Real>& a, const Context& context);  // float, double
template <class Real>
void bce_logits(const BceLogits<Real>& a, const Context& context);  // float, double
}  // namespace cpu

namespace cuda {
void bce(const Bce<float>& a, const Context& context);
void bce_logits(const BceLogits<float>& a, const Context& context);
}  // namespace cuda

/// Throw Error(kArgument) where a call breaks the contract.
template <class Real>
void check(const Bce<Real>& a) {
  const char* op = "bce";
  DCASE_CHECK(a.x.rank == 3 && a.target.rank == 3, op, ": x ", shape_string(a.x), " and target ",
              shape_string(a.target), " are not [N,T,K] and [N,T2,K]");
  const std::int64_t n = a.x.dim(0);
  const std::int64_t k = a.x.dim(2);
  check_shape(op, "x", a.x, {n, a.x.dim(1), k});
  check_shape(op, "target", a.target, {n, a.target.dim(1), k});
  if (a.weight.present()) check_shape(op, "weight", a.weight, {n});
  check_shape(op, "loss", a.loss, {1});
  if (a.dx.present()) check_shape(op, "dx", a.dx, {n, a.x.dim(1), k});
}

template <class Real>
void check(const BceLogits<Real>& a) {
  const char* op = "bce_logits";
  DCASE_CHECK(a.x.rank == 2, op, ": x has shape ", shape_string(a.x), ", expected [N,K]");
  const std::int64_t n = a.x.dim(0);
  const std::int64_t k = a.x.dim(1);
  check_shape(op, "x", a.x, {n, k});
  check_shape(op, "target", a.target, {n, k});
  if (a.weight.present()) check_shape(op, "weight", a.weight, {n});
  check_shape(op, "loss", a.loss, {1});
  if (a.dx.present()) check_shape(op, "dx", a.dx, {n, k});
}

/// Runs on context.device.
template <class Real>
void bce(const Bce<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::bce(a, context);
  }
  require_cpu(context, "bce");
  cpu::bce(a, context);
}

/// Runs on context.device.
template <class Real>
void bce_logits(const BceLogits<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::bce_logits(a, context);
  }
  require_cpu(context, "bce_logits");
  cpu::bce_logits(a, context);
}

}  // namespace dcase
