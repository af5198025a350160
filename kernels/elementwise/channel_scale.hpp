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

/// Runs on context.device, as every operator below.
template <class Real>
void channel_scale_forward(const ChannelScaleForward<Real>& a, const Context& context) {
  require_cpu(context, "channel_scale_forward");
  cpu::channel_scale_forward(a, context);
}

template <class Real>
void channel_scale_backward(const ChannelScaleBackward<Real>& a, const Context& context) {
  require_cpu(context, "channel_scale_backward");
  cpu::channel_scale_backward(a, context);
}

template <class Real>
void scale_residual_relu_forward(const ScaleResidualReluForward<Real>& a, const Context& context) {
  require_cpu(context, "scale_residual_relu_forward");
  cpu::scale_residual_relu_forward(a, context);
}

template <class Real>
void scale_residual_relu_backward(const ScaleResidualReluBackward<Real>& a, const Context& context) {
  require_cpu(context, "scale_residual_relu_backward");
  cpu::scale_residual_relu_backward(a, context);
}

}  // namespace dcase
