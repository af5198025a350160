#include "kernels/elementwise/elementwise.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/common/parallel.hpp"
#include "kernels/elementwise/checks.hpp"

namespace dcase::cpu {

namespace {

/// y = f(x), element by element.
template <class Real, class Function>
void map_elements(const char* op, View<const Real> x, View<Real> y, const Function& f) {
  check_same(op, "x", x, "y", y);
  check_same(op, "y", y, "x", x);
  for_chunks(y.size(), kChunkElements, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    const Real* in = x.data;
    Real* out = y.data;
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) out[i] = f(in[i]);
  });
}

/// dx = f(y, dy), element by element, set or accumulated.
template <class Args, class Function>
void map_gradient(const char* op, const Args& a, const Function& f) {
  check_same(op, "y", a.y, "dx", a.dx);
  check_same(op, "dy", a.dy, "dx", a.dx);
  check_same(op, "dx", a.dx, "y", a.y);
  for_chunks(a.dx.size(), kChunkElements, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    const auto* y = a.y.data;
    const auto* dy = a.dy.data;
    auto* dx = a.dx.data;
    const GradMode mode = a.dx_mode;
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) put_gradient(dx[i], f(y[i], dy[i]), mode);
  });
}

}  // namespace

template <class Real>
void relu_forward(const ReluForward<Real>& a, const Context&) {
  map_elements("relu_forward", a.x, a.y, [](Real x) { return x < 0 ? Real(0) : x; });
}

template <class Real>
void relu_backward(const ReluBackward<Real>& a, const Context&) {
  map_gradient("relu_backward", a, [](Real y, Real dy) { return y > 0 ? dy : Real(0); });
}

template <class Real>
void sigmoid_forward(const SigmoidForward<Real>& a, const Context&) {
  // exp overflows to infinity for x below -88 (float) and the quotient is the right limit, 0.
  map_elements("sigmoid_forward", a.x, a.y, [](Real x) { return Real(1) / (Real(1) + std::exp(-x)); });
}

template <class Real>
void sigmoid_backward(const SigmoidBackward<Real>& a, const Context&) {
  map_gradient("sigmoid_backward", a, [](Real y, Real dy) { return dy * y * (Real(1) - y); });
}

template <class Real>
void tanh_forward(const TanhForward<Real>& a, const Context&) {
  map_elements("tanh_forward", a.x, a.y, [](Real x) { return std::tanh(x); });
}

template <class Real>
void tanh_backward(const TanhBackward<Real>& a, const Context&) {
  map_gradient("tanh_backward", a, [](Real y, Real dy) { return dy * (Real(1) - y * y); });
}

template <class Real>
void add(const Add<Real>& a, const Context&) {
  check_same("add", "a", a.a, "y", a.y);
  check_same("add", "b", a.b, "y", a.y);
  check_same("add", "y", a.y, "a", a.a);
  for_chunks(a.y.size(), kChunkElements, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    const Real* first = a.a.data;
    const Real* second = a.b.data;
    Real* y = a.y.data;
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) y[i] = first[i] + second[i];
  });
}

template <class Real>
void scale(const Scale<Real>& a, const Context&) {
  check_same("scale", "x", a.x, "y", a.y);
  check_same("scale", "y", a.y, "x", a.x);
  for_chunks(a.y.size(), kChunkElements, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    const Real alpha = static_cast<Real>(a.alpha);
    const Real* x = a.x.data;
    Real* y = a.y.data;
    const GradMode mode = a.mode;
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) put_gradient(y[i], alpha * x[i], mode);
  });
}

template <class Real>
void scale_by(const ScaleBy<Real>& a, const Context& context) {
  check_shape("scale_by", "s", a.s, {1});
  check_same("scale_by", "x", a.x, "y", a.y);
  cpu::scale(Scale<Real>{.x = a.x, .alpha = static_cast<double>(a.s[0]), .y = a.y, .mode = a.mode}, context);
}

template <class Real>
void narrow(const Narrow<Real>& a, const Context&) {
  check_same("narrow", "x", a.x, "y", a.y);
  for_chunks(a.y.size(), kChunkElements, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    std::transform(a.x.data + begin, a.x.data + end, a.y.data + begin, [](double x) { return static_cast<Real>(x); });
  });
}

template <class Real>
void fill(const Fill<Real>& a, const Context&) {
  check_same("fill", "y", a.y, "y", a.y);
  for_chunks(a.y.size(), kChunkElements, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    std::fill(a.y.data + begin, a.y.data + end, static_cast<Real>(a.value));
  });
}

template void fill(const Fill<float>&, const Context&);
template void fill(const Fill<double>&, const Context&);
template void scale_by(const ScaleBy<float>&, const Context&);
template void scale_by(const ScaleBy<double>&, const Context&);
template void narrow(const Narrow<float>&, const Context&);
template void narrow(const Narrow<double>&, const Context&);
template void relu_forward(const ReluForward<float>&, const Context&);
template void relu_forward(const ReluForward<double>&, const Context&);
template void relu_backward(const ReluBackward<float>&, const Context&);
template void relu_backward(const ReluBackward<double>&, const Context&);
template void sigmoid_forward(const SigmoidForward<float>&, const Context&);
template void sigmoid_forward(const SigmoidForward<double>&, const Context&);
template void sigmoid_backward(const SigmoidBackward<float>&, const Context&);
template void sigmoid_backward(const SigmoidBackward<double>&, const Context&);
template void tanh_forward(const TanhForward<float>&, const Context&);
template void tanh_forward(const TanhForward<double>&, const Context&);
template void tanh_backward(const TanhBackward<float>&, const Context&);
template void tanh_backward(const TanhBackward<double>&, const Context&);
template void add(const Add<float>&, const Context&);
template void add(const Add<double>&, const Context&);
template void scale(const Scale<float>&, const Context&);
template void scale(const Scale<double>&, const Context&);

}  // namespace dcase::cpu
