#include "kernels/reduce/reduce.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/common/parallel.hpp"
#include "kernels/reduce/middle_sum.hpp"

namespace dcase::cpu {

template <class Real>
void mean_forward(const MeanForward<Real>& a, const Context& context) {
  check(a);
  const std::int64_t outer = a.x.dim(0);
  const std::int64_t rows = a.x.dim(1);
  const std::int64_t inner = a.x.dim(2);
  const Real* x = a.x.data;
  middle_sum(
      outer, rows, inner, context, [=](std::int64_t i, std::int64_t) { return static_cast<double>(x[i]); },
      [&](std::int64_t at, double sum) { a.y[at] = static_cast<Real>(sum / static_cast<double>(rows)); });
}

template <class Real>
void mean_backward(const MeanBackward<Real>& a, const Context&) {
  check(a);
  const std::int64_t rows = a.dx.dim(1);
  const std::int64_t inner = a.dx.dim(2);
  const std::int64_t rows_per_chunk = std::max<std::int64_t>(1, kChunkElements / std::max<std::int64_t>(1, inner));
  for_chunks(a.dx.dim(0) * rows, rows_per_chunk, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    const Real inverse = Real(1) / static_cast<Real>(rows);
    const GradMode mode = a.dx_mode;
    for (std::int64_t r = begin; r < end; ++r) {
      const Real* dy = a.dy.data + r / rows * inner;
      Real* dx = a.dx.data + r * inner;
#pragma omp simd
      for (std::int64_t i = 0; i < inner; ++i) put_gradient(dx[i], dy[i] * inverse, mode);
    }
  });
}

template <class Real>
void column_sum(const ColumnSum<Real>& a, const Context& context) {
  check(a);
  const Real* x = a.x.data;
  middle_sum(
      1, a.x.dim(0), a.x.dim(1), context, [=](std::int64_t i, std::int64_t) { return static_cast<double>(x[i]); },
      [&](std::int64_t c, double sum) { put_gradient(a.y[c], static_cast<Real>(sum), a.mode); });
}

template <class Real>
double squared_norm(View<const Real> x, const Context& context) {
  return chunked_sum(x.size(), kChunkElements, context, [&](std::int64_t begin, std::int64_t end) {
    const Real* values = x.data;
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = begin; i < end; ++i) sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
    return sum;
  });
}

template <class Real>
std::int64_t first_not_finite(View<const Real> x, const Context&) {
  const std::int64_t n = x.size();
  const std::int64_t chunks = ceil_div(n, kChunkElements);
  std::int64_t first = n;
#pragma omp parallel for schedule(static) reduction(min : first) if (chunks > 1)
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    const std::int64_t begin = chunk * kChunkElements;
    const std::int64_t end = std::min(n, begin + kChunkElements);
    // 0 * x is NaN for NaN and infinities and 0 otherwise: one vectorised sum clears a chunk.
    const Real* values = x.data;
    Real probe = 0;
#pragma omp simd reduction(+ : probe)
    for (std::int64_t i = begin; i < end; ++i) probe += Real(0) * values[i];
    if (probe == 0) continue;
    for (std::int64_t i = begin; i < end; ++i) {
      if (std::isfinite(values[i])) continue;
      first = std::min(first, i);
      break;
    }
  }
  return first == n ? -1 : first;
}

template void mean_forward(const MeanForward<float>&, const Context&);
template void mean_forward(const MeanForward<double>&, const Context&);
template void mean_backward(const MeanBackward<float>&, const Context&);
template void mean_backward(const MeanBackward<double>&, const Context&);
template void column_sum(const ColumnSum<float>&, const Context&);
template void column_sum(const ColumnSum<double>&, const Context&);
template double squared_norm(View<const float>, const Context&);
template double squared_norm(View<const double>, const Context&);
template std::int64_t first_not_finite(View<const float>, const Context&);
template std::int64_t first_not_finite(View<const double>, const Context&);

}  // namespace dcase::cpu
