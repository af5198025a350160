#include "kernels/elementwise/channel_scale.hpp"

#include <algorithm>

#include "tests/support/compare.hpp"
#include "tests/support/threads.hpp"

namespace dcase::test {

namespace {

/// Arguments and results of both operators on [n,p,c]; without a residual it is the plain product.
template <class Real>
struct Data {
  Data(std::int64_t n, std::int64_t p, std::int64_t c, bool with_residual)
      : x{n, p, c},
        s{n, c},
        residual{n, p, c},
        y{n, p, c},
        dy{n, p, c},
        dx{n, p, c},
        ds{n, c},
        dresidual{n, p, c},
        tail(with_residual) {
    x.fill_uniform("x");
    s.fill_uniform("s", 0, 1);
    residual.fill_uniform("residual");
    dy.fill_uniform("dy");
  }
  void forward(const Context& context) {
    if (tail) {
      scale_residual_relu_forward<Real>({.x = x.view(), .s = s.view(), .residual = residual.view(), .y = y.view()},
                                        context);
    } else {
      channel_scale_forward<Real>({.x = x.view(), .s = s.view(), .y = y.view()}, context);
    }
  }
  void backward(const Context& context, GradMode mode = GradMode::kSet) {
    if (tail) {
      scale_residual_relu_backward<Real>({.x = x.view(),
                                          .s = s.view(),
                                          .y = y.view(),
                                          .dy = dy.view(),
                                          .dx = dx.view(),
                                          .ds = ds.view(),
                                          .dresidual = dresidual.view(),
                                          .dx_mode = mode,
                                          .ds_mode = mode,
                                          .dresidual_mode = mode},
                                         context);
    } else {
      channel_scale_backward<Real>({.x = x.view(),
                                    .s = s.view(),
                                    .dy = dy.view(),
                                    .dx = dx.view(),
                                    .ds = ds.view(),
                                    .dx_mode = mode,
                                    .ds_mode = mode},
                                   context);
    }
  }
  Buffer<Real> x, s, residual, y, dy, dx, ds, dresidual;
  bool tail;
};

}  // namespace

TEMPLATE_TEST_CASE("channel_scale: products, sums and gradients of the contract", "[channel_scale]", float, double) {
  const CpuContext context;
  const double tolerance = std::is_same_v<TestType, float> ? 1e-6 : 1e-13;
  struct Sizes {
    std::int64_t n, p, c;
  };
  // The last but one has more rows than a chunk of sums, the last more channels than a block of them.
  for (const Sizes& d : {Sizes{2, 5, 3}, {1, 1, 1}, {2, 0, 3}, {0, 5, 3}, {2, 13000, 6}, {2, 3, 2500}}) {
    for (const bool tail : {false, true}) {
      CAPTURE(d.n, d.p, d.c, tail);
      Data<TestType> a(d.n, d.p, d.c, tail);
      a.forward(context);
      a.backward(context);
      Buffer<double> y{d.n, d.p, d.c};
      Buffer<double> dx{d.n, d.p, d.c};
      Buffer<double> dresidual{d.n, d.p, d.c};
      Buffer<double> ds{d.n, d.c};
      ds.fill(0);
      for (std::int64_t i = 0; i < y.size(); ++i) {
        const std::int64_t factor = i / (d.p * d.c) * d.c + i % d.c;
        const double x = static_cast<double>(a.x[i]);
        const double s = static_cast<double>(a.s[factor]);
        y[i] = tail ? std::max(x * s + static_cast<double>(a.residual[i]), 0.0) : x * s;
        const double g = tail && !(a.y[i] > 0) ? 0 : static_cast<double>(a.dy[i]);
        dx[i] = g * s;
        dresidual[i] = g;
        ds[factor] += g * x;
      }
      check_close("y", a.y.view(), y.view(), tolerance, tolerance);
      check_close("dx", a.dx.view(), dx.view(), tolerance, tolerance);
      check_close("ds", a.ds.view(), ds.view(), tolerance, tolerance);
      if (tail) check_close("dresidual", a.dresidual.view(), dresidual.view(), tolerance, tolerance);
      a.backward(context, GradMode::kAdd);
      for (std::int64_t i = 0; i < ds.size(); ++i) ds[i] *= 2;
      for (std::int64_t i = 0; i < dx.size(); ++i) dx[i] *= 2;
      for (std::int64_t i = 0; i < dx.size(); ++i) dresidual[i] *= 2;
      check_close("dx accumulated", a.dx.view(), dx.view(), tolerance, 2 * tolerance);
      check_close("ds accumulated", a.ds.view(), ds.view(), tolerance, 2 * tolerance);
      if (tail) check_close("dresidual accumulated", a.dresidual.view(), dresidual.view(), tolerance, 2 * tolerance);
      CHECK((a.y.guards_intact() && a.dx.guards_intact() && a.ds.guards_intact() && a.dresidual.guards_intact()));
    }
  }
}

TEST_CASE("channel_scale: gradients match finite differences", "[channel_scale]") {
  const CpuContext context;
  for (const bool tail : {false, true}) {
    CAPTURE(tail);
    Data<double> d(2, 5, 3, tail);
    d.forward(context);
    d.backward(context);
    Data<double> probe(2, 5, 3, tail);
    const auto loss = [&] {
      probe.forward(context);
      return weighted_sum(probe.y.view(), probe.dy.view());
    };
    check_gradient("dx", probe.x.view(), d.dx.view(), loss);
    check_gradient("ds", probe.s.view(), d.ds.view(), loss);
    if (tail) check_gradient("dresidual", probe.residual.view(), d.dresidual.view(), loss);
  }
}

TEST_CASE("channel_scale: in place, without some gradients, and by any number of threads", "[channel_scale]") {
  const CpuContext context;
  for (const bool tail : {false, true}) {
    CAPTURE(tail);
    Data<float> one(3, 9000, 7, tail);
    Data<float> three(3, 9000, 7, tail);
    {
      const Threads threads(1);
      one.forward(context);
      one.backward(context);
    }
    {
      const Threads threads(3);
      three.forward(context);
      three.backward(context);
    }
    check_same_bits("y", one.y.view(), three.y.view());
    check_same_bits("dx", one.dx.view(), three.dx.view());
    check_same_bits("ds", one.ds.view(), three.ds.view());
    if (!tail) continue;
    // dresidual alone, written over dy; then ds alone.
    scale_residual_relu_backward<float>({.x = three.x.view(),
                                         .s = three.s.view(),
                                         .y = three.y.view(),
                                         .dy = three.dy.view(),
                                         .dresidual = three.dy.view()},
                                        context);
    check_same_bits("dresidual in place", three.dy.view(), one.dresidual.view());
    scale_residual_relu_backward<float>(
        {.x = one.x.view(), .s = one.s.view(), .y = one.y.view(), .dy = one.dy.view(), .ds = three.ds.view()}, context);
    check_same_bits("ds alone", one.ds.view(), three.ds.view());
    scale_residual_relu_forward<float>(
        {.x = one.x.view(), .s = one.s.view(), .residual = one.residual.view(), .y = one.residual.view()}, context);
    check_same_bits("y in place", one.residual.view(), one.y.view());
  }
}

TEST_CASE("channel_scale: wrong arguments throw", "[channel_scale]") {
  const CpuContext context;
  Data<float> d(2, 5, 3, true);
  d.forward(context);
  Buffer<float> s{3, 2};
  CHECK_THROWS_AS(channel_scale_forward<float>({.x = d.x.view(), .s = s.view(), .y = d.y.view()}, context), Error);
  CHECK_THROWS_AS(channel_scale_forward<float>({.x = d.s.view(), .s = d.s.view(), .y = d.y.view()}, context), Error);
  CHECK_THROWS_AS(channel_scale_backward<float>({.x = d.x.view(), .s = d.s.view(), .dx = d.dx.view()}, context), Error);
  CHECK_THROWS_AS(
      channel_scale_backward<float>({.x = d.x.view(), .s = d.s.view(), .dy = d.dy.view(), .ds = d.dx.view()}, context),
      Error);
  CHECK_THROWS_AS(scale_residual_relu_forward<float>({.x = d.x.view(), .s = d.s.view(), .y = d.y.view()}, context),
                  Error);
  CHECK_THROWS_AS(
      scale_residual_relu_backward<float>(
          {.x = d.x.view(), .s = d.s.view(), .y = d.y.view(), .dy = d.dy.view(), .dresidual = d.s.view()}, context),
      Error);
}

}  // namespace dcase::test
