#include "kernels/pool2d/pool2d.hpp"

#include "kernels/pool2d/pool2d_kernels.cuh"

namespace dcase::cuda {

void avg_pool_forward(const AvgPoolForward<float>& a, const Context& context) {
  check(a);
  if (a.y.size() == 0) return;
  const char* op = "avg_pool_forward";
  with_windows(a.x, a.y, a.pool_m, a.pool_t, aligned16(a.x.data, a.y.data), [&](auto kind) {
    using Kind = decltype(kind);
    const auto windows = walk_windows<typename Kind::Walk>(op, a.x, a.y, a.pool_m, a.pool_t, Partial::kLeftOut);
    const Lanes lanes(op, channels(a.x), Kind::width);
    launch(avg_pool_forward_kernel<Kind>,
           {.grid = {lanes.strided(windows.count, 1), lanes.blocks},
            .block = kLaneThreads,
            .stream = context.stream,
            .name = op},
           a.x.data, a.y.data, windows, lanes);
  });
}

void avg_pool_backward(const AvgPoolBackward<float>& a, const Context& context) {
  check(a);
  if (a.dx.size() == 0) return;
  const char* op = "avg_pool_backward";
  with_windows(a.dx, a.dy, a.pool_m, a.pool_t, aligned16(a.dx.data, a.dy.data), [&](auto kind) {
    using Kind = decltype(kind);
    const auto windows = walk_windows<typename Kind::Walk>(op, a.dx, a.dy, a.pool_m, a.pool_t, Partial::kVisited);
    const Lanes lanes(op, channels(a.dx), Kind::width);
    launch(avg_pool_backward_kernel<Kind>,
           {.grid = {lanes.strided(windows.count, Kind::batch), lanes.blocks},
            .block = kLaneThreads,
            .stream = context.stream,
            .name = op},
           a.dy.data, a.dx.data, a.dx_mode == GradMode::kAdd, windows, lanes);
  });
}

}  // namespace dcase::cuda
