#pragma once
/// Convolution in plain double loops over any grouping of the maps: the reference of tests.

#include "kernels/common/map.hpp"
#include "kernels/conv2d/conv2d.hpp"

namespace dcase::ref {

/// Offset of channel c at (n, m, t) of a map [N,G,M,T,B].
template <class T>
[[nodiscard]] std::int64_t map_offset(const View<T>& map, std::int64_t n, std::int64_t c, std::int64_t m,
                                      std::int64_t t) {
  const std::int64_t B = map.dim(4);
  return (((n * map.dim(1) + c / B) * map.dim(2) + m) * map.dim(3) + t) * B + c % B;
}

/// Calls body(x offset, w offset, y offset) for every product of the formula.
template <class X, class Y, class Body>
void for_each_product(const View<X>& x, std::int64_t Km, std::int64_t Kt, const View<Y>& y, std::int64_t stride_m,
                      std::int64_t stride_t, const Body& body) {
  const std::int64_t Ci = channels(x);
  const std::int64_t Co = channels(y);
  for (std::int64_t n = 0; n < y.dim(0); ++n) {
    for (std::int64_t co = 0; co < Co; ++co) {
      for (std::int64_t i = 0; i < y.dim(2); ++i) {
        for (std::int64_t j = 0; j < y.dim(3); ++j) {
          for (std::int64_t ci = 0; ci < Ci; ++ci) {
            for (std::int64_t a = 0; a < Km; ++a) {
              for (std::int64_t b = 0; b < Kt; ++b) {
                const std::int64_t m = i * stride_m + a - Km / 2;
                const std::int64_t t = j * stride_t + b - Kt / 2;
                if (m < 0 || m >= x.dim(2) || t < 0 || t >= x.dim(3)) continue;
                body(map_offset(x, n, ci, m, t), ((co * Ci + ci) * Km + a) * Kt + b, map_offset(y, n, co, i, j));
              }
            }
          }
        }
      }
    }
  }
}

inline void conv2d_forward(const Conv2dForward<double>& a) {
  for (std::int64_t i = 0; i < a.y.size(); ++i) a.y[i] = 0;
  for_each_product(a.x, a.w.dim(2), a.w.dim(3), a.y, a.stride_m, a.stride_t,
                   [&](std::int64_t x, std::int64_t w, std::int64_t y) { a.y[y] += a.x[x] * a.w[w]; });
}

inline void conv2d_backward(const Conv2dBackward<double>& a) {
  if (a.dx.present()) {
    if (a.dx_mode == GradMode::kSet)
      for (std::int64_t i = 0; i < a.dx.size(); ++i) a.dx[i] = 0;
    for_each_product(a.dx, a.w.dim(2), a.w.dim(3), a.dy, a.stride_m, a.stride_t,
                     [&](std::int64_t x, std::int64_t w, std::int64_t y) { a.dx[x] += a.dy[y] * a.w[w]; });
  }
  if (a.dw.present()) {
    if (a.dw_mode == GradMode::kSet)
      for (std::int64_t i = 0; i < a.dw.size(); ++i) a.dw[i] = 0;
    for_each_product(a.x, a.dw.dim(2), a.dw.dim(3), a.dy, a.stride_m, a.stride_t,
                     [&](std::int64_t x, std::int64_t w, std::int64_t y) { a.dw[w] += a.dy[y] * a.x[x]; });
  }
}

}  // namespace dcase::ref
