#include "kernels/pool2d/pool2d.hpp"

#include "kernels/pool2d/windows.hpp"

namespace dcase::cpu {

namespace {

/// y = mean over a window of x, for one row of windows. One stream in, one out: bound by memory.
template <class Window, class Real>
void forward_row(const Real* x, Real* y, const PooledMaps& maps, const RowSpan& span, Window window) {
  const Real inverse = Real(1) / static_cast<Real>(window.m() * window.t());
  const std::int64_t row = maps.fine_row();
  const std::int64_t frame = maps.fine_frame();
  for (std::int64_t i = 0; i < span.count; ++i) {
    const Real* in = x + i * maps.fine_step();
    Real* out = y + i * maps.coarse_step();
#pragma omp simd
    for (std::int64_t j = 0; j < span.width; ++j) {
      Real sum = 0;
      for (int m = 0; m < window.m(); ++m) {
        for (int t = 0; t < window.t(); ++t) sum += in[m * row + t * frame + j];
      }
      out[j] = sum * inverse;
    }
  }
}

/// Every position of a window gets dy / area.
template <class Window, class Real>
void backward_row(const Real* dy, Real* dx, const PooledMaps& maps, const RowSpan& span, Window window, GradMode mode) {
  const Real inverse = Real(1) / static_cast<Real>(window.m() * window.t());
  const std::int64_t row = maps.fine_row();
  const std::int64_t frame = maps.fine_frame();
  for (std::int64_t i = 0; i < span.count; ++i) {
    const Real* in = dy + i * maps.coarse_step();
    Real* out = dx + i * maps.fine_step();
    for (int m = 0; m < window.m(); ++m) {
      for (int t = 0; t < window.t(); ++t) {
#pragma omp simd
        for (std::int64_t j = 0; j < span.width; ++j) put_gradient(out[m * row + t * frame + j], in[j] * inverse, mode);
      }
    }
  }
}

}  // namespace

template <class Real>
void avg_pool_forward(const AvgPoolForward<Real>& a, const Context&) {
  const PooledMaps maps("avg_pool_forward", "x", a.x, "y", a.y, a.pool_m, a.pool_t);
  with_window(a.pool_m, a.pool_t, [&](auto window) {
    for_chunks(maps.window_row_count(), maps.rows_per_chunk(), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
      maps.for_spans(begin, end, [&](const RowSpan& span) {
        forward_row(a.x.data + span.fine, a.y.data + span.coarse, maps, span, window);
      });
    });
  });
}

template <class Real>
void avg_pool_backward(const AvgPoolBackward<Real>& a, const Context&) {
  const PooledMaps maps("avg_pool_backward", "dx", a.dx, "dy", a.dy, a.pool_m, a.pool_t);
  with_window(a.pool_m, a.pool_t, [&](auto window) {
    for_chunks(maps.window_row_count(), maps.rows_per_chunk(), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
      maps.for_spans(begin, end, [&](const RowSpan& span) {
        backward_row(a.dy.data + span.coarse, a.dx.data + span.fine, maps, span, window, a.dx_mode);
      });
    });
  });
  if (a.dx_mode == GradMode::kAdd) return;
  for_chunks(maps.fine_row_count(), maps.rows_per_chunk(), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      maps.for_uncovered(row, [&](const RowSpan& span) {
        for (std::int64_t i = 0; i < span.count; ++i) {
          std::fill_n(a.dx.data + span.fine + i * maps.fine_frame(), span.width, Real(0));
        }
      });
    }
  });
}

template void avg_pool_forward(const AvgPoolForward<float>&, const Context&);
template void avg_pool_forward(const AvgPoolForward<double>&, const Context&);
template void avg_pool_backward(const AvgPoolBackward<float>&, const Context&);
template void avg_pool_backward(const AvgPoolBackward<double>&, const Context&);

}  // namespace dcase::cpu
