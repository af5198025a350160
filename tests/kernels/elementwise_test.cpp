#include "kernels/elementwise/elementwise.hpp"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/compare.hpp"
#include "tests/support/threads.hpp"

namespace dcase::test {

namespace {

/// An activation as its two operators, its formula and the derivative of that.
template <class Real>
struct Activation {
  std::string name;
  std::function<void(View<const Real>, View<Real>, const Context&)> forward;
  std::function<void(View<const Real>, View<const Real>, View<Real>, GradMode, const Context&)> backward;
  std::function<double(double)> formula;
  std::function<double(double)> derivative;
};

template <class Real>
std::vector<Activation<Real>> activations() {
  using In = View<const Real>;
  using Out = View<Real>;
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  return {
      {"relu", [](In x, Out y, const Context& c) { relu_forward<Real>({.x = x, .y = y}, c); },
       [](In y, In dy, Out dx, GradMode mode, const Context& c) {
         relu_backward<Real>({.y = y, .dy = dy, .dx = dx, .dx_mode = mode}, c);
       },
       [](double x) { return std::max(x, 0.0); }, [](double x) { return x > 0 ? 1.0 : 0.0; }},
      {"sigmoid", [](In x, Out y, const Context& c) { sigmoid_forward<Real>({.x = x, .y = y}, c); },
       [](In y, In dy, Out dx, GradMode mode, const Context& c) {
         sigmoid_backward<Real>({.y = y, .dy = dy, .dx = dx, .dx_mode = mode}, c);
       },
       sigmoid, [sigmoid](double x) { return sigmoid(x) * sigmoid(-x); }},
      {"tanh", [](In x, Out y, const Context& c) { tanh_forward<Real>({.x = x, .y = y}, c); },
       [](In y, In dy, Out dx, GradMode mode, const Context& c) {
         tanh_backward<Real>({.y = y, .dy = dy, .dx = dx, .dx_mode = mode}, c);
       },
       [](double x) { return std::tanh(x); }, [](double x) { return 1 / (std::cosh(x) * std::cosh(x)); }},
  };
}

}  // namespace

TEMPLATE_TEST_CASE("elementwise: activations and their gradients", "[elementwise]", float, double) {
  const CpuContext context;
  const double tolerance = std::is_same_v<TestType, float> ? 1e-6 : 1e-14;
  for (const auto& f : activations<TestType>()) {
    // The last is above a chunk of 16384.
    for (const std::int64_t n : {1, 0, 35, 40000}) {
      CAPTURE(f.name, n);
      Buffer<TestType> x{n};
      Buffer<TestType> y{n};
      Buffer<TestType> dy{n};
      Buffer<TestType> dx{n};
      Buffer<double> expected_y{n};
      Buffer<double> expected_dx{n};
      x.fill_uniform("x", -4, 4);
      dy.fill_uniform("dy");
      for (std::int64_t i = 0; i < n; ++i) {
        expected_y[i] = f.formula(static_cast<double>(x[i]));
        expected_dx[i] = static_cast<double>(dy[i]) * f.derivative(static_cast<double>(x[i]));
      }
      f.forward(x.view(), y.view(), context);
      f.backward(y.view(), dy.view(), dx.view(), GradMode::kSet, context);
      check_close("y", y.view(), expected_y.view(), tolerance, tolerance);
      check_close("dx", dx.view(), expected_dx.view(), tolerance, tolerance);
      f.backward(y.view(), dy.view(), dx.view(), GradMode::kAdd, context);
      for (std::int64_t i = 0; i < n; ++i) expected_dx[i] *= 2;
      check_close("dx accumulated", dx.view(), expected_dx.view(), tolerance, 2 * tolerance);
      CHECK((y.guards_intact() && dx.guards_intact()));
      // In place, forward and backward.
      f.forward(x.view(), x.view(), context);
      check_same_bits("y in place", x.view(), y.view());
      f.backward(y.view(), dy.view(), dx.view(), GradMode::kSet, context);
      f.backward(y.view(), dy.view(), dy.view(), GradMode::kSet, context);
      check_same_bits("dx in place", dy.view(), dx.view());
    }
  }
}

TEST_CASE("elementwise: activations at the ends of the number line", "[elementwise]") {
  const CpuContext context;
  for (const auto& f : activations<float>()) {
    CAPTURE(f.name);
    Buffer<float> x{5};
    Buffer<float> y{5};
    const float infinity = std::numeric_limits<float>::infinity();
    x[0] = 200, x[1] = -200, x[2] = infinity, x[3] = -infinity, x[4] = std::numeric_limits<float>::quiet_NaN();
    f.forward(x.view(), y.view(), context);
    for (const int i : {0, 1, 2, 3}) CHECK(y[i] == static_cast<float>(f.formula(static_cast<double>(x[i]))));
    CHECK(std::isnan(y[4]));
  }
}

TEST_CASE("elementwise: activation gradients match finite differences", "[elementwise]") {
  const CpuContext context;
  for (const auto& f : activations<double>()) {
    CAPTURE(f.name);
    Buffer<double> x{5, 7};
    Buffer<double> y{5, 7};
    Buffer<double> dy{5, 7};
    Buffer<double> dx{5, 7};
    x.fill_uniform("x", -2, 2);
    dy.fill_uniform("dy");
    f.forward(x.view(), y.view(), context);
    f.backward(y.view(), dy.view(), dx.view(), GradMode::kSet, context);
    check_gradient("dx", x.view(), dx.view(), [&] {
      f.forward(x.view(), y.view(), context);
      return weighted_sum(y.view(), dy.view());
    });
  }
}

TEMPLATE_TEST_CASE("elementwise: sums and multiples", "[elementwise]", float, double) {
  const CpuContext context;
  for (const std::int64_t n : {1, 0, 35, 40000}) {
    CAPTURE(n);
    Buffer<TestType> a{n};
    Buffer<TestType> b{n};
    Buffer<TestType> y{n};
    Buffer<double> expected{n};
    a.fill_uniform("a");
    b.fill_uniform("b");
    add<TestType>({.a = a.view(), .b = b.view(), .y = y.view()}, context);
    for (std::int64_t i = 0; i < n; ++i) expected[i] = static_cast<double>(a[i]) + static_cast<double>(b[i]);
    check_close("a + b", y.view(), expected.view(), 1e-7, 1e-7);
    scale<TestType>({.x = b.view(), .alpha = -1.5, .y = y.view(), .mode = GradMode::kAdd}, context);
    for (std::int64_t i = 0; i < n; ++i) expected[i] -= 1.5 * static_cast<double>(b[i]);
    check_close("y - 1.5 b", y.view(), expected.view(), 3e-7, 3e-7);
    scale<TestType>({.x = b.view(), .alpha = 3, .y = y.view()}, context);
    for (std::int64_t i = 0; i < n; ++i) expected[i] = 3 * static_cast<double>(b[i]);
    check_close("3 b", y.view(), expected.view(), 0, 1e-7);
    scale<TestType>({.x = b.view(), .alpha = 3, .y = b.view()}, context);
    check_same_bits("in place", b.view(), y.view());
    CHECK(y.guards_intact());
  }
}

TEST_CASE("elementwise: the same bits for any number of threads", "[elementwise]") {
  const CpuContext context;
  Buffer<float> x{100000};
  Buffer<float> one{100000};
  Buffer<float> three{100000};
  x.fill_uniform("x");
  for (const auto& f : activations<float>()) {
    CAPTURE(f.name);
    {
      const Threads threads(1);
      f.forward(x.view(), one.view(), context);
    }
    const Threads threads(3);
    f.forward(x.view(), three.view(), context);
    check_same_bits("y", one.view(), three.view());
  }
}

TEST_CASE("elementwise: a factor from memory, and rounding from double", "[elementwise]") {
  const CpuContext context;
  Buffer<float> x{3, 5};
  Buffer<float> y{3, 5};
  Buffer<float> s{1};
  Buffer<double> wide{3, 5};
  x.fill_uniform("x");
  wide.fill_uniform("wide");
  s.fill(-0.5F);
  scale_by<float>({.x = x.view(), .s = s.view(), .y = y.view()}, context);
  for (std::int64_t i = 0; i < x.size(); ++i) CHECK(y[i] == -0.5F * x[i]);
  scale_by<float>({.x = x.view(), .s = s.view(), .y = y.view(), .mode = GradMode::kAdd}, context);
  for (std::int64_t i = 0; i < x.size(); ++i) CHECK(y[i] == -x[i]);
  narrow<float>({.x = wide.view(), .y = y.view()}, context);
  for (std::int64_t i = 0; i < x.size(); ++i) CHECK(y[i] == static_cast<float>(wide[i]));
  CHECK(y.guards_intact());
  CHECK_THROWS_WITH(scale_by<float>({.x = x.view(), .s = x.view(), .y = y.view()}, context),
                    "scale_by: s has shape [3,5], expected [1]");
  CHECK_THROWS_AS(narrow<float>({.x = wide.view(), .y = s.view()}, context), Error);
}

TEST_CASE("elementwise: wrong arguments throw", "[elementwise]") {
  const CpuContext context;
  Buffer<float> x{2, 3};
  Buffer<float> y{3, 2};
  x.fill(1);
  for (const auto& f : activations<float>()) {
    CAPTURE(f.name);
    CHECK_THROWS_AS(f.forward(x.view(), y.view(), context), Error);
    CHECK_THROWS_AS(f.forward({}, y.view(), context), Error);
    CHECK_THROWS_AS(f.backward(x.view(), y.view(), x.view(), GradMode::kSet, context), Error);
    CHECK_THROWS_AS(f.forward(View<float>(nullptr, {2, 3}), x.view(), context), Error);
  }
  CHECK_THROWS_AS(add<float>({.a = x.view(), .b = y.view(), .y = x.view()}, context), Error);
  CHECK_THROWS_AS(scale<float>({.x = x.view(), .alpha = 2, .y = y.view()}, context), Error);
}

}  // namespace dcase::test
