#include "kernels/bce/bce.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "tests/support/compare.hpp"
#include "tests/support/threads.hpp"

namespace dcase::test {

namespace {

/// Arguments and results of bce on x [n,t,k] and target [n,t2,k]; weights are uneven with zeros between.
template <class Real>
struct Frames {
  Frames(std::int64_t n, std::int64_t t, std::int64_t t2, std::int64_t k)
      : x{n, t, k}, target{n, t2, k}, weight{n}, loss{1}, dx{n, t, k} {
    x.fill_uniform("x", 0.02, 0.98);
    target.fill_uniform("target", 0, 1);
    for (std::int64_t i = 0; i < n; ++i) weight[i] = static_cast<Real>(0.25 * static_cast<double>(i % 4));
  }
  [[nodiscard]] Bce<Real> arguments(bool weighted) {
    Bce<Real> a{.x = x.view(), .target = target.view(), .loss = loss.view(), .dx = dx.view(), .grad_scale = 0.7};
    if (weighted) a.weight = weight.view();
    return a;
  }
  Buffer<Real> x, target, weight;
  Buffer<double> loss;
  Buffer<Real> dx;
};

/// Arguments and results of bce_logits on [n,k].
template <class Real>
struct Logits {
  Logits(std::int64_t n, std::int64_t k) : x{n, k}, target{n, k}, weight{n}, loss{1}, dx{n, k} {
    x.fill_uniform("x", -4, 4);
    target.fill_uniform("target", 0, 1);
    for (std::int64_t i = 0; i < n; ++i) weight[i] = static_cast<Real>(0.25 * static_cast<double>(i % 4));
  }
  [[nodiscard]] BceLogits<Real> arguments(bool weighted) {
    BceLogits<Real> a{.x = x.view(), .target = target.view(), .loss = loss.view(), .dx = dx.view(), .grad_scale = 0.7};
    if (weighted) a.weight = weight.view();
    return a;
  }
  Buffer<Real> x, target, weight;
  Buffer<double> loss;
  Buffer<Real> dx;
};

double cross_entropy(double p, double t) { return -(t * std::log(p) + (1 - t) * std::log(1 - p)); }

}  // namespace

TEMPLATE_TEST_CASE("bce: the mean over the frames that both have", "[bce]", float, double) {
  const CpuContext context;
  const double epsilon = std::is_same_v<TestType, float> ? 1e-6 : 1e-12;
  for (const auto& [n, t, t2, k] :
       {std::array<std::int64_t, 4>{5, 7, 9, 3}, {5, 9, 7, 3}, {2, 1, 1, 1}, {6, 400, 390, 14}}) {
    for (const bool weighted : {false, true}) {
      CAPTURE(n, t, t2, k, weighted);
      Frames<TestType> d(n, t, t2, k);
      bce(d.arguments(weighted), context);
      double sum = 0;
      double count = 0;
      for (std::int64_t i = 0; i < n; ++i) {
        for (std::int64_t j = 0; j < std::min(t, t2) * k; ++j) {
          const double w = weighted ? static_cast<double>(d.weight[i]) : 1;
          sum +=
              w * cross_entropy(static_cast<double>(d.x[i * t * k + j]), static_cast<double>(d.target[i * t2 * k + j]));
          count += w;
        }
      }
      CHECK(d.loss[0] == Approx(sum / count).epsilon(epsilon));
      for (std::int64_t i = 0; i < n; ++i) {
        for (std::int64_t j = std::min(t, t2) * k; j < t * k; ++j) REQUIRE(d.dx[i * t * k + j] == 0);
      }
      CHECK((d.dx.guards_intact() && d.loss.guards_intact()));
    }
  }
}

TEMPLATE_TEST_CASE("bce_logits: the mean cross-entropy of the sigmoid", "[bce]", float, double) {
  const CpuContext context;
  const double epsilon = std::is_same_v<TestType, float> ? 1e-6 : 1e-12;
  for (const auto& [n, k] : {std::pair<std::int64_t, std::int64_t>{5, 7}, {2, 1}, {300, 80}}) {
    for (const bool weighted : {false, true}) {
      CAPTURE(n, k, weighted);
      Logits<TestType> d(n, k);
      bce_logits(d.arguments(weighted), context);
      double sum = 0;
      double count = 0;
      for (std::int64_t i = 0; i < n * k; ++i) {
        const double w = weighted ? static_cast<double>(d.weight[i / k]) : 1;
        sum += w * cross_entropy(1 / (1 + std::exp(-static_cast<double>(d.x[i]))), static_cast<double>(d.target[i]));
        count += w;
      }
      CHECK(d.loss[0] == Approx(sum / count).epsilon(epsilon));
      CHECK((d.dx.guards_intact() && d.loss.guards_intact()));
    }
  }
}

TEST_CASE("bce: gradients match finite differences, and float matches double", "[bce]") {
  const CpuContext context;
  for (const bool weighted : {false, true}) {
    for (const std::int64_t target_frames : {3, 4, 6}) {
      CAPTURE(weighted, target_frames);
      Frames<double> d(6, 4, target_frames, 3);
      bce(d.arguments(weighted), context);
      Frames<double> probe(6, 4, target_frames, 3);
      check_gradient("dx", probe.x.view(), d.dx.view(), [&] {
        auto a = probe.arguments(weighted);
        a.dx = {};
        bce(a, context);
        return 0.7 * probe.loss[0];
      });
      Frames<float> f(6, 4, target_frames, 3);
      bce(f.arguments(weighted), context);
      check_close("float dx", f.dx.view(), d.dx.view(), 1e-7, 3e-6);
      CHECK(f.loss[0] == Approx(d.loss[0]).epsilon(1e-6));
      auto a = f.arguments(weighted);
      a.dx_mode = GradMode::kAdd;
      bce(a, context);
      for (std::int64_t i = 0; i < d.dx.size(); ++i) d.dx[i] *= 2;
      check_close("accumulated", f.dx.view(), d.dx.view(), 2e-7, 3e-6);
    }
    Logits<double> d(6, 5);
    bce_logits(d.arguments(weighted), context);
    Logits<double> probe(6, 5);
    check_gradient("dx of logits", probe.x.view(), d.dx.view(), [&] {
      auto a = probe.arguments(weighted);
      a.dx = {};
      bce_logits(a, context);
      return 0.7 * probe.loss[0];
    });
    Logits<float> f(6, 5);
    bce_logits(f.arguments(weighted), context);
    check_close("float dx of logits", f.dx.view(), d.dx.view(), 1e-8, 1e-6);
    auto a = f.arguments(weighted);
    a.dx_mode = GradMode::kAdd;
    bce_logits(a, context);
    for (std::int64_t i = 0; i < d.dx.size(); ++i) d.dx[i] *= 2;
    check_close("accumulated", f.dx.view(), d.dx.view(), 1e-8, 2e-6);
  }
}

TEST_CASE("bce: saturated probabilities are clamped as PyTorch does", "[bce]") {
  const CpuContext context;
  Frames<float> d(1, 1, 1, 4);
  d.x[0] = 0, d.x[1] = 1, d.x[2] = 0, d.x[3] = 1;
  d.target[0] = 1, d.target[1] = 0, d.target[2] = 0, d.target[3] = 1;
  auto a = d.arguments(false);
  a.grad_scale = 4;  // one an element
  bce(a, context);
  CHECK(d.loss[0] == 50);  // log clamped at -100, twice, over four
  CHECK(d.dx[0] == Approx(-1e12F));
  CHECK(d.dx[1] == Approx(1e12F));
  CHECK((d.dx[2] == 0 && d.dx[3] == 0));
  d.x[2] = std::numeric_limits<float>::quiet_NaN();
  bce(d.arguments(false), context);
  CHECK(std::isnan(d.loss[0]));

  Logits<float> l(1, 4);
  l.x[0] = 500, l.x[1] = -500, l.x[2] = 500, l.x[3] = -500;
  l.target[0] = 0, l.target[1] = 1, l.target[2] = 1, l.target[3] = 0;
  bce_logits(l.arguments(false), context);
  CHECK(l.loss[0] == 250);
  l.x[3] = std::numeric_limits<float>::quiet_NaN();
  bce_logits(l.arguments(false), context);
  CHECK(std::isnan(l.loss[0]));
}

TEST_CASE("bce: masked items count for nothing, whatever stands in them", "[bce]") {
  const CpuContext context;
  Frames<float> d(3, 2, 2, 2);
  d.weight[0] = d.weight[2] = 0;
  d.weight[1] = 1;
  bce(d.arguments(true), context);
  const double loss = d.loss[0];
  CHECK(loss > 0);
  d.x[0] = d.target[11] = std::numeric_limits<float>::quiet_NaN();
  bce(d.arguments(true), context);
  CHECK(d.loss[0] == loss);
  CHECK((d.dx[0] == 0 && d.dx[11] == 0 && d.dx[4] != 0));
  d.weight.fill(0);
  bce(d.arguments(true), context);
  CHECK(d.loss[0] == 0);
  for (std::int64_t i = 0; i < d.dx.size(); ++i) CHECK(d.dx[i] == 0);

  Frames<float> no_items(0, 2, 2, 2);
  bce(no_items.arguments(false), context);
  CHECK(no_items.loss[0] == 0);
  Frames<float> no_frames(2, 3, 0, 2);
  bce(no_frames.arguments(false), context);
  CHECK(no_frames.loss[0] == 0);
  CHECK((no_frames.dx[0] == 0 && no_frames.dx[11] == 0));
}

TEST_CASE("bce: the same bits for any number of threads", "[bce]") {
  const CpuContext context;
  Frames<float> one(7, 300, 301, 14);
  Frames<float> three(7, 300, 301, 14);
  {
    const Threads threads(1);
    bce(one.arguments(true), context);
  }
  const Threads threads(3);
  bce(three.arguments(true), context);
  CHECK(one.loss[0] == three.loss[0]);
  check_same_bits("dx", one.dx.view(), three.dx.view());
}

TEST_CASE("bce: wrong arguments throw", "[bce]") {
  const CpuContext context;
  Frames<float> d(3, 4, 4, 2);
  Frames<float> other(2, 4, 4, 3);
  const auto refuses = [&](auto change) {
    auto a = d.arguments(true);
    change(a);
    CHECK_THROWS_AS(bce(a, context), Error);
  };
  refuses([&](auto& a) { a.target = other.target.view(); });
  refuses([&](auto& a) { a.dx = other.dx.view(); });
  refuses([&](auto& a) { a.weight = other.weight.view(); });
  refuses([&](auto& a) { a.loss = {}; });
  refuses([&](auto& a) { a.x.data = nullptr; });
  d.weight[1] = -1;
  refuses([&](auto&) {});
  Logits<float> l(3, 4);
  auto a = l.arguments(false);
  a.target = other.target.view();
  CHECK_THROWS_AS(bce_logits(a, context), Error);
  a = l.arguments(false);
  a.x.rank = 1;
  CHECK_THROWS_AS(bce_logits(a, context), Error);
}

}  // namespace dcase::test
