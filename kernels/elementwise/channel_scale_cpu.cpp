#include "kernels/elementwise/channel_scale.hpp"

#include "kernels/common/parallel.hpp"
#include "kernels/reduce/middle_sum.hpp"

namespace dcase::cpu {

namespace {

struct Sizes {
  std::int64_t n, p, c;
};

template <class Args>
Sizes sizes_of(const Args& a) {
  check(a);
  return {a.x.dim(0), a.x.dim(1), a.x.dim(2)};
}

/// Calls body(element of [N,P,C], element of [N,C]) for every element, in parallel.
template <class Body>
void for_elements(const Sizes& d, const Body& body) {
  const std::int64_t rows_per_chunk = std::max<std::int64_t>(1, kChunkElements / std::max<std::int64_t>(1, d.c));
  for_chunks(d.n * d.p, rows_per_chunk, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t factor = row / d.p * d.c;
#pragma omp simd
      for (std::int64_t i = 0; i < d.c; ++i) body(row * d.c + i, factor + i);
    }
  });
}

/// dx = g * s and ds = sum of g * x in one pass; gradient(i) gives g[i] (and may write it elsewhere).
template <class Args, class Real, class Gradient>
void scale_backward(const Args& a, const Sizes& d, const Context& context, const Gradient& gradient, Real) {
  const Real* x = a.x.data;
  const Real* s = a.s.data;
  Real* dx = a.dx.data;
  const GradMode dx_mode = a.dx_mode;
  middle_sum(
      d.n, d.p, d.c, context,
      [=](std::int64_t i, std::int64_t factor) {
        const Real g = gradient(i);
        const double product = static_cast<double>(g) * static_cast<double>(x[i]);
        if (dx != nullptr) put_gradient(dx[i], g * s[factor], dx_mode);
        return product;
      },
      [&](std::int64_t factor, double sum) {
        if (a.ds.present()) put_gradient(a.ds[factor], static_cast<Real>(sum), a.ds_mode);
      });
}

}  // namespace

template <class Real>
void channel_scale_forward(const ChannelScaleForward<Real>& a, const Context&) {
  const Sizes d = sizes_of(a);
  const Real* x = a.x.data;
  const Real* s = a.s.data;
  Real* y = a.y.data;
  for_elements(d, [=](std::int64_t i, std::int64_t factor) { y[i] = x[i] * s[factor]; });
}

template <class Real>
void channel_scale_backward(const ChannelScaleBackward<Real>& a, const Context& context) {
  const Sizes d = sizes_of(a);
  const Real* dy = a.dy.data;
  scale_backward(
      a, d, context, [=](std::int64_t i) { return dy[i]; }, Real());
}

template <class Real>
void scale_residual_relu_forward(const ScaleResidualReluForward<Real>& a, const Context&) {
  const Sizes d = sizes_of(a);
  const Real* x = a.x.data;
  const Real* s = a.s.data;
  const Real* residual = a.residual.data;
  Real* y = a.y.data;
  for_elements(d, [=](std::int64_t i, std::int64_t factor) {
    const Real z = x[i] * s[factor] + residual[i];
    y[i] = z < 0 ? Real(0) : z;
  });
}

template <class Real>
void scale_residual_relu_backward(const ScaleResidualReluBackward<Real>& a, const Context& context) {
  const Sizes d = sizes_of(a);
  const Real* y = a.y.data;
  const Real* dy = a.dy.data;
  Real* dresidual = a.dresidual.data;
  const GradMode mode = a.dresidual_mode;
  const auto gradient = [=](std::int64_t i) {
    const Real g = y[i] > 0 ? dy[i] : Real(0);
    if (dresidual != nullptr) put_gradient(dresidual[i], g, mode);
    return g;
  };
  scale_backward(a, d, context, gradient, Real());
}

template void channel_scale_forward(const ChannelScaleForward<float>&, const Context&);
template void channel_scale_forward(const ChannelScaleForward<double>&, const Context&);
template void channel_scale_backward(const ChannelScaleBackward<float>&, const Context&);
template void channel_scale_backward(const ChannelScaleBackward<double>&, const Context&);
template void scale_residual_relu_forward(const ScaleResidualReluForward<float>&, const Context&);
template void scale_residual_relu_forward(const ScaleResidualReluForward<double>&, const Context&);
template void scale_residual_relu_backward(const ScaleResidualReluBackward<float>&, const Context&);
template void scale_residual_relu_backward(const ScaleResidualReluBackward<double>&, const Context&);

}  // namespace dcase::cpu
