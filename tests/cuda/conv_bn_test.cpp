// The fused convolution on the emulated device: every variant on every shape that it takes, against the double
// reference.

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/conv_bn/conv_bn.hpp"
#include "tests/cuda/cuda_context.hpp"

namespace dcase::test {

namespace {

constexpr Precision kPrecisions[] = {Precision::kFp32, Precision::kTf32, Precision::kBf16};

// As in conv2d_test.cpp.
double error_of(Precision precision) {
  switch (precision) {
    case Precision::kTf32:
      return 4 * 2 * 0x1p-11 / 3;
    case Precision::kBf16:
      return 4 * 2 * 0x1p-9 / 3;
    case Precision::kFp32:
      break;
  }
  return 5e-7;
}

struct Case {
  std::int64_t N, Ci, M, T, Co;
  bool prologue = true;
  std::int64_t K = 3;
  std::int64_t offset = 0;  // of the device pointers, in floats
};

using Names = std::vector<std::string>;

bool ran(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string text(const Case& c, Precision precision) {
  return concat(c.N, "x", c.Ci, " [", c.M, ",", c.T, "] -> ", c.Co, " k ", c.K, (c.prologue ? " prologue" : ""),
                " offset ", c.offset, " precision ", static_cast<int>(precision));
}

/// A buffer in float and the same numbers in double.
struct Both {
  Both(std::initializer_list<std::int64_t> shape, const char* name, double low = -1, double high = 1)
      : f(shape), d(shape) {
    f.fill_uniform(name, low, high);
    for (std::int64_t i = 0; i < f.size(); ++i) d[i] = static_cast<double>(f[i]);
  }
  Buffer<float> f;
  Buffer<double> d;
};

/// Statistics in double of a map that was computed in float: apart from the convolution's rounding.
void statistics_of(View<float> y, View<double> mean, View<double> variance) {
  const std::int64_t C = y.dim(4);
  const auto P = static_cast<double>(y.size() / C);
  for (std::int64_t c = 0; c < C; ++c) {
    double sum = 0, square = 0;
    for (std::int64_t i = c; i < y.size(); i += C) sum += static_cast<double>(y[i]);
    mean[c] = sum / P;
    for (std::int64_t i = c; i < y.size(); i += C) square += std::pow(static_cast<double>(y[i]) - mean[c], 2);
    variance[c] = square / P;
  }
}

Names check_forward(const Case& c, Precision precision) {
  INFO(text(c, precision));
  const CpuContext cpu;
  const CudaContext context(precision);
  Both x({c.N, 1, c.M, c.T, c.Ci}, "x"), w({c.Co, c.Ci, c.K, c.K}, "w");
  Both scale({c.Ci}, "scale", -1, 1), shift({c.Ci}, "shift", -0.5, 1);
  Buffer<float> y({c.N, 1, c.M, c.T, c.Co}), mean({c.Co}), variance({c.Co});
  Buffer<double> y2({c.N, 1, c.M, c.T, c.Co}), mean2({c.Co}), variance2({c.Co});
  ConvBnForward<double> reference{.x = x.d.view(), .w = w.d.view(), .y = y2.view()};
  reference.mean = mean2.view();
  reference.variance = variance2.view();
  const OnDevice on_x(x.f.view(), c.offset), on_w(w.f.view(), c.offset), on_scale(scale.f.view(), 1),
      on_shift(shift.f.view());
  if (c.prologue) {
    reference.in_scale = scale.d.view();
    reference.in_shift = shift.d.view();
    reference.in_relu = c.K == 3;
  }
  conv_bn_forward<double>(reference, cpu);
  // Operands behind the prologue are up to 2.
  const double tolerance = 2 * error_of(precision) * (1 + std::sqrt(static_cast<double>(c.Ci * c.K * c.K)));
  Names names;
  for (const auto& variant : cuda::conv_bn_forward_variants()) {
    y.fill(NAN);
    const OnDevice on_y(y.view(), c.offset), on_mean(mean.view(), 1), on_variance(variance.view(), 3);
    ConvBnForward<float> args{.x = on_x.view(), .w = on_w.view(), .y = on_y.view()};
    args.mean = on_mean.view();
    args.variance = on_variance.view();
    if (c.prologue) {
      args.in_scale = on_scale.view();
      args.in_shift = on_shift.view();
      args.in_relu = c.K == 3;
    }
    if (!variant.takes(args, context)) continue;
    variant.run(args, context);
    on_y.download(y.view());
    on_mean.download(mean.view());
    on_variance.download(variance.view());
    check_close(concat(variant.name, " y"), y.view(), y2.view(), tolerance, 1e-6);
    statistics_of(y.view(), mean2.view(), variance2.view());
    check_close(concat(variant.name, " mean"), mean.view(), mean2.view(), 1e-6, 1e-6);
    check_close(concat(variant.name, " variance"), variance.view(), variance2.view(), 1e-6, 2e-6);
    names.emplace_back(variant.name);
  }
  return names;
}

}  // namespace

TEST_CASE("cuda conv_bn: outputs and statistics of every variant equal the reference", "[cuda][conv_bn]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    for (const Precision precision : kPrecisions) {
      check_forward({.N = 1, .Ci = 12, .M = 3, .T = 5, .Co = 10}, precision);
      check_forward({.N = 2, .Ci = 1, .M = 3, .T = 5, .Co = 4, .prologue = false}, precision);
    }
  });
  for (const Precision precision : kPrecisions) {
    const Names names = check_forward({.N = 2, .Ci = 20, .M = 5, .T = 17, .Co = 68}, precision);
    if (precision == Precision::kBf16) CHECK(ran(names, "halo_bf16"));
    if (precision == Precision::kTf32) CHECK(ran(names, "halo_tf32"));
    CHECK(names.size() == (precision == Precision::kFp32 ? 2 : 3));
    check_forward({.N = 1, .Ci = 16, .M = 17, .T = 3, .Co = 16, .prologue = false}, precision);
    check_forward({.N = 1, .Ci = 7, .M = 4, .T = 5, .Co = 5, .K = 1}, precision);
    CHECK(!ran(check_forward({.N = 1, .Ci = 1, .M = 4, .T = 5, .Co = 8}, precision), "one_channel"));  // a prologue
    check_forward({.N = 1, .Ci = 8, .M = 1, .T = 1, .Co = 8, .offset = 1}, precision);
    CHECK(
        ran(check_forward({.N = 1, .Ci = 1, .M = 33, .T = 35, .Co = 8, .prologue = false}, precision), "one_channel"));
  }
}

TEST_CASE("cuda conv_bn: padding is zero after the activation", "[cuda][conv_bn]") {
  const FreshRuntime fresh;
  // x = 0, act(x) = shift = 1, w = 1: an output counts the taps inside the map. All numbers are exact.
  constexpr std::int64_t C = 8, M = 4, T = 5;
  Buffer<float> x({1, 1, M, T, C}), scale({C}), shift({C}), w({C, C, 3, 3}), y({1, 1, M, T, C}), mean({C}),
      variance({C});
  const OnDevice on_x(x.fill(0).view()), on_scale(scale.fill(2).view()), on_shift(shift.fill(1).view());
  const OnDevice on_w(w.fill(1).view()), on_mean(mean.view()), on_variance(variance.view());
  for (const Precision precision : kPrecisions) {
    const CudaContext context(precision);
    for (const auto& variant : cuda::conv_bn_forward_variants()) {
      const OnDevice on_y(y.fill(NAN).view());
      ConvBnForward<float> args{.x = on_x.view(), .in_scale = on_scale.view(), .in_shift = on_shift.view()};
      args.in_relu = true;
      args.w = on_w.view();
      args.y = on_y.view();
      args.mean = on_mean.view();
      args.variance = on_variance.view();
      if (!variant.takes(args, context)) continue;
      INFO(variant.name);
      variant.run(args, context);
      on_y.download(y.view());
      const auto inside = [](std::int64_t at, std::int64_t size) { return 3 - (at == 0) - (at == size - 1); };
      bool equal = true;
      for (std::int64_t i = 0; i < y.size(); ++i) {
        equal = equal && y[i] == static_cast<float>(C * inside(i / C / T, M) * inside(i / C % T, T));
      }
      CHECK(equal);
    }
  }
}

TEST_CASE("cuda conv_bn: partial tiles are masked in the sums", "[cuda][conv_bn]") {
  const FreshRuntime fresh;
  // 17 x 18 leaves tiles of 1 x 16, 16 x 2 and 1 x 2 whose other positions have sums of their own, from the halo.
  for (const Precision precision : kPrecisions) {
    const CudaContext context(precision);
    Buffer<float> x({2, 1, 17, 18, 8}), w({8, 8, 3, 3}), y({2, 1, 17, 18, 8}), mean({8}), variance({8});
    Buffer<double> mean2({8}), variance2({8});
    const OnDevice on_x(x.fill_uniform("x", 5, 7).view()), on_w(w.fill_uniform("w", 0, 1).view());
    const OnDevice on_y(y.view()), on_mean(mean.view()), on_variance(variance.view());
    for (const auto& variant : cuda::conv_bn_forward_variants()) {
      ConvBnForward<float> args{.x = on_x.view(), .w = on_w.view(), .y = on_y.view()};
      args.mean = on_mean.view();
      args.variance = on_variance.view();
      if (!variant.takes(args, context)) continue;
      INFO(variant.name);
      variant.run(args, context);
      on_y.download(y.view());
      on_mean.download(mean.view());
      on_variance.download(variance.view());
      statistics_of(y.view(), mean2.view(), variance2.view());
      check_close("mean", mean.view(), mean2.view(), 0, 1e-6);
      check_close("variance", variance.view(), variance2.view(), 0, 5e-6);
    }
  }
}

TEST_CASE("cuda conv_bn: statistics keep the variance where the mean is large", "[cuda][conv_bn]") {
  const FreshRuntime fresh;
  // One tap of weight 1 hands x through: mean 1000, deviation about 0.6. Sums of squares about zero in float would
  // lose the variance.
  const CudaContext context(Precision::kFp32);
  Buffer<float> x({1, 1, 16, 18, 4}), w({4, 4, 1, 1}), y({1, 1, 16, 18, 4}), mean({4}), variance({4});
  Buffer<double> mean2({4}), variance2({4});
  w.fill(0);
  for (std::int64_t c = 0; c < 4; ++c) w[c * 4 + c] = 1;
  const OnDevice on_x(x.fill_uniform("x", 999, 1001).view()), on_w(w.view());
  const OnDevice on_y(y.view()), on_mean(mean.view()), on_variance(variance.view());
  ConvBnForward<float> args{.x = on_x.view(), .w = on_w.view(), .y = on_y.view()};
  args.mean = on_mean.view();
  args.variance = on_variance.view();
  conv_bn_forward<float>(args, context);
  on_y.download(y.view());
  on_mean.download(mean.view());
  on_variance.download(variance.view());
  statistics_of(y.view(), mean2.view(), variance2.view());
  check_close("mean", mean.view(), mean2.view(), 0, 1e-7);
  check_close("variance", variance.view(), variance2.view(), 0, 1e-6);
}

namespace {

Names check_backward(const Case& c, Precision precision) {
  INFO(text(c, precision));
  const CpuContext cpu;
  const CudaContext context(precision);
  Both x({c.N, 1, c.M, c.T, c.Ci}, "x"), w({c.Co, c.Ci, c.K, c.K}, "w"), dy({c.N, 1, c.M, c.T, c.Co}, "dy");
  Both mean({c.Ci}, "mean", -0.5, 0.5), variance({c.Ci}, "variance", 0.1, 1), gamma({c.Ci}, "gamma"),
      beta({c.Ci}, "beta");
  Buffer<float> dz({c.N, 1, c.M, c.T, c.Ci}), dgamma({c.Ci}), dbeta({c.Ci}), dx({c.N, 1, c.M, c.T, c.Ci});
  Buffer<double> dz2({c.N, 1, c.M, c.T, c.Ci}), dgamma2({c.Ci}), dbeta2({c.Ci}), dx2({c.N, 1, c.M, c.T, c.Ci});
  ConvBnBackward<double> reference{.dy = dy.d.view(), .w = w.d.view(), .x = x.d.view(), .mean = mean.d.view()};
  reference.variance = variance.d.view();
  reference.gamma = gamma.d.view();
  reference.beta = beta.d.view();
  reference.relu = c.prologue;
  reference.dz = dz2.view();
  reference.dgamma = dgamma2.view();
  reference.dbeta = dbeta2.view();
  conv_bn_backward<double>(reference, cpu);
  ConvBnInputGradient<double> input2{.x = x.d.view(), .mean = mean.d.view(), .variance = variance.d.view()};
  input2.gamma = gamma.d.view();
  input2.dz = dz2.view();
  input2.dgamma = dgamma2.view();
  input2.dbeta = dbeta2.view();
  input2.dx = dx2.view();
  conv_bn_input_gradient<double>(input2, cpu);

  const OnDevice on_x(x.f.view(), c.offset), on_w(w.f.view(), c.offset), on_dy(dy.f.view(), c.offset);
  const OnDevice on_mean(mean.f.view(), 1), on_variance(variance.f.view(), 1), on_gamma(gamma.f.view(), 1);
  const OnDevice on_beta(beta.f.view(), 1);
  const double tolerance = error_of(precision) * (1 + std::sqrt(static_cast<double>(c.Co * c.K * c.K)));
  Names names;
  for (const auto& variant : cuda::conv_bn_backward_variants()) {
    dz.fill(NAN);
    const OnDevice on_dz(dz.view(), c.offset), on_dgamma(dgamma.view()), on_dbeta(dbeta.view()), on_dx(dx.view());
    ConvBnBackward<float> args{.dy = on_dy.view(), .w = on_w.view(), .x = on_x.view(), .mean = on_mean.view()};
    args.variance = on_variance.view();
    args.gamma = on_gamma.view();
    args.beta = on_beta.view();
    args.relu = c.prologue;
    args.dz = on_dz.view();
    args.dgamma = on_dgamma.view();
    args.dbeta = on_dbeta.view();
    if (!variant.takes(args, context)) continue;
    variant.run(args, context);
    ConvBnInputGradient<float> input{.x = on_x.view(), .mean = on_mean.view(), .variance = on_variance.view()};
    input.gamma = on_gamma.view();
    input.dz = on_dz.view();
    input.dgamma = on_dgamma.view();
    input.dbeta = on_dbeta.view();
    input.dx = on_dx.view();
    conv_bn_input_gradient<float>(input, context);
    on_dz.download(dz.view());
    on_dgamma.download(dgamma.view());
    on_dbeta.download(dbeta.view());
    on_dx.download(dx.view());
    check_close(concat(variant.name, " dz"), dz.view(), dz2.view(), tolerance, 1e-6);
    // The errors of P gradients of that size, xh up to about 4.
    const double sums = tolerance * std::sqrt(static_cast<double>(c.N * c.M * c.T));
    check_close(concat(variant.name, " dbeta"), dbeta.view(), dbeta2.view(), sums, 1e-6);
    check_close(concat(variant.name, " dgamma"), dgamma.view(), dgamma2.view(), 4 * sums, 1e-6);
    // gamma * rstd is up to 3.2.
    check_close(concat(variant.name, " dx"), dx.view(), dx2.view(), 8 * tolerance, 1e-6);
    names.emplace_back(variant.name);
  }
  return names;
}

}  // namespace

TEST_CASE("cuda conv_bn: backward through activation and normalisation equals the reference", "[cuda][conv_bn]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    for (const Precision precision : kPrecisions)
      check_backward({.N = 1, .Ci = 10, .M = 3, .T = 5, .Co = 12}, precision);
  });
  for (const Precision precision : kPrecisions) {
    const Names names = check_backward({.N = 2, .Ci = 68, .M = 5, .T = 17, .Co = 20}, precision);
    if (precision == Precision::kBf16) CHECK(ran(names, "halo_bf16"));
    if (precision == Precision::kTf32) CHECK(ran(names, "halo_tf32"));
    check_backward({.N = 1, .Ci = 16, .M = 17, .T = 3, .Co = 16, .prologue = false}, precision);
    check_backward({.N = 1, .Ci = 7, .M = 4, .T = 5, .Co = 5, .K = 1, .offset = 1}, precision);
  }
}

TEST_CASE("cuda conv_bn: weight gradients of an input that is normalised on the way equal the reference",
          "[cuda][conv_bn]") {
  const FreshRuntime fresh;
  const CpuContext cpu;
  Both x({2, 1, 5, 17, 6}, "x"), dy({2, 1, 5, 17, 9}, "dy"), dw({9, 6, 3, 3}, "dw");
  Both scale({6}, "scale"), shift({6}, "shift", -0.5, 1);
  ConvBnWeightGradient<double> reference{.x = x.d.view(), .in_scale = scale.d.view(), .in_shift = shift.d.view()};
  reference.dy = dy.d.view();
  reference.dw = dw.d.view();
  reference.dw_mode = GradMode::kAdd;
  conv_bn_weight_gradient<double>(reference, cpu);
  const OnDevice on_x(x.f.view()), on_dy(dy.f.view()), on_scale(scale.f.view()), on_shift(shift.f.view());
  for (const Precision precision : kPrecisions) {
    INFO(static_cast<int>(precision));
    Buffer<float> result({9, 6, 3, 3});
    const OnDevice on_dw(dw.f.view());
    ConvBnWeightGradient<float> args{.x = on_x.view(), .in_scale = on_scale.view(), .in_shift = on_shift.view()};
    args.dy = on_dy.view();
    args.dw = on_dw.view();
    args.dw_mode = GradMode::kAdd;
    conv_bn_weight_gradient<float>(args, CudaContext(precision));
    on_dw.download(result.view());
    // 170 positions, operands up to 2.
    check_close("dw", result.view(), dw.d.view(), 2 * error_of(precision) * std::sqrt(170.0), 1e-6);
    args.in_shift = on_dy.view();
    CHECK_THROWS_WITH(conv_bn_weight_gradient<float>(args, CudaContext(precision)),
                      "conv_bn_weight_gradient: in_shift has shape [2,1,5,17,9], expected [6]");
  }
  Buffer<float> on_cpu({9, 6, 3, 3});
  conv_bn_weight_gradient<float>({.x = x.f.view(),
                                  .in_scale = scale.f.view(),
                                  .in_shift = shift.f.view(),
                                  .dy = dy.f.view(),
                                  .dw = dw.f.view(),
                                  .dw_mode = GradMode::kAdd},
                                 cpu);
  check_close("dw on the CPU", dw.f.view(), dw.d.view(), 2e-5, 1e-6);
}

TEST_CASE("cuda conv_bn: inference with folded weights equals the reference", "[cuda][conv_bn]") {
  const FreshRuntime fresh;
  const CpuContext cpu;
  for_each_schedule([&] {
    for (const Precision precision : kPrecisions) {
      for (const std::int64_t Ci : {std::int64_t{1}, std::int64_t{12}}) {
        const CudaContext context(precision);
        Both x({1, 1, 3, 5, Ci}, "x"), w({8, Ci, 3, 3}, "w"), mean({8}, "mean"), variance({8}, "variance", 0.25, 1);
        Both gamma({8}, "gamma"), beta({8}, "beta");
        Buffer<float> y({1, 1, 3, 5, 8}), folded({8, Ci, 3, 3}), bias({8});
        Buffer<double> y2({1, 1, 3, 5, 8}), folded2({8, Ci, 3, 3}), bias2({8});
        const OnDevice on_x(x.f.view()), on_w(w.f.view()), on_mean(mean.f.view()), on_variance(variance.f.view());
        const OnDevice on_gamma(gamma.f.view()), on_beta(beta.f.view()), on_folded(folded.view()), on_bias(bias.view());
        ConvBnFold<float> fold{.w = on_w.view(), .mean = on_mean.view(), .variance = on_variance.view()};
        fold.gamma = on_gamma.view();
        fold.beta = on_beta.view();
        fold.folded = on_folded.view();
        fold.bias = on_bias.view();
        ConvBnFold<double> fold2{.w = w.d.view(), .mean = mean.d.view(), .variance = variance.d.view()};
        fold2.gamma = gamma.d.view();
        fold2.beta = beta.d.view();
        fold2.folded = folded2.view();
        fold2.bias = bias2.view();
        conv_bn_fold<float>(fold, context);
        conv_bn_fold<double>(fold2, cpu);
        for (const bool relu : {false, true}) {
          conv_bn_inference<double>(
              {.x = x.d.view(), .w = folded2.view(), .bias = bias2.view(), .relu = relu, .y = y2.view()}, cpu);
          for (const auto& variant : cuda::conv_bn_inference_variants()) {
            const OnDevice on_y(y.fill(NAN).view());
            const ConvBnInference<float> args{
                .x = on_x.view(), .w = on_folded.view(), .bias = on_bias.view(), .relu = relu, .y = on_y.view()};
            if (!variant.takes(args, context)) continue;
            variant.run(args, context);
            on_y.download(y.view());
            // Folded weights are up to 2.
            const double tolerance = 2 * error_of(precision) * (1 + std::sqrt(static_cast<double>(9 * Ci)));
            check_close(concat(variant.name, " y"), y.view(), y2.view(), tolerance, 1e-6);
          }
        }
      }
    }
  });
}

TEST_CASE("cuda conv_bn: the product runs the first variant, two runs give the same bits, wrong maps are refused",
          "[cuda][conv_bn]") {
  const FreshRuntime fresh;
  const CudaContext context(Precision::kBf16);
  Buffer<float> x({1, 1, 17, 5, 16}), w({16, 16, 3, 3});
  const OnDevice on_x(x.fill_uniform("x").view()), on_w(w.fill_uniform("w").view());
  struct Outputs {
    Buffer<float> y{1, 1, 17, 5, 16}, mean{16}, variance{16};
  };
  const auto run = [&](Outputs& out, const auto& forward) {
    const OnDevice on_y(out.y.view()), on_mean(out.mean.view()), on_variance(out.variance.view());
    ConvBnForward<float> args{.x = on_x.view(), .w = on_w.view(), .y = on_y.view()};
    args.mean = on_mean.view();
    args.variance = on_variance.view();
    forward(args);
    on_y.download(out.y.view());
    on_mean.download(out.mean.view());
    on_variance.download(out.variance.view());
  };
  Outputs product, variant;
  run(product, [&](const auto& args) { conv_bn_forward<float>(args, context); });
  run(variant, [&](const auto& args) {
    for (const auto& v : cuda::conv_bn_forward_variants()) {
      if (v.name == std::string("halo_bf16")) v.run(args, context);
    }
  });
  const auto same = [](Buffer<float>& a, Buffer<float>& b) {
    return std::equal(a.view().data, a.view().data + a.size(), b.view().data);
  };
  CHECK(same(product.y, variant.y));
  CHECK(same(product.mean, variant.mean));
  CHECK(same(product.variance, variant.variance));
  ConvBnForward<float> grouped{.x = {on_x.view().data, {1, 2, 4, 5, 16}}, .w = {on_w.view().data, {8, 32, 3, 3}}};
  grouped.y = {on_x.view().data, {1, 1, 4, 5, 8}};
  grouped.mean = grouped.variance = {on_x.view().data, {8}};
  CHECK_THROWS_WITH(conv_bn_forward<float>(grouped, context),
                    "conv_bn_forward: x has shape [1,2,4,5,16], on CUDA maps are channels-last [N,1,M,T,C]");
}

}  // namespace dcase::test
