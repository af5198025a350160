// The fused operator's contract on the CPU: float against double, gradients against finite differences, refusals.

#include "kernels/conv_bn/conv_bn.hpp"

#include <vector>

#include "tests/support/compare.hpp"

using namespace dcase;
using namespace dcase::test;

namespace {

/// conv_bn_forward on normalised y1, as the second convolution of a block: x -> act -> w -> y with statistics.
template <class Real>
struct Arrays {
  explicit Arrays(std::int64_t G = 1, std::int64_t B = 3)
      : x({2, G, 4, 5, B}),
        w({4, G * B, 3, 3}),
        y({2, 1, 4, 5, 4}),
        mean({4}),
        variance({4}),
        in_mean({G * B}),
        in_variance({G * B}),
        gamma({G * B}),
        beta({G * B}),
        scale({G * B}),
        shift({G * B}),
        dy({2, 1, 4, 5, 4}),
        dz({2, G, 4, 5, B}),
        dx({2, G, 4, 5, B}),
        dgamma({G * B}),
        dbeta({G * B}) {
    x.fill_uniform("x", -1, 3);
    w.fill_uniform("w");
    gamma.fill_uniform("gamma", 0.5, 1.5);
    beta.fill_uniform("beta");
    dy.fill_uniform("dy");
  }
  void statistics_of_x() {
    for (std::int64_t c = 0; c < in_mean.size(); ++c) {
      const std::int64_t B = x.view().dim(4);
      double sum = 0, square = 0, count = 0;
      for (std::int64_t i = 0; i < x.size(); ++i) {
        if (i / (20 * B) % x.view().dim(1) * B + i % B != c) continue;
        sum += static_cast<double>(x[i]);
        square += static_cast<double>(x[i]) * static_cast<double>(x[i]);
        count += 1;
      }
      in_mean[c] = static_cast<Real>(sum / count);
      in_variance[c] = static_cast<Real>(square / count - sum / count * sum / count);
    }
  }
  void forward(const Context& context) {
    statistics_of_x();
    conv_bn_affine<Real>({.mean = in_mean.view(),
                          .variance = in_variance.view(),
                          .gamma = gamma.view(),
                          .beta = beta.view(),
                          .scale = scale.view(),
                          .shift = shift.view()},
                         context);
    conv_bn_forward<Real>({.x = x.view(),
                           .in_scale = scale.view(),
                           .in_shift = shift.view(),
                           .in_relu = true,
                           .w = w.view(),
                           .y = y.view(),
                           .mean = mean.view(),
                           .variance = variance.view()},
                          context);
  }
  void backward(const Context& context) {
    conv_bn_backward<Real>({.dy = dy.view(),
                            .w = w.view(),
                            .x = x.view(),
                            .mean = in_mean.view(),
                            .variance = in_variance.view(),
                            .gamma = gamma.view(),
                            .beta = beta.view(),
                            .relu = true,
                            .dz = dz.view(),
                            .dgamma = dgamma.view(),
                            .dbeta = dbeta.view()},
                           context);
    conv_bn_input_gradient<Real>({.x = x.view(),
                                  .mean = in_mean.view(),
                                  .variance = in_variance.view(),
                                  .gamma = gamma.view(),
                                  .dz = dz.view(),
                                  .dgamma = dgamma.view(),
                                  .dbeta = dbeta.view(),
                                  .dx = dx.view()},
                                 context);
  }
  Buffer<Real> x, w, y, mean, variance, in_mean, in_variance, gamma, beta, scale, shift, dy, dz, dx, dgamma, dbeta;
};

}  // namespace

TEST_CASE("conv_bn: float equals the double reference, on grouped maps too") {
  const CpuContext context;
  for (const bool grouped : {false, true}) {
    const std::int64_t G = grouped ? 2 : 1;
    const std::int64_t B = grouped ? 16 : 3;
    Arrays<float> actual(G, B);
    Arrays<double> expected(G, B);
    actual.forward(context);
    expected.forward(context);
    actual.backward(context);
    expected.backward(context);
    check_close("y", actual.y.view(), expected.y.view(), 2e-5, 1e-6);
    check_close("mean", actual.mean.view(), expected.mean.view(), 1e-5, 1e-6);
    check_close("variance", actual.variance.view(), expected.variance.view(), 1e-5, 1e-5);
    check_close("dz", actual.dz.view(), expected.dz.view(), 1e-5, 1e-6);
    check_close("dgamma", actual.dgamma.view(), expected.dgamma.view(), 1e-4, 1e-6);
    check_close("dbeta", actual.dbeta.view(), expected.dbeta.view(), 1e-4, 1e-6);
    check_close("dx", actual.dx.view(), expected.dx.view(), 2e-5, 1e-6);
    CHECK(actual.y.guards_intact());
    CHECK(actual.dz.guards_intact());
  }
}

TEST_CASE("conv_bn: gradients of the reference match finite differences") {
  const CpuContext context;
  Arrays<double> a;
  a.forward(context);
  a.backward(context);
  const auto loss = [&] {
    a.forward(context);
    return weighted_sum(a.y.view(), a.dy.view());
  };
  check_gradient("dx", a.x.view(), a.dx.view(), loss);
  check_gradient("dgamma", a.gamma.view(), a.dgamma.view(), loss);
  check_gradient("dbeta", a.beta.view(), a.dbeta.view(), loss);
}

TEST_CASE("conv_bn: folded weights give the normalised convolution") {
  const CpuContext context;
  Arrays<double> a;
  a.forward(context);
  Buffer<double> plain({2, 1, 4, 5, 4}), folded({4, 3, 3, 3}), bias({4}), y({2, 1, 4, 5, 4}), gamma({4}), beta({4});
  gamma.fill_uniform("gamma");
  beta.fill_uniform("beta");
  conv_bn_forward<double>(
      {.x = a.x.view(), .w = a.w.view(), .y = plain.view(), .mean = a.mean.view(), .variance = a.variance.view()},
      context);
  conv_bn_fold<double>({.w = a.w.view(),
                        .mean = a.mean.view(),
                        .variance = a.variance.view(),
                        .gamma = gamma.view(),
                        .beta = beta.view(),
                        .folded = folded.view(),
                        .bias = bias.view()},
                       context);
  for (const bool relu : {false, true}) {
    conv_bn_inference<double>({.x = a.x.view(), .w = folded.view(), .bias = bias.view(), .relu = relu, .y = y.view()},
                              context);
    for (std::int64_t i = 0; i < y.size(); ++i) {
      const std::int64_t c = i % 4;
      const double z = (plain[i] - a.mean[c]) / std::sqrt(a.variance[c] + 1e-5) * gamma[c] + beta[c];
      CHECK(std::abs(y[i] - (relu && z < 0 ? 0 : z)) <= 1e-12);
    }
  }
}

TEST_CASE("conv_bn: cost is the convolution's, with one pass over each map") {
  Arrays<float> a;
  ConvBnForward<float> args{.x = a.x.view(), .w = a.w.view(), .y = a.y.view()};
  CHECK(cost(args).flops == 2.0 * 2 * 4 * 5 * 4 * 3 * 9);
  CHECK(cost(args).bytes == 4.0 * (2 * 4 * 5 * 3 + 4 * 3 * 9 + 2 * 4 * 5 * 4));
}

TEST_CASE("conv_bn: arguments that do not agree throw") {
  const CpuContext context;
  Arrays<float> a;
  ConvBnForward<float> good{.x = a.x.view(), .w = a.w.view(), .y = a.y.view()};
  good.mean = a.mean.view();
  good.variance = a.variance.view();
  const auto refuses = [&](const char* message, const auto& change) {
    ConvBnForward<float> bad = good;
    change(bad);
    CHECK_THROWS_WITH(conv_bn_forward<float>(bad, context), Catch::Matchers::Contains(message));
  };
  refuses("conv_bn_forward: in_relu without in_scale", [](auto& f) { f.in_relu = true; });
  refuses("in_scale and in_shift come together", [&](auto& f) { f.in_scale = a.gamma.view(); });
  refuses("conv_bn_forward: mean has shape [3]", [&](auto& f) { f.mean = a.gamma.view(); });
  refuses("conv_bn_forward: y has shape", [](auto& f) { f.y.shape[2] = 3; });
  refuses("has no positions", [](auto& f) { f.x.shape[0] = f.y.shape[0] = 0; });
  CHECK_THROWS_WITH(
      conv_bn_inference<float>({.x = a.x.view(), .w = a.w.view(), .bias = a.gamma.view(), .y = a.y.view()}, context),
      "conv_bn_inference: bias has shape [3], expected [4]");
  CHECK_THROWS_WITH(conv_bn_affine<float>({.mean = a.mean.view(),
                                           .variance = a.gamma.view(),
                                           .gamma = a.gamma.view(),
                                           .beta = a.beta.view(),
                                           .scale = a.scale.view(),
                                           .shift = a.shift.view()},
                                          context),
                    "conv_bn_affine: variance has shape [3], expected [4]");
}
