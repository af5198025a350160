#pragma once
/// Average pooling of a map over windows of pool_m x pool_t positions, stride as the window, floor mode: rows and
/// frames that fill no window are left out. As torch.nn.AvgPool2d((pool_m, pool_t)). Inside convolution blocks the
/// pool is fused into batchnorm_forward (kernels/batchnorm); this is the operator by itself.
///
/// Thread-safe on distinct outputs; the same bits for every number of threads; Error(kArgument) on wrong shapes.

#include "kernels/common/context.hpp"
#include "kernels/common/map.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

/// y[.., i, j, c] = mean of x[.., i * pool_m + a, j * pool_t + b, c] over 0 <= a < pool_m, 0 <= b < pool_t
template <class Real>
struct AvgPoolForward {
  View<const Real> x;  // [N,G,M,T,B]
  int pool_m = 1;
  int pool_t = 1;
  View<Real> y;  // [N,G',M/pool_m,T/pool_t,B'], overwritten; its grouping may differ from x's
};

/// dx = dy of the window / (pool_m * pool_t), and 0 at positions that no window covers
template <class Real>
struct AvgPoolBackward {
  View<const Real> dy;  // [N,G',M/pool_m,T/pool_t,B']
  int pool_m = 1;
  int pool_t = 1;
  View<Real> dx;  // [N,G,M,T,B]
  GradMode dx_mode = GradMode::kSet;
};

namespace cpu {
template <class Real>
void avg_pool_forward(const AvgPoolForward<Real>& a, const Context& context);  // float, double
template <class Real>
void avg_pool_backward(const AvgPoolBackward<Real>& a, const Context& context);  // float, double
}  // namespace cpu

/// Maps of up to 2^31 - 1 positions.
namespace cuda {
void avg_pool_forward(const AvgPoolForward<float>& a, const Context& context);
void avg_pool_backward(const AvgPoolBackward<float>& a, const Context& context);
}  // namespace cuda

/// Throw Error(kArgument) where a call breaks the contract.
template <class Real>
void check(const AvgPoolForward<Real>& a) {
  check_pooled("avg_pool_forward", "x", a.x, "y", a.y, a.pool_m, a.pool_t);
}

template <class Real>
void check(const AvgPoolBackward<Real>& a) {
  check_pooled("avg_pool_backward", "dx", a.dx, "dy", a.dy, a.pool_m, a.pool_t);
}

/// Runs on context.device.
template <class Real>
void avg_pool_forward(const AvgPoolForward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::avg_pool_forward(a, context);
  }
  require_cpu(context, "avg_pool_forward");
  cpu::avg_pool_forward(a, context);
}

/// Runs on context.device.
template <class Real>
void avg_pool_backward(const AvgPoolBackward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::avg_pool_backward(a, context);
  }
  require_cpu(context, "avg_pool_backward");
  cpu::avg_pool_backward(a, context);
}

template <class Real>
[[nodiscard]] Cost cost(const AvgPoolForward<Real>& a) {
  const double x = static_cast<double>(a.x.size());
  const double y = static_cast<double>(a.y.size());
  return {.flops = x + y, .bytes = (x + y) * sizeof(Real)};
}

template <class Real>
[[nodiscard]] Cost cost(const AvgPoolBackward<Real>& a) {
  const double dx = static_cast<double>(a.dx.size()) * (a.dx_mode == GradMode::kAdd ? 2 : 1);
  const double dy = static_cast<double>(a.dy.size());
  return {.flops = dx, .bytes = (dx + dy) * sizeof(Real)};
}

}  // namespace dcase
