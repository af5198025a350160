#include "kernels/gru/gru.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "kernels/gru/gru_ref.hpp"
#include "kernels/gru/gru_variants.hpp"
#include "tests/support/gru_arrays.hpp"

using namespace dcase;
using namespace dcase::test;

namespace {

void check(const GruCase& c, const Context& context, const cpu::GruVariant& variant) {
  INFO("N " << c.N << " T " << c.T << " F " << c.F << " H " << c.H << " " << variant.name);
  GruArrays<float> actual(c);
  GruArrays<double> expected(c);
  cpu::gru_forward(actual.forward, context, variant);
  cpu::gru_backward(actual.backward, context, variant);
  ref::gru_forward(expected.forward);
  ref::gru_backward(expected.backward);
  auto a = actual.outputs();
  auto e = expected.outputs();
  for (std::size_t i = 0; i < a.size(); ++i) {
    // Weight gradients are sums over N*T rows.
    check_close(a[i].first, a[i].second->view(), e[i].second->view(), 2e-6 * (1 + static_cast<double>(c.N * c.T) / 16),
                2e-6);
    CHECK(a[i].second->guards_intact());
  }
}

}  // namespace

TEST_CASE("gru: every variant equals the reference") {
  const CpuContext context;
  constexpr auto kAdd = GradMode::kAdd;
  for (const cpu::GruVariant& variant : cpu::gru_variants()) {
    if (!variant.supported()) continue;
    check({.N = 2, .T = 5, .F = 3, .H = 7}, context, variant);
    check({.N = 3, .T = 4, .F = 6, .H = 5, .dx_mode = kAdd}, context, variant);
    check({.N = 1, .T = 6, .F = 2, .H = 16, .dw_mode = kAdd}, context, variant);
    check({.N = 13, .T = 9, .F = 20, .H = 37, .dx_mode = kAdd, .dw_mode = kAdd}, context, variant);  // tiles with rests
    check({.N = 8, .T = 3, .F = 11, .H = 32}, context, variant);                                     // whole tiles
    check({.N = 5, .T = 12, .F = 64, .H = 128}, context, variant);
    check({.N = 1, .T = 1, .F = 1, .H = 1}, context, variant);
  }
}

TEST_CASE("gru: activations are accurate to float rounding and keep NaN and infinity in their place") {
  std::vector<float> x;
  for (double v = 1e-7; v < 100; v *= 1.0007) {
    x.push_back(static_cast<float>(v));
    x.push_back(static_cast<float>(-v));
  }
  const std::vector<float> special = {0.0F, -0.0F, INFINITY, -INFINITY, NAN, 1e30F, -1e30F, 1e-40F};
  x.insert(x.end(), special.begin(), special.end());
  for (const cpu::GruVariant& variant : cpu::gru_variants()) {
    if (!variant.supported()) continue;
    INFO(variant.name);
    std::vector<float> sigmoid(x.size()), tanh(x.size());
    variant.activate(x.data(), static_cast<std::int64_t>(x.size()), sigmoid.data(), tanh.data());
    double worst_sigmoid = 0;
    double worst_tanh = 0;
    for (std::size_t i = 0; i + special.size() < x.size(); ++i) {
      const auto v = static_cast<double>(x[i]);
      const double s = 1 / (1 + std::exp(-v));
      worst_tanh = std::max(worst_tanh, std::abs(tanh[i] / std::tanh(v) - 1));
      if (v > -87) worst_sigmoid = std::max(worst_sigmoid, std::abs(sigmoid[i] / s - 1));
      if (v <= -87) worst_sigmoid = std::max(worst_sigmoid, std::abs(sigmoid[i] - s) * 1e30);  // below 1e-37 anyway
    }
    CHECK(worst_sigmoid <= 3 * 0x1p-23);
    CHECK(worst_tanh <= 3 * 0x1p-23);
    const std::size_t first = x.size() - special.size();
    CHECK(sigmoid[first] == 0.5F);
    CHECK(tanh[first] == 0);
    CHECK(sigmoid[first + 2] == 1);
    CHECK(tanh[first + 2] == 1);
    CHECK(sigmoid[first + 3] <= 1e-37F);
    CHECK(tanh[first + 3] == -1);
    CHECK(std::isnan(sigmoid[first + 4]));
    CHECK(std::isnan(tanh[first + 4]));
    CHECK(tanh[first + 5] == 1);
    CHECK(tanh[first + 6] == -1);
    CHECK(tanh[first + 7] == 1e-40F);
  }
}

TEST_CASE("gru: gradients of the reference match finite differences") {
  const GruCase c{.N = 2, .T = 4, .F = 3, .H = 2};
  GruArrays<double> a(c);
  const auto loss = [&] {
    ref::gru_forward(a.forward);
    return weighted_sum(a.y.view(), a.dy.view());
  };
  loss();
  ref::gru_backward(a.backward);
  check_gradient("dx", a.x.view(), a.dx.view(), loss);
  for (int d = 0; d < 2; ++d) {
    check_gradient("dw_ih", a.weights.w_ih[d].view(), a.gradients.w_ih[d].view(), loss);
    check_gradient("dw_hh", a.weights.w_hh[d].view(), a.gradients.w_hh[d].view(), loss);
    check_gradient("db_ih", a.weights.b_ih[d].view(), a.gradients.b_ih[d].view(), loss);
    check_gradient("db_hh", a.weights.b_hh[d].view(), a.gradients.b_hh[d].view(), loss);
  }
}

TEST_CASE("gru: repeated runs give the same bits, optional outputs change nothing, the arena stands still") {
  const CpuContext context;
  const GruCase c{.N = 11, .T = 7, .F = 24, .H = 40};
  GruArrays<float> first(c), second(c), bare(c);
  gru_forward<float>(first.forward, context);
  gru_backward<float>(first.backward, context);
  const auto growths = context.arena().statistics().growths;
  gru_forward<float>(second.forward, context);
  gru_backward<float>(second.backward, context);
  CHECK(context.arena().statistics().growths == growths);
  CHECK(context.arena().statistics().bytes_in_use == 0);
  bare.forward.hn = {};
  bare.forward.saved = {};
  gru_forward<float>(bare.forward, context);
  const auto equal = [](View<float> a, View<float> b) { return std::equal(a.data, a.data + a.size(), b.data); };
  CHECK(equal(first.y.view(), bare.y.view()));
  auto a = first.outputs();
  auto b = second.outputs();
  for (std::size_t i = 0; i < a.size(); ++i) {
    INFO(a[i].first);
    CHECK(equal(a[i].second->view(), b[i].second->view()));
  }
}

TEST_CASE("gru: gradients that are absent are left out") {
  const CpuContext context;
  const GruCase c{.N = 2, .T = 5, .F = 3, .H = 4};
  GruArrays<float> all(c), one(c);
  gru_forward<float>(all.forward, context);
  gru_backward<float>(all.backward, context);
  gru_forward<float>(one.forward, context);
  one.backward.dx = {};
  for (int d = 0; d < 2; ++d) one.backward.dw_ih[d] = one.backward.db_ih[d] = one.backward.db_hh[d] = {};
  one.backward.dw_hh[0] = {};
  gru_backward<float>(one.backward, context);
  const View<float> expected = all.gradients.w_hh[1].view();
  CHECK(std::equal(expected.data, expected.data + expected.size(), one.gradients.w_hh[1].view().data));
}

TEST_CASE("gru: no sequences and no frames") {
  const CpuContext context;
  for (const GruCase& c : {GruCase{.N = 0, .T = 3, .F = 4, .H = 5}, GruCase{.N = 2, .T = 0, .F = 4, .H = 5}}) {
    GruArrays<float> a(c);
    gru_forward<float>(a.forward, context);
    gru_backward<float>(a.backward, context);
    for (const auto& [what, buffer] : a.outputs()) {
      INFO(what);
      CHECK(std::all_of(buffer->view().data, buffer->view().data + buffer->size(), [](float v) { return v == 0; }));
    }
  }
}

TEST_CASE("gru: sizes that do not agree throw") {
  const CpuContext context;
  const auto refuses = [&](auto&& change) {
    GruArrays<float> a({.N = 2, .T = 5, .F = 3, .H = 4});
    gru_forward<float>(a.forward, context);
    change(a.forward);
    change(a.backward);
    CHECK_THROWS_AS(gru_forward<float>(a.forward, context), Error);
    CHECK_THROWS_AS(gru_backward<float>(a.backward, context), Error);
  };
  refuses([](auto& args) { args.x.rank = 2; });
  refuses([](auto& args) { args.x.shape[2] = 4; });
  refuses([](auto& args) { args.x = {}; });
  refuses([](auto& args) { args.w_ih[1].shape[0] = 11; });
  refuses([](auto& args) { args.w_hh[0].shape[1] = 5; });
  refuses([](auto& args) { args.w_hh[1] = {}; });
  refuses([](auto& args) { args.y.shape[2] = 4; });
  refuses([](auto& args) { args.saved.gates.shape[3] = 12; });
  GruArrays<float> a({.N = 2, .T = 5, .F = 3, .H = 4});
  a.backward.dw_hh[1].shape[0] = 3;
  CHECK_THROWS_AS(gru_backward<float>(a.backward, context), Error);
  a.forward.b_hh[0].shape[0] = 11;
  CHECK_THROWS_AS(gru_forward<float>(a.forward, context), Error);
}
