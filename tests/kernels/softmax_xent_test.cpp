#include "kernels/softmax_xent/softmax_xent.hpp"

#include <cmath>
#include <limits>
#include <utility>

#include "tests/support/compare.hpp"
#include "tests/support/threads.hpp"

namespace dcase::test {

namespace {

/// Arguments and results on [n,k]. Targets are soft and do not sum to one, weights are uneven with zeros between.
template <class Real>
struct Data {
  Data(std::int64_t n, std::int64_t k) : logits{n, k}, target{n, k}, weight{n}, loss{1}, dlogits{n, k} {
    logits.fill_uniform("logits", -5, 5);
    target.fill_uniform("target", 0, 1);
    for (std::int64_t i = 0; i < n; ++i) weight[i] = static_cast<Real>(0.25 * static_cast<double>(i % 4));
  }
  [[nodiscard]] SoftmaxXent<Real> arguments(bool weighted) {
    SoftmaxXent<Real> a{.logits = logits.view(),
                        .target = target.view(),
                        .loss = loss.view(),
                        .dlogits = dlogits.view(),
                        .grad_scale = 0.7};
    if (weighted) a.weight = weight.view();
    return a;
  }
  Buffer<Real> logits, target, weight;
  Buffer<double> loss;
  Buffer<Real> dlogits;
};

}  // namespace

TEMPLATE_TEST_CASE("softmax_xent: loss and softmax are their formulas", "[softmax_xent]", float, double) {
  const CpuContext context;
  for (const auto& [n, k] : {std::pair<std::int64_t, std::int64_t>{5, 7}, {2, 1}, {1, 3}, {300, 61}}) {
    for (const bool weighted : {false, true}) {
      CAPTURE(n, k, weighted);
      Data<TestType> d(n, k);
      softmax_xent(d.arguments(weighted), context);
      Buffer<TestType> y{n, k};
      softmax_forward<TestType>({.x = d.logits.view(), .y = y.view()}, context);
      Buffer<double> softmax{n, k};
      double sum = 0;
      double weights = 0;
      for (std::int64_t i = 0; i < n; ++i) {
        double total = 0;
        for (std::int64_t j = 0; j < k; ++j) total += std::exp(static_cast<double>(d.logits[i * k + j]));
        const double w = weighted ? static_cast<double>(d.weight[i]) : 1;
        weights += w;
        for (std::int64_t j = 0; j < k; ++j) {
          softmax[i * k + j] = std::exp(static_cast<double>(d.logits[i * k + j])) / total;
          sum -= w * static_cast<double>(d.target[i * k + j]) * std::log(softmax[i * k + j]);
        }
      }
      CHECK(d.loss[0] == Approx(weights > 0 ? sum / weights : 0).epsilon(1e-12));
      check_close("softmax", y.view(), softmax.view(), 0, std::is_same_v<TestType, float> ? 1e-7 : 1e-14);
      CHECK((d.dlogits.guards_intact() && d.loss.guards_intact() && y.guards_intact()));
    }
  }
}

TEST_CASE("softmax_xent: gradients match finite differences, and float matches double", "[softmax_xent]") {
  const CpuContext context;
  for (const bool weighted : {false, true}) {
    CAPTURE(weighted);
    Data<double> d(6, 5);
    softmax_xent(d.arguments(weighted), context);
    Data<double> probe(6, 5);
    check_gradient("dlogits", probe.logits.view(), d.dlogits.view(), [&] {
      auto a = probe.arguments(weighted);
      a.dlogits = {};
      softmax_xent(a, context);
      return 0.7 * probe.loss[0];
    });
    Data<float> f(6, 5);
    softmax_xent(f.arguments(weighted), context);
    check_close("float dlogits", f.dlogits.view(), d.dlogits.view(), 1e-8, 1e-6);
    CHECK(f.loss[0] == Approx(d.loss[0]).epsilon(1e-7));
    auto a = f.arguments(weighted);
    a.dlogits_mode = GradMode::kAdd;
    softmax_xent(a, context);
    for (std::int64_t i = 0; i < d.dlogits.size(); ++i) d.dlogits[i] *= 2;
    check_close("accumulated", f.dlogits.view(), d.dlogits.view(), 1e-8, 2e-6);
  }
}

TEST_CASE("softmax_xent: masked items count for nothing, whatever stands in them", "[softmax_xent]") {
  const CpuContext context;
  Data<float> d(3, 4);
  d.weight[0] = d.weight[2] = 0;
  d.weight[1] = 1;
  softmax_xent(d.arguments(true), context);
  const double loss = d.loss[0];
  CHECK(loss > 0);
  d.logits[0] = d.target[8] = std::numeric_limits<float>::quiet_NaN();
  softmax_xent(d.arguments(true), context);
  CHECK(d.loss[0] == loss);
  CHECK((d.dlogits[0] == 0 && d.dlogits[8] == 0 && d.dlogits[4] != 0));
  d.weight.fill(0);
  softmax_xent(d.arguments(true), context);
  CHECK(d.loss[0] == 0);
  for (std::int64_t i = 0; i < d.dlogits.size(); ++i) CHECK(d.dlogits[i] == 0);

  Data<float> none(0, 4);
  softmax_xent(none.arguments(true), context);
  CHECK(none.loss[0] == 0);
}

TEST_CASE("softmax_xent: logits of any size; NaN and infinity show", "[softmax_xent]") {
  const CpuContext context;
  Data<float> d(1, 3);
  d.logits[0] = 1e30F, d.logits[1] = -1e30F, d.logits[2] = 0;
  d.target[0] = 1, d.target[1] = 0, d.target[2] = 0;
  softmax_xent(d.arguments(false), context);
  CHECK(d.loss[0] == 0);
  d.target[0] = 0, d.target[2] = 1;
  softmax_xent(d.arguments(false), context);
  CHECK(d.loss[0] == Approx(1e30));
  for (const int k : {0, 2}) {
    d.logits.fill(1);
    d.logits[k] = std::numeric_limits<float>::quiet_NaN();
    softmax_xent(d.arguments(false), context);
    CHECK(std::isnan(d.loss[0]));
  }
}

TEST_CASE("softmax_xent: the same bits for any number of threads", "[softmax_xent]") {
  const CpuContext context;
  Data<float> one(500, 70);
  Data<float> three(500, 70);
  {
    const Threads threads(1);
    softmax_xent(one.arguments(true), context);
  }
  const Threads threads(3);
  softmax_xent(three.arguments(true), context);
  CHECK(one.loss[0] == three.loss[0]);
  check_same_bits("dlogits", one.dlogits.view(), three.dlogits.view());
}

TEST_CASE("softmax_xent: wrong arguments throw", "[softmax_xent]") {
  const CpuContext context;
  Data<float> d(3, 4);
  Buffer<float> wrong{4, 3};
  Buffer<float> no_classes{3, 0};
  const auto refuses = [&](auto change) {
    auto a = d.arguments(true);
    change(a);
    CHECK_THROWS_AS(softmax_xent(a, context), Error);
  };
  refuses([&](auto& a) { a.target = wrong.view(); });
  refuses([&](auto& a) { a.dlogits = wrong.view(); });
  refuses([&](auto& a) { a.weight = wrong.view(); });
  refuses([&](auto& a) { a.loss = {}; });
  refuses([&](auto& a) { a.logits = a.target = no_classes.view(); });
  d.weight[2] = -1;
  refuses([&](auto&) {});
  d.weight[2] = std::numeric_limits<float>::quiet_NaN();
  refuses([&](auto&) {});
  CHECK_THROWS_AS(softmax_forward<float>({.x = wrong.view(), .y = d.target.view()}, context), Error);
}

}  // namespace dcase::test
