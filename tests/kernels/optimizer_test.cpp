#include <cmath>
#include <limits>
#include <vector>

#include "kernels/adam/adam.hpp"
#include "kernels/sgd/sgd.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/threads.hpp"

namespace dcase::test {

namespace {

/// A range of parameters with the state of both optimisers.
template <class Real>
struct Range {
  explicit Range(std::int64_t n) : p{n}, g{n}, m{n}, v{n}, vmax{n} {
    p.fill_uniform("p");
    m.fill(0);
    v.fill(0);
    vmax.fill(0);
  }
  /// Gradients of a step; they shrink, so that amsgrad's maximum is not always the last.
  void next_gradient(int step) { g.fill_uniform("g", -1.0 / step, 0.5 / step); }
  Buffer<Real> p, g, m, v, vmax;
};

struct AdamOptions {
  bool amsgrad;
  double weight_decay;
  double grad_scale;
};

template <class Real>
void run_adam(Range<Real>& r, const AdamOptions& options, int step, const Context& context) {
  r.next_gradient(step);
  AdamStep<Real> a{.g = r.g.view(), .p = r.p.view(), .m = r.m.view(), .v = r.v.view(), .lr = 0.01};
  if (options.amsgrad) a.vmax = r.vmax.view();
  a.weight_decay = options.weight_decay;
  a.grad_scale = options.grad_scale;
  a.step = step;
  adam_step(a, context);
}

}  // namespace

TEMPLATE_TEST_CASE("adam: steps of the formula", "[adam]", float, double) {
  const CpuContext context;
  const double tolerance = std::is_same_v<TestType, float> ? 1e-6 : 1e-14;
  // The last is above a chunk of 16384.
  for (const std::int64_t n : {1, 0, 35, 40000}) {
    for (const AdamOptions& options : {AdamOptions{false, 0, 1}, {true, 0, 1}, {false, 0.1, 1}, {true, 0.1, 0.25}}) {
      CAPTURE(n, options.amsgrad, options.weight_decay, options.grad_scale);
      Range<TestType> r(n);
      Buffer<double> p{n};
      p.fill_uniform("p");
      std::vector<double> m(static_cast<std::size_t>(n));
      std::vector<double> v(m.size());
      std::vector<double> vmax(m.size());
      for (int step = 1; step <= 5; ++step) {
        run_adam(r, options, step, context);
        for (std::int64_t i = 0; i < n; ++i) {
          const std::size_t at = static_cast<std::size_t>(i);
          const double g = options.grad_scale * static_cast<double>(r.g[i]) + options.weight_decay * p[i];
          m[at] = 0.9 * m[at] + 0.1 * g;
          v[at] = 0.999 * v[at] + 0.001 * g * g;
          vmax[at] = std::max(vmax[at], v[at]);
          const double m_hat = m[at] / (1 - std::pow(0.9, step));
          const double v_hat = (options.amsgrad ? vmax[at] : v[at]) / (1 - std::pow(0.999, step));
          p[i] -= 0.01 * m_hat / (std::sqrt(v_hat) + 1e-8);
        }
      }
      check_close("p", r.p.view(), p.view(), tolerance, tolerance);
      check_close("m", r.m.view(), View<double>(m.data(), {n}), tolerance, tolerance);
      check_close("v", r.v.view(), View<double>(v.data(), {n}), tolerance * 1e-3, tolerance);
      if (options.amsgrad)
        check_close("vmax", r.vmax.view(), View<double>(vmax.data(), {n}), tolerance * 1e-3, tolerance);
      CHECK((r.p.guards_intact() && r.m.guards_intact() && r.v.guards_intact() && r.vmax.guards_intact()));
    }
  }
}

TEMPLATE_TEST_CASE("sgd: steps of the formula", "[sgd]", float, double) {
  const CpuContext context;
  const double tolerance = std::is_same_v<TestType, float> ? 1e-6 : 1e-14;
  struct Options {
    double momentum, weight_decay, grad_scale;
    bool nesterov;
  };
  for (const std::int64_t n : {1, 0, 35, 40000}) {
    for (const Options& options :
         {Options{0, 0, 1, false}, {0, 0.1, 0.5, false}, {0.9, 0, 1, false}, {0.9, 0.1, 0.5, true}}) {
      CAPTURE(n, options.momentum, options.weight_decay, options.nesterov);
      Range<TestType> r(n);
      Buffer<double> p{n};
      p.fill_uniform("p");
      std::vector<double> b(static_cast<std::size_t>(n));
      for (int step = 1; step <= 4; ++step) {
        r.next_gradient(step);
        SgdStep<TestType> a{.g = r.g.view(), .p = r.p.view(), .lr = 0.1};
        if (options.momentum > 0) a.b = r.m.view();
        a.momentum = options.momentum;
        a.weight_decay = options.weight_decay;
        a.grad_scale = options.grad_scale;
        a.nesterov = options.nesterov;
        sgd_step(a, context);
        for (std::int64_t i = 0; i < n; ++i) {
          double& buffer = b[static_cast<std::size_t>(i)];
          const double g = options.grad_scale * static_cast<double>(r.g[i]) + options.weight_decay * p[i];
          buffer = options.momentum * buffer + g;
          p[i] -= 0.1 * (options.nesterov ? g + options.momentum * buffer : buffer);
        }
      }
      check_close("p", r.p.view(), p.view(), tolerance, tolerance);
      if (options.momentum > 0) check_close("b", r.m.view(), View<double>(b.data(), {n}), tolerance, tolerance);
      CHECK((r.p.guards_intact() && r.m.guards_intact()));
    }
  }
}

TEST_CASE("adam, sgd: the same bits for any number of threads and any split of the range", "[adam][sgd]") {
  const CpuContext context;
  Range<float> one(50000);
  Range<float> three(50000);
  {
    const Threads threads(1);
    run_adam(one, {false, 0.1, 1}, 1, context);
    sgd_step<float>({.g = one.g.view(), .p = one.p.view(), .b = one.m.view(), .momentum = 0.9}, context);
  }
  const Threads threads(3);
  three.next_gradient(1);
  for (const auto& [begin, end] : {std::pair<std::int64_t, std::int64_t>{0, 20001}, {20001, 50000}}) {
    const auto part = [&](Buffer<float>& buffer) { return View<float>(buffer.view().data + begin, {end - begin}); };
    adam_step<float>({.g = part(three.g),
                      .p = part(three.p),
                      .m = part(three.m),
                      .v = part(three.v),
                      .lr = 0.01,
                      .weight_decay = 0.1},
                     context);
    sgd_step<float>({.g = part(three.g), .p = part(three.p), .b = part(three.m), .momentum = 0.9}, context);
  }
  check_same_bits("p", one.p.view(), three.p.view());
  check_same_bits("m", one.m.view(), three.m.view());
  check_same_bits("v", one.v.view(), three.v.view());
}

TEST_CASE("adam, sgd: wrong arguments throw", "[adam][sgd]") {
  const CpuContext context;
  Range<float> r(6);
  r.next_gradient(1);
  Buffer<float> wrong{5};
  const AdamStep<float> good{.g = r.g.view(), .p = r.p.view(), .m = r.m.view(), .v = r.v.view()};
  const auto refuses = [&](auto change) {
    auto a = good;
    change(a);
    CHECK_THROWS_AS(adam_step(a, context), Error);
  };
  refuses([&](auto& a) { a.g = wrong.view(); });
  refuses([&](auto& a) { a.m = {}; });
  refuses([&](auto& a) { a.v = wrong.view(); });
  refuses([&](auto& a) { a.vmax = wrong.view(); });
  refuses([&](auto& a) { a.p.data = nullptr; });
  refuses([&](auto& a) { a.step = 0; });
  refuses([&](auto& a) { a.beta1 = 1; });
  refuses([&](auto& a) { a.beta2 = std::numeric_limits<double>::quiet_NaN(); });
  const SgdStep<float> descent{.g = r.g.view(), .p = r.p.view()};
  const auto refuses_sgd = [&](auto change) {
    auto a = descent;
    change(a);
    CHECK_THROWS_AS(sgd_step(a, context), Error);
  };
  refuses_sgd([&](auto& a) { a.g = wrong.view(); });
  refuses_sgd([&](auto& a) { a.momentum = 0.9; });  // without its buffer
  refuses_sgd([&](auto& a) { a.momentum = -0.9; });
  refuses_sgd([&](auto& a) { a.nesterov = true; });
}

}  // namespace dcase::test
