// Losses on the emulated device against the double reference.

#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/bce/bce.hpp"
#include "kernels/softmax_xent/softmax_xent.hpp"
#include "tests/cuda/cuda_context.hpp"
#include "tests/support/threads.hpp"

namespace dcase::test {

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// x [n,t,k], target [n,t2,k], uneven weights with zeros between; and the gradient. A loss of rows takes t = t2 = 1.
template <class Real>
struct Data {
  Data(std::int64_t n, std::int64_t t, std::int64_t t2, std::int64_t k, double low, double high)
      : x{n, t, k}, target{n, t2, k}, weight{n}, loss{1}, dx{n, t, k} {
    x.fill_uniform("x", low, high);
    target.fill_uniform("target", 0, 1);
    for (std::int64_t i = 0; i < n; ++i) weight[i] = static_cast<Real>(0.25 * static_cast<double>(i % 4));
    dx.fill_uniform("before");
  }
  Buffer<Real> x, target, weight;
  Buffer<double> loss;
  Buffer<Real> dx;
};

template <class T>
View<T> rows(View<T> view) {
  return {view.data, {view.dim(0), view.dim(2)}};
}

/// The losses by one interface. `weight` and `dx` may be absent.
template <class Real>
struct Call {
  View<const Real> x, target, weight;
  View<double> loss;
  View<Real> dx;
  GradMode mode;
};
struct OfProbabilities {
  static constexpr const char* kName = "bce";
  template <class Real>
  static void run(const Call<Real>& c, const Context& context) {
    bce<Real>({.x = c.x,
               .target = c.target,
               .weight = c.weight,
               .loss = c.loss,
               .dx = c.dx,
               .grad_scale = 0.7,
               .dx_mode = c.mode},
              context);
  }
};
struct OfLogits {
  static constexpr const char* kName = "bce_logits";
  template <class Real>
  static void run(const Call<Real>& c, const Context& context) {
    BceLogits<Real> a{.x = rows(c.x), .target = rows(c.target), .weight = c.weight, .loss = c.loss, .grad_scale = 0.7};
    if (c.dx.present()) a.dx = rows(c.dx);
    a.dx_mode = c.mode;
    bce_logits(a, context);
  }
};
struct OfSoftmax {
  static constexpr const char* kName = "softmax_xent";
  template <class Real>
  static void run(const Call<Real>& c, const Context& context) {
    SoftmaxXent<Real> a{
        .logits = rows(c.x), .target = rows(c.target), .weight = c.weight, .loss = c.loss, .grad_scale = 0.7};
    if (c.dx.present()) a.dlogits = rows(c.dx);
    a.dlogits_mode = c.mode;
    softmax_xent(a, context);
  }
};

/// Runs the loss on the device; returns it, and leaves the gradient in d.dx.
template <class Loss>
double on_device(Data<float>& d, bool weighted, bool gradient = true, GradMode mode = GradMode::kSet) {
  const CudaContext context;
  const OnDevice x(d.x.view());
  const OnDevice target(d.target.view());
  const OnDevice weight(d.weight.view());
  const OnDevice dx(d.dx.view());
  const DeviceBuffer<double> loss(1);
  Call<float> call{.x = x.view(), .target = target.view(), .loss = {loss.data(), {1}}, .mode = mode};
  if (weighted) call.weight = weight.view();
  if (gradient) call.dx = dx.view();
  Loss::template run<float>(call, context);
  dx.download(d.dx.view());
  return loss.download()[0];
}

template <class Loss>
void check_loss(std::int64_t n, std::int64_t t, std::int64_t t2, std::int64_t k, double low, double high,
                bool weighted) {
  CAPTURE(Loss::kName, n, t, t2, k, weighted);
  for (const GradMode mode : {GradMode::kSet, GradMode::kAdd}) {
    Data<float> f(n, t, t2, k, low, high);
    Data<double> d(n, t, t2, k, low, high);
    const double loss = on_device<Loss>(f, weighted, true, mode);
    const CpuContext cpu;
    Call<double> call{
        .x = d.x.view(), .target = d.target.view(), .loss = d.loss.view(), .dx = d.dx.view(), .mode = mode};
    if (weighted) call.weight = d.weight.view();
    Loss::template run<double>(call, cpu);
    // Worst seen, relative: 3e-8 of the loss; 1.5e-7 of an element, and 4e-9 where softmax and target cancel;
    // accumulated, the rounding of the sum.
    CHECK(std::abs(loss - d.loss[0]) <= 1e-7 * d.loss[0]);
    const double atol = mode == GradMode::kAdd ? 1e-7 : 1e-8;
    const double rtol = mode == GradMode::kAdd ? 1e-7 : 4e-7;
    check_close("gradient", f.dx.view(), d.dx.view(), atol, rtol);
    // Without the gradient the loss is the same.
    CHECK(on_device<Loss>(f, weighted, false) == loss);
  }
}

}  // namespace

TEST_CASE("cuda losses: loss and gradient equal the double reference", "[cuda][bce][softmax_xent]") {
  const FreshRuntime fresh;
  const auto all = [](bool weighted) {
    check_loss<OfProbabilities>(5, 7, 9, 3, 0.02, 0.98, weighted);
    check_loss<OfProbabilities>(5, 9, 7, 3, 0.02, 0.98, weighted);
    check_loss<OfProbabilities>(2, 1, 1, 1, 0.02, 0.98, weighted);
    check_loss<OfLogits>(5, 1, 1, 7, -4, 4, weighted);
    check_loss<OfLogits>(2, 1, 1, 1, -4, 4, weighted);
    check_loss<OfSoftmax>(5, 1, 1, 7, -5, 5, weighted);
    check_loss<OfSoftmax>(2, 1, 1, 1, -5, 5, weighted);
    check_loss<OfSoftmax>(1, 1, 1, 33, -5, 5, false);
  };
  for_each_schedule([&] { all(true); });
  all(false);
  // More than a chunk of an item, more items than warps and than the finishing block has threads.
  check_loss<OfProbabilities>(6, 157, 150, 14, 0.02, 0.98, true);
  check_loss<OfLogits>(300, 1, 1, 80, -4, 4, true);
  check_loss<OfSoftmax>(40, 1, 1, 70, -5, 5, true);
}

TEST_CASE("cuda losses: the same bits in every schedule", "[cuda][bce][softmax_xent]") {
  const FreshRuntime fresh;
  const auto same = [](auto run, std::int64_t n, std::int64_t t, std::int64_t k) {
    Data<float> first(n, t, t, k, 0.02, 0.98);
    const double loss = run(first);
    for_each_schedule([&] {
      Data<float> d(n, t, t, k, 0.02, 0.98);
      CHECK(run(d) == loss);
      check_same_bits("gradient", d.dx.view(), first.dx.view());
    });
  };
  same([](Data<float>& d) { return on_device<OfProbabilities>(d, true); }, 6, 157, 14);
  same([](Data<float>& d) { return on_device<OfLogits>(d, true); }, 40, 1, 70);
  same([](Data<float>& d) { return on_device<OfSoftmax>(d, true); }, 40, 1, 70);
}

TEST_CASE("cuda losses: saturated probabilities and logits", "[cuda][bce][softmax_xent]") {
  const FreshRuntime fresh;
  Data<float> d(1, 1, 1, 4, 0, 1);
  const auto set = [](Buffer<float>& b, std::array<float, 4> values) {
    for (std::int64_t i = 0; i < 4; ++i) b[i] = values[static_cast<std::size_t>(i)];
  };
  set(d.x, {0, 1, 0, 1});
  set(d.target, {1, 0, 0, 1});
  CHECK(on_device<OfProbabilities>(d, false) == 50);  // log clamped at -100, twice, over four
  CHECK(d.dx[0] == Approx(-0.175e12F));
  CHECK(d.dx[1] == Approx(0.175e12F));
  CHECK((d.dx[2] == 0 && d.dx[3] == 0));
  set(d.x, {500, -500, 500, -500});
  set(d.target, {0, 1, 1, 0});
  CHECK(on_device<OfLogits>(d, false) == 250);
  set(d.x, {1e30F, -1e30F, 0, 0});
  set(d.target, {1, 0, 0, 0});
  CHECK(on_device<OfSoftmax>(d, false) == 0);
  set(d.target, {0, 0, 1, 0});
  CHECK(on_device<OfSoftmax>(d, false) == Approx(1e30));
  for (const std::int64_t k : {0, 2}) {
    d.x.fill(0.5F);
    d.x[k] = kNan;
    CHECK(std::isnan(on_device<OfProbabilities>(d, false)));
    CHECK(std::isnan(on_device<OfLogits>(d, false)));
    CHECK(std::isnan(on_device<OfSoftmax>(d, false)));
  }
}

TEST_CASE("cuda losses: masked items count for nothing, wrong weights make everything NaN",
          "[cuda][bce][softmax_xent]") {
  const FreshRuntime fresh;
  const auto masked = [](auto run) {
    Data<float> d(3, 1, 1, 4, 0.02, 0.98);
    d.weight[0] = d.weight[2] = 0;
    d.weight[1] = 1;
    const double loss = run(d, GradMode::kSet);
    CHECK(loss > 0);
    d.x[0] = d.target[8] = kNan;
    CHECK(run(d, GradMode::kSet) == loss);
    CHECK((d.dx[0] == 0 && d.dx[8] == 0 && d.dx[4] != 0));
    d.dx.fill(5);
    CHECK(run(d, GradMode::kAdd) == loss);
    CHECK((d.dx[0] == 5 && d.dx[8] == 5 && d.dx[4] != 5));
    d.weight.fill(0);
    CHECK(run(d, GradMode::kSet) == 0);
    for (std::int64_t i = 0; i < d.dx.size(); ++i) CHECK(d.dx[i] == 0);
    for (const float bad : {-1.0F, kNan}) {
      Data<float> wrong(3, 1, 1, 4, 0.02, 0.98);
      wrong.weight.fill(1);
      wrong.weight[1] = bad;
      CHECK(std::isnan(run(wrong, GradMode::kSet)));
      for (std::int64_t i = 0; i < d.dx.size(); ++i) CHECK(std::isnan(wrong.dx[i]));
    }
    Data<float> none(0, 1, 1, 4, 0, 1);
    CHECK(run(none, GradMode::kSet) == 0);
  };
  masked([](Data<float>& d, GradMode mode) { return on_device<OfProbabilities>(d, true, true, mode); });
  masked([](Data<float>& d, GradMode mode) { return on_device<OfLogits>(d, true, true, mode); });
  masked([](Data<float>& d, GradMode mode) { return on_device<OfSoftmax>(d, true, true, mode); });
  Data<float> no_frames(2, 3, 0, 2, 0, 1);
  CHECK(on_device<OfProbabilities>(no_frames, false) == 0);
  CHECK((no_frames.dx[0] == 0 && no_frames.dx[11] == 0));
}

TEST_CASE("cuda softmax: equals the double reference, in place too", "[cuda][softmax_xent]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    for (const auto& [n, k] : {std::pair<std::int64_t, std::int64_t>{5, 7}, {2, 1}, {11, 33}, {0, 3}}) {
      Buffer<float> x{n, k};
      Buffer<float> y{n, k};
      Buffer<double> x2{n, k};
      Buffer<double> y2{n, k};
      x.fill_uniform("x", -5, 5);
      x2.fill_uniform("x", -5, 5);
      const CudaContext context;
      const OnDevice on_x(x.view());
      const OnDevice on_y(y.view());
      softmax_forward<float>({.x = on_x.view(), .y = on_y.view()}, context);
      softmax_forward<float>({.x = on_x.view(), .y = on_x.view()}, context);
      on_y.download(y.view());
      on_x.download(x.view());
      const CpuContext cpu;
      softmax_forward<double>({.x = x2.view(), .y = y2.view()}, cpu);
      // Roundings of the difference to the maximum (up to 10), of the exponential and of the quotient.
      check_close("y", y.view(), y2.view(), 0, 1.2e-6);
      check_same_bits("in place", x.view(), y.view());
    }
  });
}

TEST_CASE("cuda losses: wrong shapes throw with the operator's name", "[cuda][bce][softmax_xent]") {
  const FreshRuntime fresh;
  const CudaContext context;
  Buffer<float> host{3, 4};
  host.fill(0.5F);
  Buffer<float> three{3, 4, 1};
  three.fill(0.5F);
  const OnDevice x(host.view());
  const OnDevice frames(three.view());
  const DeviceBuffer<double> loss(1);
  const View<double> one(loss.data(), {1});
  const View<float> turned(x.view().data, {4, 3});
  CHECK_THROWS_WITH(softmax_xent<float>({.logits = x.view(), .target = turned, .loss = one}, context),
                    "softmax_xent: target has shape [4,3], expected [3,4]");
  CHECK_THROWS_WITH(
      softmax_xent<float>({.logits = x.view(), .target = x.view(), .weight = turned, .loss = one}, context),
      "softmax_xent: weight has shape [4,3], expected [3]");
  CHECK_THROWS_WITH(softmax_forward<float>({.x = x.view(), .y = turned}, context),
                    "softmax_forward: y has shape [4,3], expected [3,4]");
  CHECK_THROWS_WITH(bce_logits<float>({.x = x.view(), .target = x.view(), .loss = {}}, context),
                    "bce_logits: loss has shape [], expected [1]");
  CHECK_THROWS_WITH(bce_logits<float>({.x = x.view(), .target = x.view(), .loss = one, .dx = turned}, context),
                    "bce_logits: dx has shape [4,3], expected [3,4]");
  CHECK_THROWS_WITH(
      bce<float>({.x = frames.view(), .target = View<float>(frames.view().data, {4, 3, 1}), .loss = one}, context),
      "bce: target has shape [4,3,1], expected [3,3,1]");
}

}  // namespace dcase::test
