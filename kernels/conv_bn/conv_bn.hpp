#pragma once
/// A convolution of stride 1 fused with the batch normalisation and ReLU on either side of it
/// (docs/kernels/conv_bn.md).
///
/// One training step of  conv - BN - ReLU - conv - BN  needs no pass of its own for statistics or activations:
///
///     conv_bn_forward(x, w1)                                      -> y1, statistics of y1
///     conv_bn_affine(statistics, gamma, beta)                     -> scale, shift
///     conv_bn_forward(y1 through scale, shift and ReLU, w2)       -> y2, statistics of y2
///     conv_bn_weight_gradient(dy2, y1 through scale, shift, ReLU) -> dw2
///     conv_bn_backward(dy2, w2, y1)                               -> dz1, dgamma1, dbeta1
///     conv_bn_input_gradient(dz1, dgamma1, dbeta1, y1)            -> dy1
///
/// At inference conv_bn_fold puts the normalisation into the weights and a bias, and conv_bn_inference runs the rest.
/// Maps are [N,G,M,T,B] as in conv2d; on CUDA channels-last (G = 1). Errors: kArgument for sizes that do not agree.

#include "kernels/common/context.hpp"
#include "kernels/common/map.hpp"
#include "kernels/common/variant.hpp"
#include "kernels/common/view.hpp"
#include "kernels/conv2d/conv2d.hpp"

namespace dcase {

/// y = conv(act(x * in_scale + in_shift), w)       stride 1; padding K/2 of zeros, which the activation does not touch
/// mean[c] = sum y / P,  variance[c] = sum (y - mean[c])^2 / P,  P = N * My * Ty >= 1: the biased variance
/// Without in_scale and in_shift the convolution is of x itself.
template <class Real>
struct ConvBnForward {
  View<const Real> x;              // [N,G,M,T,B]
  View<const Real> in_scale = {};  // [Ci], or absent
  View<const Real> in_shift = {};  // [Ci], present with in_scale
  bool in_relu = false;            // act is the ReLU; only with in_scale
  View<const Real> w;              // [Co,Ci,Km,Kt]
  View<Real> y;                    // [N,G',My,Ty,B'], overwritten
  View<Real> mean;                 // [Co], overwritten
  View<Real> variance;             // [Co], overwritten
};

/// scale = gamma / sqrt(variance + eps),  shift = beta - mean * scale
template <class Real>
struct ConvBnAffine {
  View<const Real> mean;      // [C]
  View<const Real> variance;  // [C]
  View<const Real> gamma;     // [C]
  View<const Real> beta;      // [C]
  double eps = 1e-5;
  View<Real> scale;  // [C], overwritten
  View<Real> shift;  // [C], overwritten
};

/// folded[co,...] = w[co,...] * scale[co],  bias = shift; scale and shift as in ConvBnAffine
template <class Real>
struct ConvBnFold {
  View<const Real> w;         // [Co,Ci,Km,Kt]
  View<const Real> mean;      // [Co]
  View<const Real> variance;  // [Co]
  View<const Real> gamma;     // [Co]
  View<const Real> beta;      // [Co]
  double eps = 1e-5;
  View<Real> folded;  // as w, overwritten
  View<Real> bias;    // [Co], overwritten
};

/// y = act(conv(x, w) + bias)       stride 1, padding K/2
template <class Real>
struct ConvBnInference {
  View<const Real> x;     // [N,G,M,T,B]
  View<const Real> w;     // [Co,Ci,Km,Kt]
  View<const Real> bias;  // [Co]
  bool relu = false;
  View<Real> y;  // [N,G',My,Ty,B'], overwritten
};

/// dw[co,ci,a,b] = sum over n,i,j of dy[n,i,j,co] * max(x * in_scale + in_shift, 0)[n, i + a - Km/2, j + b - Kt/2, ci]
/// with zeros outside the map.
template <class Real>
struct ConvBnWeightGradient {
  View<const Real> x;         // [N,G,M,T,B], not normalised
  View<const Real> in_scale;  // [Ci]
  View<const Real> in_shift;  // [Ci]
  View<const Real> dy;        // [N,G',My,Ty,B']
  View<Real> dw;              // [Co,Ci,Km,Kt], by dw_mode
  GradMode dw_mode = GradMode::kSet;
};

/// Back through conv(act(x * scale + shift), w) to the batch normalisation in front of it, whose input x is:
/// with xh = (x - mean) / sqrt(variance + eps) and z = xh * gamma + beta,
///     dz = act'(z) * (data gradient of the convolution at dy),  dbeta = sum dz,  dgamma = sum dz * xh
template <class Real>
struct ConvBnBackward {
  View<const Real> dy;        // [N,G',My,Ty,B']
  View<const Real> w;         // [Co,Ci,Km,Kt]
  View<const Real> x;         // [N,G,M,T,B], not normalised
  View<const Real> mean;      // [Ci], of x
  View<const Real> variance;  // [Ci]
  View<const Real> gamma;     // [Ci]
  View<const Real> beta;      // [Ci]
  double eps = 1e-5;
  bool relu = false;  // act is the ReLU
  View<Real> dz;      // as x, overwritten
  View<Real> dgamma;  // [Ci], overwritten
  View<Real> dbeta;   // [Ci], overwritten
};

/// The batch normalisation's input gradient, from the sums of conv_bn_backward; P = N * M * T:
///     dx = gamma / sqrt(variance + eps) * (dz - dbeta / P - xh * dgamma / P)
template <class Real>
struct ConvBnInputGradient {
  View<const Real> x;         // [N,G,M,T,B]
  View<const Real> mean;      // [C], of x
  View<const Real> variance;  // [C]
  View<const Real> gamma;     // [C]
  double eps = 1e-5;
  View<const Real> dz;      // as x
  View<const Real> dgamma;  // [C]
  View<const Real> dbeta;   // [C]
  View<Real> dx;            // as x, overwritten; may be dz
};

namespace cpu {  // float, double; with double on plain loops: the reference
template <class Real>
void conv_bn_forward(const ConvBnForward<Real>& a, const Context& context);
template <class Real>
void conv_bn_affine(const ConvBnAffine<Real>& a, const Context& context);
template <class Real>
void conv_bn_fold(const ConvBnFold<Real>& a, const Context& context);
template <class Real>
void conv_bn_inference(const ConvBnInference<Real>& a, const Context& context);
template <class Real>
void conv_bn_weight_gradient(const ConvBnWeightGradient<Real>& a, const Context& context);
template <class Real>
void conv_bn_backward(const ConvBnBackward<Real>& a, const Context& context);
template <class Real>
void conv_bn_input_gradient(const ConvBnInputGradient<Real>& a, const Context& context);
}  // namespace cpu

namespace cuda {
void conv_bn_forward(const ConvBnForward<float>& a, const Context& context);
void conv_bn_affine(const ConvBnAffine<float>& a, const Context& context);
void conv_bn_fold(const ConvBnFold<float>& a, const Context& context);
void conv_bn_inference(const ConvBnInference<float>& a, const Context& context);
void conv_bn_weight_gradient(const ConvBnWeightGradient<float>& a, const Context& context);
void conv_bn_backward(const ConvBnBackward<float>& a, const Context& context);
void conv_bn_input_gradient(const ConvBnInputGradient<float>& a, const Context& context);
[[nodiscard]] std::span<const Variant<ConvBnForward<float>>> conv_bn_forward_variants();
[[nodiscard]] std::span<const Variant<ConvBnInference<float>>> conv_bn_inference_variants();
[[nodiscard]] std::span<const Variant<ConvBnBackward<float>>> conv_bn_backward_variants();
}  // namespace cuda

/// Runs on context.device. Scratch memory: on CUDA the weights in the kernel's order and three numbers a tile and
/// channel.
template <class Real>
void conv_bn_forward(const ConvBnForward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::conv_bn_forward(a, context);
  }
  require_cpu(context, "conv_bn_forward");
  cpu::conv_bn_forward(a, context);
}

/// Runs on context.device.
template <class Real>
void conv_bn_affine(const ConvBnAffine<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::conv_bn_affine(a, context);
  }
  require_cpu(context, "conv_bn_affine");
  cpu::conv_bn_affine(a, context);
}

/// Runs on context.device.
template <class Real>
void conv_bn_fold(const ConvBnFold<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::conv_bn_fold(a, context);
  }
  require_cpu(context, "conv_bn_fold");
  cpu::conv_bn_fold(a, context);
}

/// Runs on context.device.
template <class Real>
void conv_bn_inference(const ConvBnInference<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::conv_bn_inference(a, context);
  }
  require_cpu(context, "conv_bn_inference");
  cpu::conv_bn_inference(a, context);
}

/// Runs on context.device. Scratch memory: on CUDA a number of copies of dw that depends on the sizes alone.
template <class Real>
void conv_bn_weight_gradient(const ConvBnWeightGradient<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::conv_bn_weight_gradient(a, context);
  }
  require_cpu(context, "conv_bn_weight_gradient");
  cpu::conv_bn_weight_gradient(a, context);
}

/// Runs on context.device. Scratch memory as conv_bn_forward.
template <class Real>
void conv_bn_backward(const ConvBnBackward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::conv_bn_backward(a, context);
  }
  require_cpu(context, "conv_bn_backward");
  cpu::conv_bn_backward(a, context);
}

/// Runs on context.device.
template <class Real>
void conv_bn_input_gradient(const ConvBnInputGradient<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::conv_bn_input_gradient(a, context);
  }
  require_cpu(context, "conv_bn_input_gradient");
  cpu::conv_bn_input_gradient(a, context);
}

// Checks, for all devices.

/// Throws unless sizes agree.
template <class Real>
Conv2dShape conv_bn_shape(const char* op, const View<const Real>& x, const View<const Real>& w,
                          const View<const Real>& y) {
  const auto sizes = [](const auto& view) {  // conv2d_shape looks at sizes and at whether there is data
    View<const float> same;
    same.data = reinterpret_cast<const float*>(view.data);
    same.rank = view.rank;
    for (int i = 0; i < view.rank; ++i) same.shape[i] = view.shape[i];
    return same;
  };
  return conv2d_shape(op, sizes(x), sizes(w), sizes(y), 1, 1);
}
template <class Real>
void check(const ConvBnForward<Real>& a) {
  constexpr const char* kOp = "conv_bn_forward";
  const Conv2dShape s = conv_bn_shape<Real>(kOp, a.x, a.w, a.y);
  DCASE_CHECK(a.in_scale.present() == a.in_shift.present(), kOp, ": in_scale and in_shift come together");
  DCASE_CHECK(!a.in_relu || a.in_scale.present(), kOp, ": in_relu without in_scale");
  if (a.in_scale.present()) {
    check_shape(kOp, "in_scale", a.in_scale, {s.Ci});
    check_shape(kOp, "in_shift", a.in_shift, {s.Ci});
  }
  check_shape(kOp, "mean", a.mean, {s.Co});
  check_shape(kOp, "variance", a.variance, {s.Co});
  DCASE_CHECK(s.Co == 0 || positions(a.y) >= 1, kOp, ": y ", shape_string(a.y),
              " has no positions to take statistics of");
}
/// Of a struct with mean, variance, gamma, beta and eps.
template <class Args>
void check_normalisation(const char* op, const Args& a, std::int64_t c) {
  check_shape(op, "mean", a.mean, {c});
  check_shape(op, "variance", a.variance, {c});
  check_shape(op, "gamma", a.gamma, {c});
  check_shape(op, "beta", a.beta, {c});
  DCASE_CHECK(a.eps >= 0, op, ": eps is ", a.eps);
}
template <class Real>
void check(const ConvBnAffine<Real>& a) {
  constexpr const char* kOp = "conv_bn_affine";
  DCASE_CHECK(a.mean.rank == 1, kOp, ": mean has shape ", shape_string(a.mean), ", expected [C]");
  check_normalisation(kOp, a, a.mean.dim(0));
  check_shape(kOp, "scale", a.scale, {a.mean.dim(0)});
  check_shape(kOp, "shift", a.shift, {a.mean.dim(0)});
}
template <class Real>
void check(const ConvBnFold<Real>& a) {
  constexpr const char* kOp = "conv_bn_fold";
  DCASE_CHECK(a.w.rank == 4, kOp, ": w has shape ", shape_string(a.w), ", expected [Co,Ci,Km,Kt]");
  check_shape(kOp, "w", a.w, {a.w.dim(0), a.w.dim(1), a.w.dim(2), a.w.dim(3)});
  check_normalisation(kOp, a, a.w.dim(0));
  check_shape(kOp, "folded", a.folded, {a.w.dim(0), a.w.dim(1), a.w.dim(2), a.w.dim(3)});
  check_shape(kOp, "bias", a.bias, {a.w.dim(0)});
}
template <class Real>
void check(const ConvBnInference<Real>& a) {
  constexpr const char* kOp = "conv_bn_inference";
  const Conv2dShape s = conv_bn_shape<Real>(kOp, a.x, a.w, a.y);
  check_shape(kOp, "bias", a.bias, {s.Co});
}
template <class Real>
void check(const ConvBnWeightGradient<Real>& a) {
  constexpr const char* kOp = "conv_bn_weight_gradient";
  const Conv2dShape s = conv_bn_shape<Real>(kOp, a.x, a.dw, a.dy);
  check_shape(kOp, "in_scale", a.in_scale, {s.Ci});
  check_shape(kOp, "in_shift", a.in_shift, {s.Ci});
}
template <class Real>
void check(const ConvBnBackward<Real>& a) {
  constexpr const char* kOp = "conv_bn_backward";
  const Conv2dShape s = conv_bn_shape<Real>(kOp, a.x, a.w, a.dy);
  check_normalisation(kOp, a, s.Ci);
  DCASE_CHECK(same_shape(a.dz, a.x), kOp, ": dz has shape ", shape_string(a.dz), ", x has ", shape_string(a.x));
  DCASE_CHECK(a.dz.present() || a.dz.size() == 0, kOp, ": dz is missing");
  check_shape(kOp, "dgamma", a.dgamma, {s.Ci});
  check_shape(kOp, "dbeta", a.dbeta, {s.Ci});
}

template <class Real>
void check(const ConvBnInputGradient<Real>& a) {
  constexpr const char* kOp = "conv_bn_input_gradient";
  check_map(kOp, "x", a.x);
  const std::int64_t c = channels(a.x);
  check_shape(kOp, "mean", a.mean, {c});
  check_shape(kOp, "variance", a.variance, {c});
  check_shape(kOp, "gamma", a.gamma, {c});
  check_shape(kOp, "dgamma", a.dgamma, {c});
  check_shape(kOp, "dbeta", a.dbeta, {c});
  DCASE_CHECK(same_shape(a.dz, a.x), kOp, ": dz has shape ", shape_string(a.dz), ", x has ", shape_string(a.x));
  DCASE_CHECK(same_shape(a.dx, a.x), kOp, ": dx has shape ", shape_string(a.dx), ", x has ", shape_string(a.x));
  DCASE_CHECK(a.x.size() == 0 || (a.dz.present() && a.dx.present()), kOp, ": dz or dx is missing");
  DCASE_CHECK(a.eps >= 0, kOp, ": eps is ", a.eps);
}

/// Of the convolution; one reading of x and w, one writing of y.
template <class Real>
[[nodiscard]] Cost cost(const ConvBnForward<Real>& a) {
  return conv2d_cost(conv_bn_shape<Real>("conv_bn_forward", a.x, a.w, a.y));
}

}  // namespace dcase
