// The average pool and copies between groupings on the emulated device against the double reference.

#include "kernels/pool2d/pool2d.hpp"
#include "kernels/elementwise/reorder.hpp"
#include "tests/cuda/cuda_context.hpp"
#include "tests/support/threads.hpp"

namespace dcase::test {

namespace {

/// x is [n,g,m,t,b], y [n,yg,m/pool_m,t/pool_t,g*b/yg].
struct Case {
  std::int64_t n, g, m, t, b;
  int pool_m, pool_t;
  std::int64_t yg;
  std::int64_t offset = 0;  // of the device pointers, in floats
};

// Every window and width of the kernels, all ways of grouping, rows and frames that fill no window.
const Case kSmall[] = {
    {2, 1, 5, 7, 3, 2, 2, 1},     {3, 2, 5, 7, 4, 2, 2, 1}, {2, 1, 5, 7, 8, 2, 2, 2, 1}, {2, 1, 4, 13, 8, 2, 5, 2},
    {2, 1, 4, 11, 3, 2, 5, 3},    {2, 1, 7, 8, 6, 3, 2, 2}, {2, 3, 5, 7, 4, 1, 1, 1},    {2, 1, 5, 7, 3, 1, 1, 3},
    {1, 1, 1, 1, 1, 1, 1, 1},     {2, 1, 3, 4, 3, 4, 1, 1}, {0, 1, 3, 4, 3, 2, 2, 1},    {2, 1, 5, 31, 33, 2, 2, 1},
    {1, 1, 9, 125, 132, 2, 5, 1},
};

void check_pool(const Case& s, GradMode mode) {
  CAPTURE(s.n, s.g, s.m, s.t, s.b, s.pool_m, s.pool_t, s.yg, s.offset);
  const std::int64_t ym = s.m / s.pool_m;
  const std::int64_t yt = s.t / s.pool_t;
  const std::int64_t yb = s.g * s.b / s.yg;
  Buffer<float> x{s.n, s.g, s.m, s.t, s.b};
  Buffer<float> dx{s.n, s.g, s.m, s.t, s.b};
  Buffer<float> y{s.n, s.yg, ym, yt, yb};
  Buffer<float> dy{s.n, s.yg, ym, yt, yb};
  Buffer<double> x2{s.n, s.g, s.m, s.t, s.b};
  Buffer<double> dx2{s.n, s.g, s.m, s.t, s.b};
  Buffer<double> y2{s.n, s.yg, ym, yt, yb};
  Buffer<double> dy2{s.n, s.yg, ym, yt, yb};
  x.fill_uniform("x"), dy.fill_uniform("dy");
  x2.fill_uniform("x"), dy2.fill_uniform("dy");
  if (mode == GradMode::kAdd) dx.fill_uniform("before"), dx2.fill_uniform("before");
  const CudaContext context;
  const OnDevice on_x(x.view(), s.offset);
  const OnDevice on_dx(dx.view(), s.offset);
  const OnDevice on_y(y.view(), s.offset);
  const OnDevice on_dy(dy.view(), s.offset);
  avg_pool_forward<float>({.x = on_x.view(), .pool_m = s.pool_m, .pool_t = s.pool_t, .y = on_y.view()}, context);
  avg_pool_backward<float>(
      {.dy = on_dy.view(), .pool_m = s.pool_m, .pool_t = s.pool_t, .dx = on_dx.view(), .dx_mode = mode}, context);
  on_y.download(y.view());
  on_dx.download(dx.view());
  const CpuContext cpu;
  avg_pool_forward<double>({.x = x2.view(), .pool_m = s.pool_m, .pool_t = s.pool_t, .y = y2.view()}, cpu);
  avg_pool_backward<double>(
      {.dy = dy2.view(), .pool_m = s.pool_m, .pool_t = s.pool_t, .dx = dx2.view(), .dx_mode = mode}, cpu);
  // Roundings of up to ten sums below 10, divided by ten; of one product and one sum.
  check_close("y", y.view(), y2.view(), 2e-7, 1e-7);
  check_close("dx", dx.view(), dx2.view(), 1.2e-7, 1e-7);
}

}  // namespace

TEST_CASE("cuda pool2d: equals the double reference in every grouping and window", "[cuda][pool2d]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    for (const Case& s : kSmall) check_pool(s, GradMode::kSet);
  });
  for (const Case& s : kSmall) check_pool(s, GradMode::kAdd);
}

TEST_CASE("cuda reorder: there and back, and accumulated", "[cuda][elementwise][pool2d]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    for (const std::int64_t offset : {0, 1}) {
      Buffer<float> x{2, 1, 5, 7, 32};
      Buffer<float> blocked{2, 2, 5, 7, 16};
      Buffer<float> back{2, 1, 5, 7, 32};
      Buffer<float> expected{2, 2, 5, 7, 16};
      x.fill_uniform("x");
      const CudaContext context;
      const OnDevice on_x(x.view(), offset);
      const OnDevice on_blocked(blocked.view(), offset);
      const OnDevice on_back(back.view(), offset);
      reorder_map<float>({.x = on_x.view(), .y = on_blocked.view()}, context);
      reorder_map<float>({.x = on_blocked.view(), .y = on_back.view()}, context);
      on_blocked.download(blocked.view());
      on_back.download(back.view());
      const CpuContext cpu;
      reorder_map<float>({.x = x.view(), .y = expected.view()}, cpu);
      check_same_bits("blocked", blocked.view(), expected.view());
      check_same_bits("back", back.view(), x.view());
      reorder_map<float>({.x = on_blocked.view(), .y = on_back.view(), .mode = GradMode::kAdd}, context);
      on_back.download(back.view());
      for (std::int64_t i = 0; i < x.size(); ++i) x[i] *= 2;
      check_same_bits("accumulated", back.view(), x.view());
    }
  });
}

TEST_CASE("cuda pool2d and reorder: wrong shapes throw with the operator's name", "[cuda][elementwise][pool2d]") {
  const FreshRuntime fresh;
  const CudaContext context;
  Buffer<float> host{2, 1, 4, 6, 3};
  const OnDevice x(host.view());
  CHECK_THROWS_WITH(avg_pool_forward<float>({.x = x.view(), .pool_m = 2, .pool_t = 2, .y = x.view()}, context),
                    "avg_pool_forward: y has shape [2,1,4,6,3], expected N=2, G*B=3, M=2, T=3");
  CHECK_THROWS_WITH(avg_pool_backward<float>({.dy = x.view(), .pool_m = 0, .dx = x.view()}, context),
                    "avg_pool_backward: a pool of 0x1 positions");
  View<float> other = x.view();
  other.shape[4] = 2;
  CHECK_THROWS_WITH(reorder_map<float>({.x = x.view(), .y = other}, context),
                    "reorder_map: y has shape [2,1,4,6,2], expected N=2, G*B=3, M=4, T=6");
}

}  // namespace dcase::test
