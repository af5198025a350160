#include "kernels/pool2d/pool2d.hpp"

#include <string>

#include "tests/support/compare.hpp"
#include "tests/support/maps.hpp"
#include "tests/support/threads.hpp"

namespace dcase::test {

namespace {

/// x is [n,g,m,t,b], y [n,yg,m/pool_m,t/pool_t,g*b/yg].
struct Case {
  std::int64_t n, g, m, t, b;
  int pool_m, pool_t;
  std::int64_t yg;

  [[nodiscard]] std::string name() const {
    return concat("[", n, ",", g, ",", m, ",", t, ",", b, "] pool ", pool_m, "x", pool_t, " groups of y ", yg);
  }
};

const Case kCases[] = {{2, 1, 7, 9, 3, 2, 2, 1},   {2, 1, 6, 13, 4, 2, 5, 2}, {3, 2, 5, 8, 6, 3, 2, 4},
                       {1, 1, 1, 1, 1, 1, 1, 1},   {2, 1, 5, 7, 3, 1, 1, 1},  {2, 3, 4, 5, 2, 1, 1, 1},
                       {0, 1, 4, 5, 3, 2, 2, 1},   {2, 1, 1, 9, 3, 2, 2, 1},  {2, 1, 5, 3, 3, 2, 5, 3},
                       {3, 2, 37, 61, 16, 2, 2, 1}};

template <class Real>
struct Data {
  explicit Data(const Case& s)
      : x{s.n, s.g, s.m, s.t, s.b},
        y{s.n, s.yg, s.m / s.pool_m, s.t / s.pool_t, s.g * s.b / s.yg},
        dy{s.n, s.yg, s.m / s.pool_m, s.t / s.pool_t, s.g * s.b / s.yg},
        dx{s.n, s.g, s.m, s.t, s.b},
        config(s) {
    x.fill_uniform("x");
    dy.fill_uniform("dy");
  }
  void forward(const Context& context) {
    avg_pool_forward<Real>({.x = x.view(), .pool_m = config.pool_m, .pool_t = config.pool_t, .y = y.view()}, context);
  }
  void backward(const Context& context, GradMode mode = GradMode::kSet) {
    avg_pool_backward<Real>(
        {.dy = dy.view(), .pool_m = config.pool_m, .pool_t = config.pool_t, .dx = dx.view(), .dx_mode = mode}, context);
  }
  Buffer<Real> x, y, dy, dx;
  Case config;
};

}  // namespace

TEMPLATE_TEST_CASE("pool2d: the mean of each window, and its gradient", "[pool2d]", float, double) {
  const CpuContext context;
  const double tolerance = std::is_same_v<TestType, float> ? 5e-7 : 1e-15;
  for (const Case& s : kCases) {
    CAPTURE(s.name());
    Data<TestType> d(s);
    d.forward(context);
    d.backward(context);
    Buffer<double> y{s.n, s.yg, s.m / s.pool_m, s.t / s.pool_t, s.g * s.b / s.yg};
    Buffer<double> dx{s.n, s.g, s.m, s.t, s.b};
    y.fill(0);
    dx.fill(0);
    const double area = s.pool_m * s.pool_t;
    for_map(y.view(), [&](auto n, auto c, auto m, auto t) {
      const std::int64_t coarse = map_index(y.view(), n, c, m, t);
      for (int i = 0; i < s.pool_m; ++i) {
        for (int j = 0; j < s.pool_t; ++j) {
          const std::int64_t fine = map_index(dx.view(), n, c, m * s.pool_m + i, t * s.pool_t + j);
          y[coarse] += static_cast<double>(d.x[fine]) / area;
          dx[fine] = static_cast<double>(d.dy[coarse]) / area;
        }
      }
    });
    check_close("y", d.y.view(), y.view(), tolerance, tolerance);
    check_close("dx", d.dx.view(), dx.view(), tolerance, tolerance);
    d.backward(context, GradMode::kAdd);
    for (std::int64_t i = 0; i < dx.size(); ++i) dx[i] *= 2;
    check_close("dx accumulated", d.dx.view(), dx.view(), tolerance, 2 * tolerance);
    CHECK((d.y.guards_intact() && d.dx.guards_intact()));
  }
}

TEST_CASE("pool2d: gradients match finite differences", "[pool2d]") {
  const CpuContext context;
  for (const Case& s : kCases) {
    CAPTURE(s.name());
    Data<double> d(s);
    d.backward(context);
    check_gradient(
        "dx", d.x.view(), d.dx.view(),
        [&] {
          d.forward(context);
          return weighted_sum(d.y.view(), d.dy.view());
        },
        1e-8, 40);
  }
}

TEST_CASE("pool2d: the same bits for any number of threads", "[pool2d]") {
  const CpuContext context;
  Data<float> one({5, 2, 37, 61, 16, 2, 2, 1});
  Data<float> three(one.config);
  {
    const Threads threads(1);
    one.forward(context);
    one.backward(context);
  }
  const Threads threads(3);
  three.forward(context);
  three.backward(context);
  check_same_bits("y", one.y.view(), three.y.view());
  check_same_bits("dx", one.dx.view(), three.dx.view());
}

TEST_CASE("pool2d: wrong arguments throw", "[pool2d]") {
  const CpuContext context;
  Data<float> d({2, 1, 7, 9, 3, 2, 2, 1});
  const AvgPoolForward<float> good{.x = d.x.view(), .pool_m = 2, .pool_t = 2, .y = d.y.view()};
  const auto refuses = [&](auto change) {
    auto a = good;
    change(a);
    CHECK_THROWS_AS(avg_pool_forward(a, context), Error);
  };
  refuses([](auto& a) { a.pool_m = 3; });
  refuses([](auto& a) { a.pool_t = 0; });
  refuses([](auto& a) { a.pool_m = -2; });
  refuses([](auto& a) { a.y.shape[4] = 4; });
  refuses([](auto& a) { a.y.data = nullptr; });
  refuses([](auto& a) { a.x.rank = 3; });
  CHECK_THROWS_AS(avg_pool_backward<float>({.dy = d.dy.view(), .pool_m = 2, .pool_t = 3, .dx = d.dx.view()}, context),
                  Error);
}

}  // namespace dcase::test
