#include "kernels/batchnorm/batchnorm.hpp"

#include <cmath>
#include <string>

#include "kernels/batchnorm/batchnorm_variants.hpp"
#include "tests/support/compare.hpp"
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

  [[nodiscard]] std::int64_t c() const { return g * b; }
  [[nodiscard]] std::int64_t ym() const { return m / pool_m; }
  [[nodiscard]] std::int64_t yt() const { return t / pool_t; }
  [[nodiscard]] std::string name() const {
    return concat("[", n, ",", g, ",", m, ",", t, ",", b, "] pool ", pool_m, "x", pool_t, " groups of y ", yg,
                  relu ? " relu" : "", batch_statistics ? "" : " constant statistics");
  }
};

const double kEps = 1e-3;

/// The arguments and results of one case. Channel c has its own mean, deviation, gamma and beta.
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
        dbeta{s.c()},
        config(s) {
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

  void forward(const Context& context) {
    if (config.batch_statistics) {
      batchnorm_statistics<Real>({.x = x.view(), .mean = mean.view(), .variance = variance.view()}, context);
    }
    batchnorm_forward(forward_arguments(), context);
  }

  [[nodiscard]] BatchnormForward<Real> forward_arguments() {
    return {.x = x.view(),
            .mean = mean.view(),
            .variance = variance.view(),
            .gamma = gamma.view(),
            .beta = beta.view(),
            .eps = kEps,
            .relu = config.relu,
            .pool_m = config.pool_m,
            .pool_t = config.pool_t,
            .y = y.view()};
  }

  [[nodiscard]] BatchnormBackward<Real> backward_arguments() {
    return {.x = x.view(),
            .mean = mean.view(),
            .variance = variance.view(),
            .gamma = gamma.view(),
            .beta = beta.view(),
            .eps = kEps,
            .relu = config.relu,
            .pool_m = config.pool_m,
            .pool_t = config.pool_t,
            .dy = dy.view(),
            .batch_statistics = config.batch_statistics,
            .dx = dx.view(),
            .dgamma = dgamma.view(),
            .dbeta = dbeta.view()};
  }

  void check_guards() const {
    CHECK((mean.guards_intact() && variance.guards_intact() && y.guards_intact()));
    CHECK((dx.guards_intact() && dgamma.guards_intact() && dbeta.guards_intact()));
  }

  Buffer<Real> x, mean, variance, gamma, beta, y, dy, dx, dgamma, dbeta;
  Case config;
};

/// The contract, element by element in double, from the statistics in `d`.
template <class Real>
void reference_forward(Data<Real>& d, Buffer<double>& y) {
  y.fill(0);
  const Case& s = d.config;
  for_map(y.view(), [&](auto n, auto c, auto m, auto t) {
    double sum = 0;
    for (int i = 0; i < s.pool_m; ++i) {
      for (int j = 0; j < s.pool_t; ++j) {
        const double x = static_cast<double>(d.x[map_index(d.x.view(), n, c, m * s.pool_m + i, t * s.pool_t + j)]);
        const double r = 1 / std::sqrt(static_cast<double>(d.variance[c]) + kEps);
        const double z =
            (x - static_cast<double>(d.mean[c])) * r * static_cast<double>(d.gamma[c]) + static_cast<double>(d.beta[c]);
        sum += s.relu ? std::max(z, 0.0) : z;
      }
    }
    y[map_index(y.view(), n, c, m, t)] = sum / (s.pool_m * s.pool_t);
  });
}

template <class Real>
void reference_statistics(View<Real> x, Buffer<double>& mean, Buffer<double>& variance) {
  mean.fill(0);
  variance.fill(0);
  const double count = static_cast<double>(positions(x));
  for_map(x,
          [&](auto n, auto c, auto m, auto t) { mean[c] += static_cast<double>(x[map_index(x, n, c, m, t)]) / count; });
  for_map(x, [&](auto n, auto c, auto m, auto t) {
    const double d = static_cast<double>(x[map_index(x, n, c, m, t)]) - mean[c];
    variance[c] += d * d / count;
  });
}

const Case kSmall[] = {
    {2, 1, 5, 7, 3, 1, 1, 1, true},        {2, 1, 5, 7, 3, 1, 1, 1, false},         //
    {3, 2, 5, 7, 4, 2, 2, 1, true},        {2, 1, 4, 13, 6, 2, 5, 1, true},         //
    {2, 1, 7, 8, 6, 3, 2, 2, true},        {2, 3, 5, 7, 4, 1, 1, 1, true},          //
    {2, 1, 3, 45, 1, 1, 1, 1, true},       {1, 1, 1, 2, 1, 1, 1, 1, false},         //
    {2, 2, 5, 11, 16, 2, 2, 1, true},      {2, 1, 5, 7, 5, 2, 3, 5, false},         //
    {2, 1, 5, 7, 3, 2, 2, 1, true, false}, {2, 2, 4, 3, 2, 1, 1, 2, false, false},  //
    {2, 1, 3, 4, 3, 4, 1, 1, true},        {2, 1, 6, 9, 130, 2, 2, 1, true},
};

}  // namespace

TEMPLATE_TEST_CASE("batchnorm: forward is the formula of the contract", "[batchnorm]", float, double) {
  const CpuContext context;
  const double tolerance = std::is_same_v<TestType, float> ? 3e-6 : 1e-13;
  for (const Case& s : kSmall) {
    CAPTURE(s.name());
    Data<TestType> d(s);
    d.forward(context);
    if (s.batch_statistics) {
      Buffer<double> mean{s.c()};
      Buffer<double> variance{s.c()};
      reference_statistics(d.x.view(), mean, variance);
      check_close("mean", d.mean.view(), mean.view(), tolerance / 10, tolerance / 10);
      check_close("variance", d.variance.view(), variance.view(), tolerance / 10, tolerance / 10);
    }
    Buffer<double> y{s.n, s.yg, s.ym(), s.yt(), s.c() / s.yg};
    reference_forward(d, y);
    check_close("y", d.y.view(), y.view(), tolerance, tolerance);
    d.check_guards();
  }
}

TEST_CASE("batchnorm: gradients match finite differences, and float matches double", "[batchnorm]") {
  const CpuContext context;
  for (const Case& s : kSmall) {
    CAPTURE(s.name());
    Data<double> d(s);
    d.forward(context);
    batchnorm_backward(d.backward_arguments(), context);
    d.check_guards();

    Data<double> probe(s);
    const auto loss = [&] {
      probe.forward(context);
      return weighted_sum(probe.y.view(), probe.dy.view());
    };
    check_gradient("dx", probe.x.view(), d.dx.view(), loss, 1e-6, 150);
    check_gradient("dgamma", probe.gamma.view(), d.dgamma.view(), loss);
    check_gradient("dbeta", probe.beta.view(), d.dbeta.view(), loss);

    Data<float> f(s);
    f.forward(context);
    batchnorm_backward(f.backward_arguments(), context);
    check_close("float dx", f.dx.view(), d.dx.view(), 1e-5, 1e-5);
    check_close("float dgamma", f.dgamma.view(), d.dgamma.view(), 1e-5, 1e-5);
    check_close("float dbeta", f.dbeta.view(), d.dbeta.view(), 1e-5, 1e-5);
    f.check_guards();
  }
}

TEMPLATE_TEST_CASE("batchnorm: every instruction set computes the same", "[batchnorm]", float, double) {
  const CpuContext context;
  const double tolerance = std::is_same_v<TestType, float> ? 1e-5 : 1e-12;
  REQUIRE(cpu::batchnorm_variants().back().supported());
  for (const cpu::BatchnormVariant& variant : cpu::batchnorm_variants()) {
    if (!variant.supported()) continue;
    for (const Case& s : kSmall) {
      CAPTURE(variant.name, s.name());
      Data<double> expected(s);
      expected.forward(context);
      batchnorm_backward(expected.backward_arguments(), context);
      Data<TestType> d(s);
      if (s.batch_statistics) {
        cpu::batchnorm_statistics<TestType>({.x = d.x.view(), .mean = d.mean.view(), .variance = d.variance.view()},
                                            context, variant);
      }
      cpu::batchnorm_forward(d.forward_arguments(), context, variant);
      cpu::batchnorm_backward(d.backward_arguments(), context, variant);
      check_close("mean", d.mean.view(), expected.mean.view(), tolerance, tolerance);
      check_close("variance", d.variance.view(), expected.variance.view(), tolerance, tolerance);
      check_close("y", d.y.view(), expected.y.view(), tolerance, tolerance);
      check_close("dx", d.dx.view(), expected.dx.view(), tolerance, tolerance);
      check_close("dgamma", d.dgamma.view(), expected.dgamma.view(), tolerance, tolerance);
      check_close("dbeta", d.dbeta.view(), expected.dbeta.view(), tolerance, tolerance);
      d.check_guards();
    }
  }
}

TEST_CASE("batchnorm: gradients are accumulated, or left out", "[batchnorm]") {
  const CpuContext context;
  for (const Case& s : {kSmall[2], kSmall[3], kSmall[10]}) {
    CAPTURE(s.name());
    Data<double> set(s);
    set.forward(context);
    batchnorm_backward(set.backward_arguments(), context);

    Data<double> add(s);
    add.forward(context);
    add.dx.fill(10);
    add.dgamma.fill(20);
    add.dbeta.fill(30);
    auto arguments = add.backward_arguments();
    arguments.dx_mode = arguments.dgamma_mode = arguments.dbeta_mode = GradMode::kAdd;
    batchnorm_backward(arguments, context);
    for (std::int64_t i = 0; i < set.dx.size(); ++i) set.dx[i] += 10;
    for (std::int64_t c = 0; c < s.c(); ++c) {
      set.dgamma[c] += 20;
      set.dbeta[c] += 30;
    }
    check_close("dx", add.dx.view(), set.dx.view(), 1e-12, 0);
    check_close("dgamma", add.dgamma.view(), set.dgamma.view(), 1e-12, 0);
    check_close("dbeta", add.dbeta.view(), set.dbeta.view(), 1e-12, 0);

    // Without the parameters' gradients dx is the same; without dx so are theirs.
    Data<double> some(s);
    some.forward(context);
    arguments = some.backward_arguments();
    arguments.dgamma = {};
    arguments.dbeta = {};
    batchnorm_backward(arguments, context);
    for (std::int64_t i = 0; i < set.dx.size(); ++i) set.dx[i] -= 10;
    check_close("dx alone", some.dx.view(), set.dx.view(), 1e-12, 0);
    CHECK(std::isnan(some.dgamma[0]));
    arguments = some.backward_arguments();
    arguments.dx = {};
    batchnorm_backward(arguments, context);
    for (std::int64_t c = 0; c < s.c(); ++c) set.dgamma[c] -= 20;
    check_close("dgamma alone", some.dgamma.view(), set.dgamma.view(), 1e-12, 0);
  }
}

TEST_CASE("batchnorm: a mean far above the deviation costs no digits", "[batchnorm]") {
  const CpuContext context;
  Buffer<float> x{3, 2, 17, 19, 4};
  x.fill_uniform("x", 29.95, 30.05);
  x[0] = 29;  // an outlier in the place of the origin
  Buffer<float> mean{8};
  Buffer<float> variance{8};
  batchnorm_statistics<float>({.x = x.view(), .mean = mean.view(), .variance = variance.view()}, context);
  Buffer<double> expected_mean{8};
  Buffer<double> expected_variance{8};
  reference_statistics(x.view(), expected_mean, expected_variance);
  check_close("mean", mean.view(), expected_mean.view(), 0, 1e-7);
  check_close("variance", variance.view(), expected_variance.view(), 0, 2e-7);

  Buffer<double> far{2, 1, 5, 7, 3};
  far.fill_uniform("far");
  for (std::int64_t i = 0; i < far.size(); ++i) far[i] += 1e8;
  Buffer<double> far_mean{3};
  Buffer<double> far_variance{3};
  batchnorm_statistics<double>({.x = far.view(), .mean = far_mean.view(), .variance = far_variance.view()}, context);
  Buffer<double> expected_far_mean{3};
  Buffer<double> expected_far_variance{3};
  reference_statistics(far.view(), expected_far_mean, expected_far_variance);
  check_close("far variance", far_variance.view(), expected_far_variance.view(), 0, 1e-9);
}

TEST_CASE("batchnorm: maps of many chunks, the same bits for any number of threads", "[batchnorm]") {
  const CpuContext context;
  // Above a chunk of 131072 elements in each, with frames that fill no whole tile of a narrow map.
  for (const Case& s : {Case{3, 2, 37, 61, 16, 2, 2, 1, true}, Case{11, 1, 67, 211, 1, 1, 1, 1, true},
                        Case{2, 1, 67, 211, 6, 1, 1, 1, true}}) {
    CAPTURE(s.name());
    Data<float> one(s);
    Data<float> three(s);
    {
      const Threads threads(1);
      one.forward(context);
      batchnorm_backward(one.backward_arguments(), context);
    }
    {
      const Threads threads(3);
      three.forward(context);
      batchnorm_backward(three.backward_arguments(), context);
    }
    check_same_bits("mean", one.mean.view(), three.mean.view());
    check_same_bits("variance", one.variance.view(), three.variance.view());
    check_same_bits("y", one.y.view(), three.y.view());
    check_same_bits("dx", one.dx.view(), three.dx.view());
    check_same_bits("dgamma", one.dgamma.view(), three.dgamma.view());
    check_same_bits("dbeta", one.dbeta.view(), three.dbeta.view());

    Data<double> d(s);
    d.forward(context);
    batchnorm_backward(d.backward_arguments(), context);
    check_close("mean", one.mean.view(), d.mean.view(), 1e-7, 1e-7);
    check_close("variance", one.variance.view(), d.variance.view(), 0, 1e-7);
    check_close("y", one.y.view(), d.y.view(), 3e-6, 3e-6);
    Buffer<double> y{s.n, s.yg, s.ym(), s.yt(), s.c() / s.yg};
    reference_forward(d, y);
    check_close("double y", d.y.view(), y.view(), 1e-13, 1e-13);
    // A float x next to the kink of the ReLU may fall on its other side: sums see it as one term of thousands.
    check_close("dgamma", one.dgamma.view(), d.dgamma.view(), 1e-3, 1e-4);
    check_close("dbeta", one.dbeta.view(), d.dbeta.view(), 1e-3, 1e-4);
  }
}

TEST_CASE("batchnorm: in place, and on empty maps", "[batchnorm]") {
  const CpuContext context;
  Data<float> d({2, 2, 5, 7, 3, 1, 1, 2, true});
  d.forward(context);
  auto arguments = d.forward_arguments();
  arguments.y = d.x.view();
  batchnorm_forward(arguments, context);
  check_same_bits("in place", d.x.view(), d.y.view());

  Data<float> none({0, 1, 5, 7, 3, 2, 2, 1, true, false});
  none.forward(context);
  batchnorm_backward(none.backward_arguments(), context);
  CHECK((none.dgamma[0] == 0 && none.dbeta[2] == 0));
  none.check_guards();

  // A recording shorter than the pool gives no window, and no gradient.
  Data<float> brief({2, 1, 5, 3, 3, 2, 5, 1, true});
  brief.forward(context);
  batchnorm_backward(brief.backward_arguments(), context);
  for (std::int64_t i = 0; i < brief.dx.size(); ++i) REQUIRE(brief.dx[i] == 0);
}

TEST_CASE("batchnorm: running statistics take the unbiased variance", "[batchnorm]") {
  const CpuContext context;
  Buffer<double> mean{2};
  Buffer<double> variance{2};
  Buffer<double> running_mean{2};
  Buffer<double> running_variance{2};
  mean[0] = 2, mean[1] = -4;
  variance[0] = 3, variance[1] = 8;
  running_mean.fill(1);
  running_variance.fill(2);
  BatchnormUpdateRunning<double> a{.mean = mean.view(),
                                   .variance = variance.view(),
                                   .count = 5,
                                   .momentum = 0.25,
                                   .running_mean = running_mean.view(),
                                   .running_variance = running_variance.view()};
  batchnorm_update_running(a, context);
  CHECK(running_mean[0] == Approx(1.25));
  CHECK(running_mean[1] == Approx(-0.25));
  CHECK(running_variance[0] == Approx(0.75 * 2 + 0.25 * 3 * 1.25));
  CHECK(running_variance[1] == Approx(0.75 * 2 + 0.25 * 8 * 1.25));
  a.count = 1;
  CHECK_THROWS_AS(batchnorm_update_running(a, context), Error);
  CHECK(running_mean[0] == Approx(1.25));
}

TEST_CASE("batchnorm: wrong arguments throw", "[batchnorm]") {
  const CpuContext context;
  Data<float> d({2, 1, 5, 7, 3, 2, 2, 1, true});
  d.forward(context);
  auto good = d.backward_arguments();
  Buffer<float> two{2};
  const auto refuses = [&](auto change) {
    auto a = good;
    change(a);
    CHECK_THROWS_AS(batchnorm_backward(a, context), Error);
  };
  refuses([&](auto& a) { a.gamma = two.view(); });
  refuses([&](auto& a) { a.mean = {}; });
  refuses([&](auto& a) { a.dgamma = two.view(); });
  refuses([&](auto& a) { a.dx = d.y.view(); });
  refuses([&](auto& a) { a.pool_t = 1; });
  refuses([&](auto& a) { a.pool_m = 0; });
  refuses([&](auto& a) { a.x.rank = 4; });
  refuses([&](auto& a) { a.x.data = nullptr; });
  refuses([&](auto& a) { a.eps = -1; });
  Buffer<float> none{0, 1, 5, 7, 3};
  CHECK_THROWS_AS(
      batchnorm_statistics<float>({.x = none.view(), .mean = d.mean.view(), .variance = d.variance.view()}, context),
      Error);
  Context cuda;
  cuda.device.type = DeviceType::kCuda;
  CHECK_THROWS_AS(batchnorm_backward(good, cuda), Error);
}

}  // namespace dcase::test
