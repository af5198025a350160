#include "kernels/elementwise/concat.hpp"

#include <algorithm>

#include "kernels/common/parallel.hpp"

namespace dcase::cpu {

namespace {

/// Rows of `width` elements that make up one chunk.
std::int64_t rows_per_chunk(std::int64_t width) {
  return std::max<std::int64_t>(1, kChunkElements / std::max<std::int64_t>(1, width));
}

template <class Real>
void put_row(const Real* from, Real* to, std::int64_t width, GradMode mode) {
#pragma omp simd
  for (std::int64_t i = 0; i < width; ++i) put_gradient(to[i], from[i], mode);
}

}  // namespace

template <class Real>
void concat2_forward(const Concat2Forward<Real>& a, const Context&) {
  check(a);
  const std::int64_t rows = a.a.dim(0);
  const std::int64_t ca = a.a.dim(1);
  const std::int64_t cb = a.b.dim(1);
  for_chunks(rows, rows_per_chunk(ca + cb), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      std::copy_n(a.a.data + r * ca, ca, a.y.data + r * (ca + cb));
      std::copy_n(a.b.data + r * cb, cb, a.y.data + r * (ca + cb) + ca);
    }
  });
}

template <class Real>
void concat2_backward(const Concat2Backward<Real>& a, const Context&) {
  check(a);
  const std::int64_t rows = a.dy.dim(0);
  const std::int64_t width = a.dy.dim(1);
  for_chunks(rows, rows_per_chunk(width), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const Real* dy = a.dy.data + r * width;
      const std::int64_t cb = width - a.ca;
      if (a.da.present()) put_row(dy, a.da.data + r * a.ca, a.ca, a.da_mode);
      if (a.db.present()) put_row(dy + a.ca, a.db.data + r * cb, cb, a.db_mode);
    }
  });
}

template <class Real>
void repeat_time_forward(const RepeatTimeForward<Real>& a, const Context&) {
  check(a);
  const std::int64_t f = a.x.dim(2);
  // Items and frames are one axis here: frame r of x becomes frames r * times + i of y.
  for_chunks(a.x.dim(0) * a.x.dim(1), rows_per_chunk(a.times * f),
             [&](std::int64_t, std::int64_t begin, std::int64_t end) {
               for (std::int64_t r = begin; r < end; ++r) {
                 for (std::int64_t i = 0; i < a.times; ++i) {
                   std::copy_n(a.x.data + r * f, f, a.y.data + (r * a.times + i) * f);
                 }
               }
             });
}

template <class Real>
void repeat_time_backward(const RepeatTimeBackward<Real>& a, const Context&) {
  check(a);
  const std::int64_t f = a.dx.dim(2);
  for_chunks(a.dx.dim(0) * a.dx.dim(1), rows_per_chunk(a.times * f),
             [&](std::int64_t, std::int64_t begin, std::int64_t end) {
               for (std::int64_t r = begin; r < end; ++r) {
                 const Real* dy = a.dy.data + r * a.times * f;
                 for (std::int64_t j = 0; j < f; ++j) {
                   double sum = 0;
                   for (std::int64_t i = 0; i < a.times; ++i) sum += static_cast<double>(dy[i * f + j]);
                   put_gradient(a.dx[r * f + j], static_cast<Real>(sum), a.dx_mode);
                 }
               }
             });
}

template void concat2_forward(const Concat2Forward<float>&, const Context&);
template void concat2_forward(const Concat2Forward<double>&, const Context&);
template void concat2_backward(const Concat2Backward<float>&, const Context&);
template void concat2_backward(const Concat2Backward<double>&, const Context&);
template void repeat_time_forward(const RepeatTimeForward<float>&, const Context&);
template void repeat_time_forward(const RepeatTimeForward<double>&, const Context&);
template void repeat_time_backward(const RepeatTimeBackward<float>&, const Context&);
template void repeat_time_backward(const RepeatTimeBackward<double>&, const Context&);

}  // namespace dcase::cpu
