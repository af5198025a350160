#pragma once
/// One factor an item and channel: the last step of squeeze-and-excitation (Hu et al. 2018), alone and fused with the
/// residual sum and the ReLU that close a residual block.
///
/// P stands for the positions of an item (M * T, or T): a channels-last map [N,M,T,C] is [N,M*T,C] here. ds is summed
/// over positions in double, in a fixed order: the same bits for every number of threads. dx and dresidual may be dy
/// itself with kSet (not both). Thread-safe on distinct outputs; Error(kArgument) on shapes that do not fit.

#include "kernels/common/context.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

/// y[n,p,c] = x[n,p,c] * s[n,c]
template <class Real>
struct ChannelScaleForward {
  View<const Real> x;  // [N,P,C]
  View<const Real> s;  // [N,C]
  View<Real> y;        // [N,P,C], overwritten; may be x itself
};

/// dx = dy * s,  ds[n,c] = sum over p of dy * x
template <class Real>
struct ChannelScaleBackward {
  View<const Real> x;   // [N,P,C]
  View<const Real> s;   // [N,C]
  View<const Real> dy;  // [N,P,C]
  View<Real> dx = {};   // [N,P,C], or absent
  View<Real> ds = {};   // [N,C], or absent
  GradMode dx_mode = GradMode::kSet;
  GradMode ds_mode = GradMode::kSet;
};

/// y[n,p,c] = max(x[n,p,c] * s[n,c] + residual[n,p,c], 0)
template <class Real>
struct ScaleResidualReluForward {
  View<const Real> x;         // [N,P,C]
  View<const Real> s;         // [N,C]
  View<const Real> residual;  // [N,P,C]
  View<Real> y;               // [N,P,C], overwritten; may be x or residual itself
};

/// g = y > 0 ? dy : 0;   dx = g * s,  ds[n,c] = sum over p of g * x,  dresidual = g
template <class Real>
struct ScaleResidualReluBackward {
  View<const Real> x;         // [N,P,C]
  View<const Real> s;         // [N,C]
  View<const Real> y;         // [N,P,C], from forward
  View<const Real> dy;        // [N,P,C]
  View<Real> dx = {};         // [N,P,C], or absent
  View<Real> ds = {};         // [N,C], or absent
  View<Real> dresidual = {};  // [N,P,C], or absent
  GradMode dx_mode = GradMode::kSet;
  GradMode ds_mode = GradMode::kSet;
  GradMode dresidual_mode = GradMode::kSet;
};

namespace cpu {
template <class Real>
void channel_scale_forward(const ChannelScaleForward<Real>& a, const Context& context);  // float, double; so all below
template <class Real>
void channel_scale_backward(const ChannelScaleBackward<Real>& a, const Context& context);
template <class Real>
void scale_residual_relu_forward(const ScaleResidualReluForward<Real>& a, const Context& context);
template <class Real>
void scale_residual_relu_backward(const ScaleResidualReluBackward<Real>& a, const Context& context);
}  // namespace cpu

/// Batches of up to 65535 items. Four products of ds at a time are added in float.
namespace cuda {
void channel_scale_forward(const ChannelScaleForward<float>& a, const Context& context);
void channel_scale_backward(const ChannelScaleBackward<float>& a, const Context& context);
void scale_residual_relu_forward(const ScaleResidualReluForward<float>& a, const Context& context);
void scale_residual_relu_backward(const ScaleResidualReluBackward<float>& a, const Context& context);
}  // namespace cuda

/// What all of them are given.
template <class Args>
void check_scale_inputs(const char* op, const Args& a) {
  DCASE_CHECK(a.x.rank == 3, op, ": x has shape ", shape_string(a.x), ", expected [N,P,C]");
  check_shape(op, "x", a.x, {a.x.dim(0), a.x.dim(1), a.x.dim(2)});
  check_shape(op, "s", a.s, {a.x.dim(0), a.x.dim(2)});
}

/// What a backward operator is given and writes.
template <class Args>
void check_scale_gradients(const char* op, const Args& a) {
  check_shape(op, "dy", a.dy, {a.x.dim(0), a.x.dim(1), a.x.dim(2)});
  if (a.dx.present()) check_shape(op, "dx", a.dx, {a.x.dim(0), a.x.dim(1), a.x.dim(2)});
  if (a.ds.present()) check_shape(op, "ds", a.ds, {a.x.dim(0), a.x.dim(2)});
}

/// Throw Error(kArgument) where a call breaks the contract.
template <class Real>
void check(const ChannelScaleForward<Real>& a) {
  const char* op = "channel_scale_forward";
  check_scale_inputs(op, a);
  check_shape(op, "y", a.y, {a.x.dim(0), a.x.dim(1), a.x.dim(2)});
}

template <class Real>
void check(const ChannelScaleBackward<Real>& a) {
  const char* op = "channel_scale_backward";
  check_scale_inputs(op, a);
  check_scale_gradients(op, a);
}

template <class Real>
void check(const ScaleResidualReluForward<Real>& a) {
  const char* op = "scale_residual_relu_forward";
  check_scale_inputs(op, a);
  check_shape(op, "residual", a.residual, {a.x.dim(0), a.x.dim(1), a.x.dim(2)});
  check_shape(op, "y", a.y, {a.x.dim(0), a.x.dim(1), a.x.dim(2)});
}

template <class Real>
void check(const ScaleResidualReluBackward<Real>& a) {
  const char* op = "scale_residual_relu_backward";
  check_scale_inputs(op, a);
  check_shape(op, "y", a.y, {a.x.dim(0), a.x.dim(1), a.x.dim(2)});
  check_scale_gradients(op, a);
  if (a.dresidual.present()) check_shape(op, "dresidual", a.dresidual, {a.x.dim(0), a.x.dim(1), a.x.dim(2)});
}

/// Runs on context.device, as every operator below.
template <class Real>
void channel_scale_forward(const ChannelScaleForward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::channel_scale_forward(a, context);
  }
  require_cpu(context, "channel_scale_forward");
  cpu::channel_scale_forward(a, context);
}

template <class Real>
void channel_scale_backward(const ChannelScaleBackward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::channel_scale_backward(a, context);
  }
  require_cpu(context, "channel_scale_backward");
  cpu::channel_scale_backward(a, context);
}

template <class Real>
void scale_residual_relu_forward(const ScaleResidualReluForward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::scale_residual_relu_forward(a, context);
  }
  require_cpu(context, "scale_residual_relu_forward");
  cpu::scale_residual_relu_forward(a, context);
}

template <class Real>
void scale_residual_relu_backward(const ScaleResidualReluBackward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::scale_residual_relu_backward(a, context);
  }
  require_cpu(context, "scale_residual_relu_backward");
  cpu::scale_residual_relu_backward(a, context);
}

}  // namespace dcase
