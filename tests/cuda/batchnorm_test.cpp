// Batch normalisation on the emulated device against the double reference.

#include "kernels/batchnorm/batchnorm.hpp"

#include <cmath>
#include <limits>
#include <string>

#include "tests/cuda/cuda_context.hpp"
#include "tests/support/maps.hpp"
#include "tests/support/threads.hpp"

namespace dcase::test {

namespace {

/// A call of the fused operator: x is [n,g,m,t,b], y [n,yg,m/pool_m,t/pool_t,g*b/yg].
struct Case {
  std::int64_t n, g, m, t, b;
  int pool_m, pool_t;
  std::int64_t yg;
  bool relu;
  bool batch_statistics = true;
  std::int64_t offset = 0;  // of the device pointers, in floats

  [[nodiscard]] std::int64_t c() const { return g * b; }
  [[nodiscard]] std::int64_t ym() const { return m / pool_m; }
  [[nodiscard]] std::int64_t yt() const { return t / pool_t; }
  [[nodiscard]] std::string name() const {
    return concat("[", n, ",", g, ",", m, ",", t, ",", b, "] pool ", pool_m, "x", pool_t, " groups of y ", yg,
                  relu ? " relu" : "", batch_statistics ? "" : " constant statistics", " offset ", offset);
  }
};

const double kEps = 1e-3;

/// Arguments and results on the host. Channel c has its own mean, deviation, gamma and beta.
template <class Real>
struct Data {
  explicit Data(const Case& s)
      : x{s.n, s.g, s.m, s.t, s.b},
        mean{s.c()},
        variance{s.c()},
        gamma{s.c()},
        beta{s.c()},
        y{s.n, s.yg, s.ym(), s.yt(), s.c() / s.yg},
        dy{s.n, s.yg, s.ym(), s.yt(), s.c() / s.yg},
        dx{s.n, s.g, s.m, s.t, s.b},
        dgamma{s.c()},
        dbeta{s.c()} {
    x.fill_uniform("x");
    for_map(x.view(), [&](auto n, auto c, auto m, auto t) {
      Real& value = x[map_index(x.view(), n, c, m, t)];
      value = static_cast<Real>(static_cast<float>(0.3 * static_cast<double>(c % 5) + static_cast<double>(value)));
    });
    mean.fill_uniform("mean", 0, 1);
    variance.fill_uniform("variance", 0.2, 0.6);
    gamma.fill_uniform("gamma", -1.5, 1.5);
    beta.fill_uniform("beta", -0.4, 0.4);
    dy.fill_uniform("dy");
  }
  Buffer<Real> x, mean, variance, gamma, beta, y, dy, dx, dgamma, dbeta;
};

/// The same on the device; maps are shifted by the case's offset.
struct OnDeviceData {
  OnDeviceData(Data<float>& d, const Case& s)
      : x(d.x.view(), s.offset),
        mean(d.mean.view()),
        variance(d.variance.view()),
        gamma(d.gamma.view()),
        beta(d.beta.view()),
        y(d.y.view(), s.offset),
        dy(d.dy.view(), s.offset),
        dx(d.dx.view(), s.offset),
        dgamma(d.dgamma.view()),
        dbeta(d.dbeta.view()) {}
  void download(Data<float>& d) const {
    mean.download(d.mean.view());
    variance.download(d.variance.view());
    y.download(d.y.view());
    dx.download(d.dx.view());
    dgamma.download(d.dgamma.view());
    dbeta.download(d.dbeta.view());
  }
  OnDevice x, mean, variance, gamma, beta, y, dy, dx, dgamma, dbeta;
};

View<float> view_of(const OnDevice& array) { return array.view(); }
template <class Real>
View<Real> view_of(Buffer<Real>& array) {
  return array.view();
}

template <class Real, class Arrays>
BatchnormForward<Real> forward_arguments(Arrays& d, const Case& s) {
  return {.x = view_of(d.x),
          .mean = view_of(d.mean),
          .variance = view_of(d.variance),
          .gamma = view_of(d.gamma),
          .beta = view_of(d.beta),
          .eps = kEps,
          .relu = s.relu,
          .pool_m = s.pool_m,
          .pool_t = s.pool_t,
          .y = view_of(d.y)};
}

template <class Real, class Arrays>
BatchnormBackward<Real> backward_arguments(Arrays& d, const Case& s) {
  return {.x = view_of(d.x),
          .mean = view_of(d.mean),
          .variance = view_of(d.variance),
          .gamma = view_of(d.gamma),
          .beta = view_of(d.beta),
          .eps = kEps,
          .relu = s.relu,
          .pool_m = s.pool_m,
          .pool_t = s.pool_t,
          .dy = view_of(d.dy),
          .batch_statistics = s.batch_statistics,
          .dx = view_of(d.dx),
          .dgamma = view_of(d.dgamma),
          .dbeta = view_of(d.dbeta)};
}

/// Statistics, forward and backward.
template <class Real, class Arrays>
void run(Arrays& d, const Case& s, const Context& context, GradMode mode = GradMode::kSet) {
  if (s.batch_statistics) {
    batchnorm_statistics<Real>({.x = view_of(d.x), .mean = view_of(d.mean), .variance = view_of(d.variance)}, context);
  }
  batchnorm_forward(forward_arguments<Real>(d, s), context);
  BatchnormBackward<Real> backward = backward_arguments<Real>(d, s);
  backward.dx_mode = backward.dgamma_mode = backward.dbeta_mode = mode;
  batchnorm_backward(backward, context);
}

// Worst seen, in terms of size 1 to 5: 3e-8 (one rounding), 1.6e-7, and 7e-7 where x near the kink of the ReLU or the
// rounding of z adds up over a thousand positions.
constexpr double kStatisticsError = 1e-7;
constexpr double kMapError = 6e-7;
constexpr double kSumError = 2.5e-6;

void check_case(const Case& s, GradMode mode = GradMode::kSet) {
  CAPTURE(s.name());
  Data<float> f(s);
  Data<double> d(s);
  if (mode == GradMode::kAdd) {
    f.dx.fill_uniform("before"), f.dgamma.fill_uniform("before"), f.dbeta.fill_uniform("before");
    d.dx.fill_uniform("before"), d.dgamma.fill_uniform("before"), d.dbeta.fill_uniform("before");
  }
  const CudaContext context;
  const OnDeviceData on(f, s);
  run<float>(on, s, context, mode);
  on.download(f);
  const CpuContext cpu;
  run<double>(d, s, cpu, mode);
  check_close("mean", f.mean.view(), d.mean.view(), kStatisticsError, kStatisticsError);
  check_close("variance", f.variance.view(), d.variance.view(), kStatisticsError, kStatisticsError);
  check_close("y", f.y.view(), d.y.view(), kMapError, kMapError);
  check_close("dx", f.dx.view(), d.dx.view(), kMapError, kMapError);
  check_close("dgamma", f.dgamma.view(), d.dgamma.view(), kSumError, kSumError);
  check_close("dbeta", f.dbeta.view(), d.dbeta.view(), kSumError, kSumError);
}

// Every window and width of the kernels, and all ways of grouping: channels-last, blocks of 4, single channels, changed
// on the way.
const Case kSmall[] = {
    {2, 1, 5, 7, 3, 1, 1, 1, true},          {2, 1, 5, 7, 4, 1, 1, 1, false},
    {2, 1, 5, 7, 4, 1, 1, 1, true, true, 1},  // unaligned
    {3, 2, 5, 7, 4, 2, 2, 1, true},          {2, 1, 4, 13, 8, 2, 5, 1, true},
    {2, 1, 7, 8, 6, 3, 2, 2, true},          {2, 3, 5, 7, 4, 1, 1, 1, true},
    {2, 1, 3, 45, 1, 1, 1, 1, true},         {1, 1, 1, 2, 1, 1, 1, 1, false},
    {2, 1, 4, 11, 3, 2, 5, 3, false},        {2, 1, 5, 7, 3, 2, 2, 1, true, false},
    {2, 2, 4, 3, 2, 1, 1, 2, false, false},  {2, 1, 3, 4, 3, 4, 1, 1, true},
};

}  // namespace

TEST_CASE("cuda batchnorm: equals the double reference in every grouping and window", "[cuda][batchnorm]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    for (const Case& s : kSmall) check_case(s);
  });
  for (const Case& s : kSmall) check_case(s, GradMode::kAdd);
}

TEST_CASE("cuda batchnorm: partial tiles are masked", "[cuda][batchnorm]") {
  const FreshRuntime fresh;
  // Columns that fill no block of lanes, rows that fill no batch, chunks that fill no grid.
  for (const Case& s : {Case{2, 1, 11, 47, 64, 1, 1, 1, true}, Case{1, 1, 23, 47, 33, 1, 1, 1, true},
                        Case{2, 1, 9, 31, 132, 2, 2, 1, true}, Case{2, 1, 6, 251, 48, 2, 5, 1, true},
                        Case{1, 2, 31, 125, 16, 2, 2, 1, true}}) {
    check_case(s);
  }
}

TEST_CASE("cuda batchnorm: dropped pool columns count in statistics", "[cuda][batchnorm]") {
  const FreshRuntime fresh;
  const Case s{2, 1, 5, 11, 4, 2, 5, 1, true};
  Data<float> f(s);
  Data<double> d(s);
  // Row 4 and frame 10 fill no window: what stands there shows in mean and variance, and gets the gradient of both.
  for_map(f.x.view(), [&](auto n, auto c, auto m, auto t) {
    if (m == 4 || t == 10) f.x[map_index(f.x.view(), n, c, m, t)] += 3;
  });
  for (std::int64_t i = 0; i < f.x.size(); ++i) d.x[i] = static_cast<double>(f.x[i]);
  const CudaContext context;
  const OnDeviceData on(f, s);
  run<float>(on, s, context);
  on.download(f);
  const CpuContext cpu;
  run<double>(d, s, cpu);
  check_close("mean", f.mean.view(), d.mean.view(), kStatisticsError, kStatisticsError);
  check_close("variance", f.variance.view(), d.variance.view(), kStatisticsError, kStatisticsError);
  check_close("y", f.y.view(), d.y.view(), kMapError, kMapError);
  check_close("dx", f.dx.view(), d.dx.view(), kMapError, kMapError);
  CHECK(f.mean[0] > 0.7F);  // about 3 * 15 / 55; without them 0
  CHECK(f.dx[map_index(f.dx.view(), 1, 2, 4, 3)] != 0);
  CHECK(f.dx[map_index(f.dx.view(), 0, 1, 2, 10)] != 0);
}

TEST_CASE("cuda batchnorm: a mean far above the deviation costs no digits", "[cuda][batchnorm]") {
  const FreshRuntime fresh;
  for (const std::int64_t groups : {1, 2, 8}) {
    for (const double outlier : {30.0, 29.0, -1000.0}) {
      CAPTURE(groups, outlier);
      Buffer<float> x{3, groups, 17, 61, 8 / groups};
      Buffer<double> x2{3, groups, 17, 61, 8 / groups};
      x.fill_uniform("x", 29.95, 30.05);
      for (std::int64_t i = 0; i < 8 / groups; ++i) x[i] = static_cast<float>(outlier);  // in the place of the origin
      for (std::int64_t i = 0; i < x.size(); ++i) x2[i] = static_cast<double>(x[i]);
      Buffer<float> mean{8};
      Buffer<float> variance{8};
      Buffer<double> mean2{8};
      Buffer<double> variance2{8};
      const CudaContext context;
      const OnDevice on(x.view());
      const OnDevice on_mean(mean.view());
      const OnDevice on_variance(variance.view());
      batchnorm_statistics<float>({.x = on.view(), .mean = on_mean.view(), .variance = on_variance.view()}, context);
      on_mean.download(mean.view());
      on_variance.download(variance.view());
      const CpuContext cpu;
      batchnorm_statistics<double>({.x = x2.view(), .mean = mean2.view(), .variance = variance2.view()}, cpu);
      // Worst seen: 4e-8, and 3e-7 where one float, the outlier's square, is most of the variance.
      check_close("mean", mean.view(), mean2.view(), 0, 1e-7);
      check_close("variance", variance.view(), variance2.view(), 0, 1e-6);
    }
  }
}

TEST_CASE("cuda batchnorm: gradients may be left out, the rest stays the same bits", "[cuda][batchnorm]") {
  const FreshRuntime fresh;
  for (const bool batch_statistics : {true, false}) {
    CAPTURE(batch_statistics);
    const Case s{2, 1, 5, 7, 8, 2, 2, 1, true, batch_statistics};
    Data<float> all(s);
    const CudaContext context;
    const OnDeviceData on(all, s);
    run<float>(on, s, context);
    on.download(all);
    Data<float> some(s);
    some.mean.fill(0), some.variance.fill(0);
    const OnDeviceData other(some, s);
    BatchnormBackward<float> a = backward_arguments<float>(other, s);
    a.mean = on.mean.view();
    a.variance = on.variance.view();
    a.dgamma = a.dbeta = {};
    batchnorm_backward(a, context);
    other.download(some);
    check_same_bits("dx alone", some.dx.view(), all.dx.view());
    CHECK((std::isnan(some.dgamma[0]) && std::isnan(some.dbeta[0])));
    a.dx = {};
    a.dgamma = other.dgamma.view();
    batchnorm_backward(a, context);
    a.dgamma = {};
    a.dbeta = other.dbeta.view();
    batchnorm_backward(a, context);
    other.download(some);
    check_same_bits("dgamma alone", some.dgamma.view(), all.dgamma.view());
    check_same_bits("dbeta alone", some.dbeta.view(), all.dbeta.view());
  }
}

TEST_CASE("cuda batchnorm: the same bits in every schedule; in place; NaN passes", "[cuda][batchnorm]") {
  const FreshRuntime fresh;
  const Case s{2, 1, 9, 15, 40, 1, 1, 1, true};
  Data<float> first(s);
  bool ran = false;
  for_each_schedule([&] {
    Data<float> d(s);
    const CudaContext context;
    const OnDeviceData on(d, s);
    run<float>(on, s, context);
    on.download(d);
    if (!ran) on.download(first);
    ran = true;
    check_same_bits("mean", d.mean.view(), first.mean.view());
    check_same_bits("variance", d.variance.view(), first.variance.view());
    check_same_bits("dx", d.dx.view(), first.dx.view());
    check_same_bits("dgamma", d.dgamma.view(), first.dgamma.view());
    check_same_bits("dbeta", d.dbeta.view(), first.dbeta.view());
    BatchnormForward<float> a = forward_arguments<float>(on, s);
    a.y = on.x.view();
    batchnorm_forward(a, context);
    on.x.download(d.x.view());
    check_same_bits("in place", d.x.view(), d.y.view());
  });
  first.x[17] = std::numeric_limits<float>::quiet_NaN();
  const CudaContext context;
  const OnDeviceData on(first, s);
  batchnorm_forward(forward_arguments<float>(on, s), context);
  on.y.download(first.y.view());
  CHECK(std::isnan(first.y[17]));
  CHECK_FALSE(std::isnan(first.y[18]));
  batchnorm_statistics<float>({.x = on.x.view(), .mean = on.mean.view(), .variance = on.variance.view()}, context);
  on.variance.download(first.variance.view());
  CHECK(std::isnan(first.variance[17]));
  CHECK_FALSE(std::isnan(first.variance[16]));
}

TEST_CASE("cuda batchnorm: empty maps", "[cuda][batchnorm]") {
  const FreshRuntime fresh;
  const CudaContext context;
  const Case no_items{0, 1, 5, 7, 3, 2, 2, 1, true, false};
  Data<float> none(no_items);
  const OnDeviceData on_none(none, no_items);
  run<float>(on_none, no_items, context);
  on_none.download(none);
  CHECK((none.dgamma[0] == 0 && none.dbeta[2] == 0));
  // A recording shorter than the pool gives no window, and no gradient.
  const Case short_one{2, 1, 5, 3, 4, 2, 5, 1, true};
  Data<float> brief(short_one);
  const OnDeviceData on_brief(brief, short_one);
  run<float>(on_brief, short_one, context);
  on_brief.download(brief);
  for (std::int64_t i = 0; i < brief.dx.size(); ++i) REQUIRE(brief.dx[i] == 0);
}

TEST_CASE("cuda batchnorm: running statistics equal the double reference", "[cuda][batchnorm]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    constexpr std::int64_t kChannels = 300;  // more than a block
    Buffer<float> f[4] = {{kChannels}, {kChannels}, {kChannels}, {kChannels}};
    Buffer<double> d[4] = {{kChannels}, {kChannels}, {kChannels}, {kChannels}};
    for (int i = 0; i < 4; ++i) {
      f[i].fill_uniform(i % 2 == 0 ? "means" : "variances", i % 2, i + 1);
      d[i].fill_uniform(i % 2 == 0 ? "means" : "variances", i % 2, i + 1);
    }
    const OnDevice mean(f[0].view());
    const OnDevice variance(f[1].view());
    const OnDevice running_mean(f[2].view());
    const OnDevice running_variance(f[3].view());
    const CudaContext context;
    BatchnormUpdateRunning<float> a{.mean = mean.view(),
                                    .variance = variance.view(),
                                    .count = 5,
                                    .momentum = 0.25,
                                    .running_mean = running_mean.view(),
                                    .running_variance = running_variance.view()};
    batchnorm_update_running(a, context);
    const CpuContext cpu;
    batchnorm_update_running<double>({.mean = d[0].view(),
                                      .variance = d[1].view(),
                                      .count = 5,
                                      .momentum = 0.25,
                                      .running_mean = d[2].view(),
                                      .running_variance = d[3].view()},
                                     cpu);
    running_mean.download(f[2].view());
    running_variance.download(f[3].view());
    // Rounded once, from double.
    check_close("running_mean", f[2].view(), d[2].view(), 0, 6e-8);
    check_close("running_variance", f[3].view(), d[3].view(), 0, 6e-8);
    a.count = 1;
    CHECK_THROWS_WITH(
        batchnorm_update_running(a, context),
        "batchnorm_update_running: 1 value(s) a channel have no unbiased variance; training needs batches "
        "of two or more");
  });
}

TEST_CASE("cuda batchnorm: wrong arguments throw with the operator's name", "[cuda][batchnorm]") {
  const FreshRuntime fresh;
  const CudaContext context;
  const Case s{2, 1, 5, 7, 3, 2, 2, 1, true};
  Data<float> d(s);
  const OnDeviceData on(d, s);
  BatchnormForward<float> forward = forward_arguments<float>(on, s);
  forward.gamma.shape[0] = 2;
  CHECK_THROWS_WITH(batchnorm_forward(forward, context), "batchnorm_forward: gamma has shape [2], expected [3]");
  BatchnormBackward<float> backward = backward_arguments<float>(on, s);
  backward.pool_t = 1;
  CHECK_THROWS_WITH(batchnorm_backward(backward, context),
                    "batchnorm_backward: dy has shape [2,1,2,3,3], expected N=2, G*B=3, M=2, T=7");
  backward = backward_arguments<float>(on, s);
  backward.dx = on.y.view();
  CHECK_THROWS_AS(batchnorm_backward(backward, context), Error);
  View<float> flat = on.x.view();
  flat.rank = 4;
  CHECK_THROWS_WITH(
      batchnorm_statistics<float>({.x = flat, .mean = on.mean.view(), .variance = on.variance.view()}, context),
      "batchnorm_statistics: x has shape [2,1,5,7], expected a map [N,G,M,T,B]");
  Buffer<float> none{0, 1, 5, 7, 3};
  const OnDevice on_none(none.view());
  CHECK_THROWS_AS(batchnorm_statistics<float>(
                      {.x = on_none.view(), .mean = on.mean.view(), .variance = on.variance.view()}, context),
                  Error);
  View<float> huge = on.x.view();
  huge.shape[0] = 1LL << 31;
  BatchnormForward<float> too_many = forward_arguments<float>(on, s);
  too_many.x = huge;
  too_many.y.shape[0] = 1LL << 31;
  CHECK_THROWS_WITH(batchnorm_forward(too_many, context),
                    "batchnorm_forward: a map of 75161927680 positions and 3 channels, at most 2147483647 of either");
}

}  // namespace dcase::test
