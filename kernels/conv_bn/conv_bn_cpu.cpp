#include "kernels/conv_bn/conv_bn.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "kernels/batchnorm/batchnorm.hpp"
#include "kernels/conv2d/conv2d_ref.hpp"

// On the CPU the operator is composed of those that it fuses: oneDNN's convolution is not ours to open. In double it
// runs on the plain loops of conv2d_ref.hpp and is the reference.

namespace dcase::cpu {
namespace {

template <class Real>
void convolve(const View<const Real>& x, const View<const Real>& w, const View<Real>& y, const Context& context) {
  if constexpr (std::is_same_v<Real, double>) {
    ref::conv2d_forward({.x = x, .w = w, .y = y});
  } else {
    conv2d_forward({.x = x, .w = w, .y = y}, context);
  }
}

template <class Real>
void data_gradient(const View<const Real>& dy, const View<const Real>& w, const View<Real>& dx,
                   const Context& context) {
  if constexpr (std::is_same_v<Real, double>) {
    ref::conv2d_backward({.x = {}, .w = w, .dy = dy, .dx = dx});
  } else {
    conv2d_backward({.x = {}, .w = w, .dy = dy, .dx = dx}, context);
  }
}

/// Channel of element i of a map.
template <class T>
std::int64_t channel_of(const View<T>& map, std::int64_t i) {
  const std::int64_t B = map.dim(4);
  return i / (map.dim(2) * map.dim(3) * B) % map.dim(1) * B + i % B;
}

template <class Real, class Args>
double rstd(const Args& a, std::int64_t c) {
  return 1 / std::sqrt(static_cast<double>(a.variance[c]) + a.eps);
}

template <class Real>
Real activation(Real v, bool relu) {
  return relu && v < 0 ? Real(0) : v;  // NaN stays
}

/// act(x * in_scale + in_shift) in `memory`, as a map like x.
template <class Real, class Args>
View<const Real> normalised_input(const Args& a, bool relu, const Scratch<Real>& memory) {
  for (std::int64_t i = 0; i < a.x.size(); ++i) {
    const std::int64_t c = channel_of(a.x, i);
    memory[i] = activation(a.x[i] * a.in_scale[c] + a.in_shift[c], relu);
  }
  View<const Real> map = a.x;
  map.data = memory.data();
  return map;
}

}  // namespace

template <class Real>
void conv_bn_forward(const ConvBnForward<Real>& a, const Context& context) {
  check(a);
  if (a.in_scale.present()) {
    const Scratch<Real> activated(context, a.x.size());
    convolve<Real>(normalised_input(a, a.in_relu, activated), a.w, a.y, context);
  } else {
    convolve<Real>(a.x, a.w, a.y, context);
  }
  cpu::batchnorm_statistics<Real>({.x = a.y, .mean = a.mean, .variance = a.variance}, context);
}

template <class Real>
void conv_bn_affine(const ConvBnAffine<Real>& a, const Context&) {
  check(a);
  for (std::int64_t c = 0; c < a.mean.size(); ++c) {
    const double scale = static_cast<double>(a.gamma[c]) * rstd<Real>(a, c);
    a.scale[c] = static_cast<Real>(scale);
    a.shift[c] = static_cast<Real>(static_cast<double>(a.beta[c]) - static_cast<double>(a.mean[c]) * scale);
  }
}

template <class Real>
void conv_bn_fold(const ConvBnFold<Real>& a, const Context& context) {
  check(a);
  const std::int64_t Co = a.w.dim(0);
  const Scratch<Real> scale(context, Co);
  cpu::conv_bn_affine<Real>({.mean = a.mean,
                             .variance = a.variance,
                             .gamma = a.gamma,
                             .beta = a.beta,
                             .eps = a.eps,
                             .scale = {scale.data(), {Co}},
                             .shift = a.bias},
                            context);
  for (std::int64_t i = 0; i < a.w.size(); ++i) a.folded[i] = a.w[i] * scale[i / (a.w.size() / Co)];
}

template <class Real>
void conv_bn_inference(const ConvBnInference<Real>& a, const Context& context) {
  check(a);
  convolve<Real>(a.x, a.w, a.y, context);
  for (std::int64_t i = 0; i < a.y.size(); ++i) a.y[i] = activation(a.y[i] + a.bias[channel_of(a.y, i)], a.relu);
}

template <class Real>
void conv_bn_weight_gradient(const ConvBnWeightGradient<Real>& a, const Context& context) {
  check(a);
  const Scratch<Real> activated(context, a.x.size());
  const Conv2dBackward<Real> gradient{
      .x = normalised_input(a, true, activated), .w = {}, .dy = a.dy, .dw = a.dw, .dw_mode = a.dw_mode};
  if constexpr (std::is_same_v<Real, double>) {
    ref::conv2d_backward(gradient);
  } else {
    conv2d_backward(gradient, context);
  }
}

template <class Real>
void conv_bn_backward(const ConvBnBackward<Real>& a, const Context& context) {
  check(a);
  data_gradient<Real>(a.dy, a.w, a.dz, context);
  const std::int64_t C = channels(a.x);
  const Scratch<double> sums(context, 2 * C);  // [2,C]: dz, dz * xh
  std::fill_n(sums.data(), sums.size(), 0.0);
  for (std::int64_t i = 0; i < a.x.size(); ++i) {
    const std::int64_t c = channel_of(a.x, i);
    const double xh = (static_cast<double>(a.x[i]) - static_cast<double>(a.mean[c])) * rstd<Real>(a, c);
    const double z = xh * static_cast<double>(a.gamma[c]) + static_cast<double>(a.beta[c]);
    if (a.relu && !(z > 0)) a.dz[i] = 0;
    sums[c] += static_cast<double>(a.dz[i]);
    sums[C + c] += static_cast<double>(a.dz[i]) * xh;
  }
  for (std::int64_t c = 0; c < C; ++c) {
    a.dbeta[c] = static_cast<Real>(sums[c]);
    a.dgamma[c] = static_cast<Real>(sums[C + c]);
  }
}

template <class Real>
void conv_bn_input_gradient(const ConvBnInputGradient<Real>& a, const Context&) {
  check(a);
  const auto P = static_cast<double>(positions(a.x));
  for (std::int64_t i = 0; i < a.x.size(); ++i) {
    const std::int64_t c = channel_of(a.x, i);
    const double r = rstd<Real>(a, c);
    const double xh = (static_cast<double>(a.x[i]) - static_cast<double>(a.mean[c])) * r;
    a.dx[i] = static_cast<Real>(static_cast<double>(a.gamma[c]) * r *
                                (static_cast<double>(a.dz[i]) - static_cast<double>(a.dbeta[c]) / P -
                                 xh * static_cast<double>(a.dgamma[c]) / P));
  }
}

#define DCASE_CONV_BN(Real)                                                                           \
  template void conv_bn_forward(const ConvBnForward<Real>& a, const Context& context);                \
  template void conv_bn_affine(const ConvBnAffine<Real>& a, const Context& context);                  \
  template void conv_bn_fold(const ConvBnFold<Real>& a, const Context& context);                      \
  template void conv_bn_inference(const ConvBnInference<Real>& a, const Context& context);            \
  template void conv_bn_weight_gradient(const ConvBnWeightGradient<Real>& a, const Context& context); \
  template void conv_bn_backward(const ConvBnBackward<Real>& a, const Context& context);              \
  template void conv_bn_input_gradient(const ConvBnInputGradient<Real>& a, const Context& context)
DCASE_CONV_BN(float);
DCASE_CONV_BN(double);
#undef DCASE_CONV_BN

}  // namespace dcase::cpu
