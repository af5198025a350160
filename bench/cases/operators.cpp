// The other operators at the shapes of v3.

#include <cmath>
#include <numbers>

#include "bench/case.hpp"
#include "bench/inputs.hpp"
#include "kernels/adam/adam.hpp"
#include "kernels/batchnorm/batchnorm.hpp"
#include "kernels/gemm/gemm.hpp"
#include "kernels/gru/gru.hpp"
#include "kernels/gru/gru_ref.hpp"
#include "train/data/resample.hpp"

namespace dcase::bench {
namespace {

constexpr std::int64_t kParameters = 13882920;  // of v3 at full width

// ---- batch norm: with the ReLU and the pool that follow it in a convolution block

struct NormShape {
  std::int64_t N, C, M, T;
  int pool_m, pool_t;
};

// The operator's arguments in float and in double, from the same numbers.
struct NormArrays {
  std::vector<double> x, mean, variance, gamma, beta, dy, y, dx;
  Tensor fx, fmean, fvariance, fgamma, fbeta, fdy, fy, fdx, dgamma, dbeta;
};

constexpr std::int64_t kGroup = 16;  // channels of a grouped map, as the Winograd layers have them

std::shared_ptr<NormArrays> norm_arrays(const NormShape& s, const BackendPtr& backend) {
  auto a = std::make_shared<NormArrays>();
  const Shape map{s.N, s.C / kGroup, s.M, s.T, kGroup};
  const Shape pooled{s.N, 1, s.M / s.pool_m, s.T / s.pool_t, s.C};
  a->fx = random_tensor("x", map, backend);
  a->fmean = random_tensor("mean", {s.C}, backend, 0.1F);
  a->fvariance = Tensor::filled({s.C}, 1.1F, backend);
  a->fgamma = random_tensor("gamma", {s.C}, backend);
  a->fbeta = random_tensor("beta", {s.C}, backend, 0.2F);
  a->fdy = random_tensor("dy", pooled, backend);
  a->fy = Tensor(pooled, backend);
  a->fdx = Tensor(map, backend);
  a->dgamma = Tensor({s.C}, backend);
  a->dbeta = Tensor({s.C}, backend);
  a->x = in_double(a->fx);
  a->mean = in_double(a->fmean);
  a->variance = in_double(a->fvariance);
  a->gamma = in_double(a->fgamma);
  a->beta = in_double(a->fbeta);
  a->dy = in_double(a->fdy);
  a->y.resize(a->dy.size());
  a->dx.resize(a->x.size());
  return a;
}

View<double> shaped(std::vector<double>& values, const Tensor& like) {
  View<double> v(values.data(), {});
  v.rank = like.rank();
  for (int i = 0; i < v.rank; ++i) v.shape[i] = like.dim(i);
  return v;
}

Work norm_statistics(const NormShape& s) {
  const BackendPtr backend = Backend::cpu();
  const auto a = norm_arrays(s, backend);
  const BatchnormStatistics<float> args{.x = a->fx, .mean = a->fmean, .variance = a->fvariance};
  const auto run = [a, args, backend] { batchnorm_statistics(args, backend->context()); };
  run();
  batchnorm_statistics<double>(
      {.x = shaped(a->x, a->fx), .mean = shaped(a->mean, a->fmean), .variance = shaped(a->variance, a->fmean)},
      backend->context());
  require_match("variance", relative_error(a->fvariance, shaped(a->variance, a->fmean)), 1e-5);
  a->x = {};
  a->dx = {};
  return {.run = run, .cost = cost(args)};
}

Work norm_forward(const NormShape& s) {
  const BackendPtr backend = Backend::cpu();
  const auto a = norm_arrays(s, backend);
  const BatchnormForward<float> args{.x = a->fx,
                                     .mean = a->fmean,
                                     .variance = a->fvariance,
                                     .gamma = a->fgamma,
                                     .beta = a->fbeta,
                                     .relu = true,
                                     .pool_m = s.pool_m,
                                     .pool_t = s.pool_t,
                                     .y = a->fy};
  const auto run = [a, args, backend] { batchnorm_forward(args, backend->context()); };
  run();
  batchnorm_forward<double>({.x = shaped(a->x, a->fx),
                             .mean = shaped(a->mean, a->fmean),
                             .variance = shaped(a->variance, a->fmean),
                             .gamma = shaped(a->gamma, a->fmean),
                             .beta = shaped(a->beta, a->fmean),
                             .relu = true,
                             .pool_m = s.pool_m,
                             .pool_t = s.pool_t,
                             .y = shaped(a->y, a->fy)},
                            backend->context());
  require_match("y", relative_error(a->fy, shaped(a->y, a->fy)), 1e-6);
  a->x = {};
  a->dx = {};
  return {.run = run, .cost = cost(args)};
}

Work norm_backward(const NormShape& s) {
  const BackendPtr backend = Backend::cpu();
  const auto a = norm_arrays(s, backend);
  const BatchnormBackward<float> args{.x = a->fx,
                                      .mean = a->fmean,
                                      .variance = a->fvariance,
                                      .gamma = a->fgamma,
                                      .beta = a->fbeta,
                                      .relu = true,
                                      .pool_m = s.pool_m,
                                      .pool_t = s.pool_t,
                                      .dy = a->fdy,
                                      .dx = a->fdx,
                                      .dgamma = a->dgamma,
                                      .dbeta = a->dbeta};
  const auto run = [a, args, backend] { batchnorm_backward(args, backend->context()); };
  run();
  batchnorm_backward<double>({.x = shaped(a->x, a->fx),
                              .mean = shaped(a->mean, a->fmean),
                              .variance = shaped(a->variance, a->fmean),
                              .gamma = shaped(a->gamma, a->fmean),
                              .beta = shaped(a->beta, a->fmean),
                              .relu = true,
                              .pool_m = s.pool_m,
                              .pool_t = s.pool_t,
                              .dy = shaped(a->dy, a->fdy),
                              .dx = shaped(a->dx, a->fdx)},
                             backend->context());
  // A sum within rounding of 0 may pass the ReLU in one precision alone: a few elements of millions.
  require_match("dx", relative_error(a->fdx, shaped(a->dx, a->fdx)), 1e-3);
  a->x = {};
  a->dx = {};
  return {.run = run, .cost = cost(args)};
}

// ---- GRU

struct GruArrays {
  Tensor x, y, dy, dx, gates;
  Tensor w[2][4], dw[2][4];  // w_ih, w_hh, b_ih, b_hh
  std::vector<double> rx, ry, rdy, rdx, rgates;
  std::vector<double> rw[2][4], rdw[2][4];
};

// The arguments of forward and backward over float tensors or over double vectors.
template <class Real, class Get>
GruForward<Real> gru_forward_args(const Get& get, bool saved) {
  GruForward<Real> f{.x = get.x(), .y = get.y()};
  for (int d = 0; d < 2; ++d) {
    f.w_ih[d] = get.w(d, 0);
    f.w_hh[d] = get.w(d, 1);
    f.b_ih[d] = get.w(d, 2);
    f.b_hh[d] = get.w(d, 3);
  }
  if (saved) f.saved.gates = get.gates();
  return f;
}

template <class Real, class Get>
GruBackward<Real> gru_backward_args(const Get& get) {
  GruBackward<Real> b{.x = get.x(), .y = get.y(), .saved = {.gates = get.gates()}, .dy = get.dy(), .dx = get.dx()};
  for (int d = 0; d < 2; ++d) {
    b.w_ih[d] = get.w(d, 0);
    b.w_hh[d] = get.w(d, 1);
    b.dw_ih[d] = get.dw(d, 0);
    b.dw_hh[d] = get.dw(d, 1);
    b.db_ih[d] = get.dw(d, 2);
    b.db_hh[d] = get.dw(d, 3);
  }
  return b;
}

struct FloatArguments {
  GruArrays& a;
  [[nodiscard]] View<float> x() const { return a.x; }
  [[nodiscard]] View<float> y() const { return a.y; }
  [[nodiscard]] View<float> dy() const { return a.dy; }
  [[nodiscard]] View<float> dx() const { return a.dx; }
  [[nodiscard]] View<float> gates() const { return a.gates; }
  [[nodiscard]] View<float> w(int d, int i) const { return a.w[d][i]; }
  [[nodiscard]] View<float> dw(int d, int i) const { return a.dw[d][i]; }
};

struct DoubleArguments {
  GruArrays& a;
  [[nodiscard]] View<double> x() const { return shaped(a.rx, a.x); }
  [[nodiscard]] View<double> y() const { return shaped(a.ry, a.y); }
  [[nodiscard]] View<double> dy() const { return shaped(a.rdy, a.dy); }
  [[nodiscard]] View<double> dx() const { return shaped(a.rdx, a.dx); }
  [[nodiscard]] View<double> gates() const { return shaped(a.rgates, a.gates); }
  [[nodiscard]] View<double> w(int d, int i) const { return shaped(a.rw[d][i], a.w[d][i]); }
  [[nodiscard]] View<double> dw(int d, int i) const { return shaped(a.rdw[d][i], a.dw[d][i]); }
};

Work gru(std::int64_t N, std::int64_t T, bool saved, bool backward) {
  constexpr std::int64_t F = 512;
  constexpr std::int64_t H = 128;
  const BackendPtr backend = Backend::cpu();
  const auto a = std::make_shared<GruArrays>();
  a->x = random_tensor("x", {N, T, F}, backend);
  a->dy = random_tensor("dy", {N, T, 2 * H}, backend);
  a->y = Tensor({N, T, 2 * H}, backend);
  a->dx = a->x.like();
  a->gates = Tensor({2, N, T, 4 * H}, backend);
  const Shape shapes[4] = {{3 * H, F}, {3 * H, H}, {3 * H}, {3 * H}};
  for (int d = 0; d < 2; ++d) {
    for (int i = 0; i < 4; ++i) {
      a->w[d][i] = random_tensor(concat("w", d, i), shapes[i], backend, 0.05F);
      a->dw[d][i] = a->w[d][i].like();
      a->rw[d][i] = in_double(a->w[d][i]);
      a->rdw[d][i].resize(a->rw[d][i].size());
    }
  }
  a->rx = in_double(a->x);
  a->rdy = in_double(a->dy);
  a->ry.resize(a->rdy.size());
  a->rdx.resize(a->rx.size());
  a->rgates.resize(static_cast<std::size_t>(a->gates.size()));

  const DoubleArguments reference{*a};
  ref::gru_forward(gru_forward_args<double>(reference, true));
  const GruForward<float> forward = gru_forward_args<float>(FloatArguments{*a}, saved || backward);
  gru_forward(forward, backend->context());
  require_match("y", relative_error(a->y, reference.y()), 2e-6);
  if (!backward) {
    return {.run = [a, forward, backend] { gru_forward(forward, backend->context()); }, .cost = cost(forward)};
  }
  ref::gru_backward(gru_backward_args<double>(reference));
  const GruBackward<float> args = gru_backward_args<float>(FloatArguments{*a});
  const auto run = [a, args, backend] { gru_backward(args, backend->context()); };
  run();
  require_match("dx", relative_error(a->dx, reference.dx()), 5e-6);
  require_match("dw_hh", relative_error(a->dw[1][1], reference.dw(1, 1)), 5e-6);
  return {.run = run, .cost = cost(args)};
}

// ---- matrix product, optimiser, resampling

Work product(std::int64_t m, std::int64_t n, std::int64_t k) {
  const BackendPtr backend = Backend::cpu();
  const Tensor a = random_tensor("a", {m, k}, backend);
  const Tensor b = random_tensor("b", {n, k}, backend);
  const Tensor c({m, n}, backend);
  const Gemm<float> args{.a = a, .b = b, .c = c, .trans_b = true};
  const auto run = [a, b, c, args] { gemm(args, c.context()); };
  run();
  require_samples("c", c.view(), 256, 2e-6, [&](std::int64_t at) {
    double sum = 0;
    for (std::int64_t i = 0; i < k; ++i) {
      sum += static_cast<double>(a.data()[at / n * k + i]) * static_cast<double>(b.data()[at % n * k + i]);
    }
    return sum;
  });
  return {.run = run, .cost = cost(args)};
}

Work adam() {
  const BackendPtr backend = Backend::cpu();
  const Tensor g = random_tensor("g", {kParameters}, backend, 0.01F);
  const Tensor p = random_tensor("p", {kParameters}, backend, 0.05F);
  const Tensor m = Tensor::filled({kParameters}, 0, backend);
  const Tensor v = Tensor::filled({kParameters}, 0, backend);
  const AdamStep<float> args{.g = g, .p = p, .m = m, .v = v};
  const Tensor before = p.clone();
  adam_step(args, backend->context());
  require_samples("p", p.view(), 4096, 1e-6, [&](std::int64_t at) {
    const double gradient = static_cast<double>(g.data()[at]);
    return static_cast<double>(before.data()[at]) - args.lr * gradient / (std::abs(gradient) + args.eps);
  });
  return {.run = [g, p, m, v, args, backend] { adam_step(args, backend->context()); }, .cost = cost(args)};
}

// y[at] by the formula of resample.hpp.
double resampled(const Tensor& x, int in_rate, int out_rate, std::int64_t at) {
  constexpr double kPi = std::numbers::pi;
  const double fc = 0.99 * 0.5 * std::min(in_rate, out_rate);
  const double width = 6 / (2 * fc);
  const double centre = static_cast<double>(at) / out_rate;
  double sum = 0;
  const auto first = static_cast<std::int64_t>(std::ceil((centre - width) * in_rate));
  for (std::int64_t n = std::max<std::int64_t>(first, 0); n < x.size(); ++n) {
    const double t = static_cast<double>(n) / in_rate - centre;
    if (t >= width) break;
    if (t <= -width) continue;
    const double sinc = t == 0 ? 2 * fc : std::sin(2 * kPi * fc * t) / (kPi * t);
    sum += 0.5 * (1 + std::cos(2 * kPi * fc / 6 * t)) * sinc / in_rate * static_cast<double>(x.data()[n]);
  }
  return sum;
}

Work resampling(int in_rate) {
  constexpr int kOut = 24000;
  constexpr int kSeconds = 10;
  const BackendPtr backend = Backend::cpu();
  const Tensor x = random_tensor("x", {std::int64_t{kSeconds} * in_rate}, backend, 0.1F);
  const std::span<const float> input(x.data(), static_cast<std::size_t>(x.size()));
  const auto run = [x, input, in_rate] { return resample(input, in_rate, kOut); };
  const std::vector<float> y = run();
  const auto samples = static_cast<std::int64_t>(y.size());
  require_samples("y", View<const float>(y.data(), {samples}), 512, 2e-6,
                  [&](std::int64_t at) { return resampled(x, in_rate, kOut, at); });
  const int taps = ResampleFilter(in_rate, kOut).taps();
  return {.run = [run] { (void)run(); },
          .cost = {.flops = 2.0 * taps * static_cast<double>(samples),
                   .bytes = sizeof(float) * static_cast<double>(x.size() + samples)},
          .audio_seconds = kSeconds};
}

}  // namespace

void add_operators(std::vector<Case>& cases) {
  const auto add = [&](const std::string& name, const std::string& shape, std::function<Work()> prepare) -> Case& {
    cases.push_back({.name = name, .shape = shape, .prepare = std::move(prepare)});
    return cases.back();
  };
  struct Norm {
    const char* name;
    NormShape s;
  };
  constexpr Norm kNorms[] = {{"bn1_1", {4, 64, 128, 251, 1, 1}},
                             {"bn1_2", {4, 64, 128, 251, 2, 2}},
                             {"bn2_2", {4, 128, 64, 125, 2, 2}},
                             {"bn3_2", {4, 256, 32, 62, 2, 2}},
                             {"bn4_2", {4, 256, 16, 31, 2, 5}}};
  for (const auto& [name, s] : kNorms) {
    const std::string shape = concat("[", s.N, ",", s.M, ",", s.T, ",", s.C, "], ReLU, pool ", s.pool_m, "x", s.pool_t);
    const NormShape n = s;
    add(concat("batchnorm_statistics/", name), shape, [n] { return norm_statistics(n); });
    add(concat("batchnorm_forward/", name), shape, [n] { return norm_forward(n); });
    add(concat("batchnorm_backward/", name), shape, [n] { return norm_backward(n); });
  }
  struct Sequences {
    std::int64_t N, T;
  };
  for (const Sequences s : {Sequences{1, 12}, Sequences{4, 6}, Sequences{24, 37}}) {
    const std::string shape = concat("[", s.N, ",", s.T, ",512], H 128, both directions");
    const std::string suffix = concat(s.N, "x", s.T);
    add("gru_forward/" + suffix, shape, [s] { return gru(s.N, s.T, false, false); });
    add("gru_backward/" + suffix, shape, [s] { return gru(s.N, s.T, true, true); });
  }
  add("gemm/1024", "1024x1024x1024", [] { return product(1024, 1024, 1024); });
  add("gemm/tag_0", "4x1024x512", [] { return product(4, 1024, 512); });
  add("gemm/tag_3", "4x1024x1024", [] { return product(4, 1024, 1024); });
  add("gemm/gru_input", "888x384x512", [] { return product(888, 384, 512); });
  add("adam/v3", concat(kParameters, " parameters"), adam);
  for (const int rate : {44100, 48000}) {
    add(concat("resample/", rate), concat("10 s, ", rate, " -> 24000 Hz"), [rate] {
      return resampling(rate);
    }).threads = 1;
  }
}

}  // namespace dcase::bench
