#include "kernels/elementwise/reorder.hpp"

#include "kernels/pool2d/windows.hpp"

namespace dcase::cpu {

template <class Real>
void reorder_map(const ReorderMap<Real>& a, const Context&) {
  // A copy between groupings is a walk over two maps whose windows are single positions.
  const PooledMaps maps("reorder_map", "x", a.x, "y", a.y, 1, 1);
  for_chunks(maps.window_row_count(), maps.rows_per_chunk(), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    maps.for_spans(begin, end, [&](const RowSpan& span) {
      for (std::int64_t i = 0; i < span.count; ++i) {
        const Real* x = a.x.data + span.fine + i * maps.fine_step();
        Real* y = a.y.data + span.coarse + i * maps.coarse_step();
        const GradMode mode = a.mode;
#pragma omp simd
        for (std::int64_t j = 0; j < span.width; ++j) put_gradient(y[j], x[j], mode);
      }
    });
  });
}

template void reorder_map(const ReorderMap<float>&, const Context&);
template void reorder_map(const ReorderMap<double>&, const Context&);

}  // namespace dcase::cpu
