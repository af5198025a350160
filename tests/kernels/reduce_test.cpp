#include "kernels/reduce/reduce.hpp"

#include <cmath>
#include <limits>

#include "tests/support/compare.hpp"
#include "tests/support/threads.hpp"

namespace dcase::test {

namespace {

struct Sizes {
  std::int64_t o, r, i;
};

// The last three: more rows than a chunk, more columns than a block, and both as one.
const Sizes kSizes[] = {{2, 5, 3}, {1, 1, 1},     {3, 1, 4},    {0, 5, 3},
                        {2, 5, 0}, {2, 15000, 7}, {2, 3, 2500}, {1, 131, 1100}};

}  // namespace

TEMPLATE_TEST_CASE("reduce: mean over the middle axis, and its gradient", "[reduce]", float, double) {
  const CpuContext context;
  const double tolerance = std::is_same_v<TestType, float> ? 2e-7 : 1e-14;
  for (const Sizes& d : kSizes) {
    CAPTURE(d.o, d.r, d.i);
    Buffer<TestType> x{d.o, d.r, d.i};
    Buffer<TestType> y{d.o, d.i};
    Buffer<TestType> dx{d.o, d.r, d.i};
    Buffer<double> expected{d.o, d.i};
    Buffer<double> expected_dx{d.o, d.r, d.i};
    x.fill_uniform("x");
    expected.fill(0);
    for (std::int64_t at = 0; at < x.size(); ++at) {
      expected[at / (d.r * d.i) * d.i + at % d.i] += static_cast<double>(x[at]) / static_cast<double>(d.r);
    }
    mean_forward<TestType>({.x = x.view(), .y = y.view()}, context);
    check_close("y", y.view(), expected.view(), tolerance, tolerance);
    // y stands in for dy.
    for (std::int64_t at = 0; at < x.size(); ++at) {
      expected_dx[at] = static_cast<double>(y[at / (d.r * d.i) * d.i + at % d.i]) / static_cast<double>(d.r);
    }
    mean_backward<TestType>({.dy = y.view(), .dx = dx.view()}, context);
    check_close("dx", dx.view(), expected_dx.view(), tolerance, tolerance);
    mean_backward<TestType>({.dy = y.view(), .dx = dx.view(), .dx_mode = GradMode::kAdd}, context);
    for (std::int64_t at = 0; at < x.size(); ++at) expected_dx[at] *= 2;
    check_close("dx accumulated", dx.view(), expected_dx.view(), tolerance, 2 * tolerance);
    CHECK((y.guards_intact() && dx.guards_intact()));
  }
}

TEMPLATE_TEST_CASE("reduce: column sums", "[reduce]", float, double) {
  const CpuContext context;
  const double tolerance = std::is_same_v<TestType, float> ? 2e-7 : 1e-13;
  for (const Sizes& d : kSizes) {
    CAPTURE(d.r, d.i);
    Buffer<TestType> x{d.r, d.i};
    Buffer<TestType> y{d.i};
    Buffer<double> expected{d.i};
    x.fill_uniform("x", 0, 1);
    expected.fill(0);
    for (std::int64_t at = 0; at < x.size(); ++at) expected[at % d.i] += static_cast<double>(x[at]);
    column_sum<TestType>({.x = x.view(), .y = y.view()}, context);
    check_close("y", y.view(), expected.view(), tolerance, tolerance);
    column_sum<TestType>({.x = x.view(), .y = y.view(), .mode = GradMode::kAdd}, context);
    for (std::int64_t at = 0; at < d.i; ++at) expected[at] *= 2;
    check_close("y accumulated", y.view(), expected.view(), tolerance, 2 * tolerance);
    CHECK(y.guards_intact());
  }
  Buffer<TestType> none{0, 3};
  Buffer<TestType> y{3};
  column_sum<TestType>({.x = none.view(), .y = y.view()}, context);
  CHECK((y[0] == 0 && y[2] == 0));
}

TEST_CASE("reduce: the gradient of the mean matches finite differences", "[reduce]") {
  const CpuContext context;
  Buffer<double> x{2, 5, 3};
  Buffer<double> y{2, 3};
  Buffer<double> dy{2, 3};
  Buffer<double> dx{2, 5, 3};
  x.fill_uniform("x");
  dy.fill_uniform("dy");
  mean_backward<double>({.dy = dy.view(), .dx = dx.view()}, context);
  check_gradient("dx", x.view(), dx.view(), [&] {
    mean_forward<double>({.x = x.view(), .y = y.view()}, context);
    return weighted_sum(y.view(), dy.view());
  });
}

TEMPLATE_TEST_CASE("reduce: squared norm", "[reduce]", float, double) {
  const CpuContext context;
  for (const std::int64_t n : {0, 1, 35, 70001}) {
    Buffer<TestType> x{n};
    x.fill_uniform("x");
    double expected = 0;
    for (std::int64_t i = 0; i < n; ++i) expected += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    CHECK(std::abs(squared_norm<TestType>(x.view(), context) - expected) <= 1e-12 * expected);
  }
  Buffer<TestType> x{3};
  x.fill(1);
  x[1] = std::numeric_limits<TestType>::quiet_NaN();
  CHECK(std::isnan(squared_norm<TestType>(x.view(), context)));
}

TEMPLATE_TEST_CASE("reduce: the first number that is not finite", "[reduce]", float, double) {
  const CpuContext context;
  Buffer<TestType> x{50001};
  x.fill_uniform("x");
  x[7] = std::numeric_limits<TestType>::max();
  x[8] = std::numeric_limits<TestType>::denorm_min();
  CHECK(first_not_finite<TestType>(x.view(), context) == -1);
  x[50000] = std::numeric_limits<TestType>::infinity();
  CHECK(first_not_finite<TestType>(x.view(), context) == 50000);
  x[33000] = std::numeric_limits<TestType>::quiet_NaN();
  x[33010] = -std::numeric_limits<TestType>::infinity();
  CHECK(first_not_finite<TestType>(x.view(), context) == 33000);
  x[0] = -std::numeric_limits<TestType>::infinity();
  CHECK(first_not_finite<TestType>(x.view(), context) == 0);
  Buffer<TestType> none{0};
  CHECK(first_not_finite<TestType>(none.view(), context) == -1);
}

TEST_CASE("reduce: the same bits for any number of threads", "[reduce]") {
  const CpuContext context;
  Buffer<float> x{2, 40000, 5};
  Buffer<float> one{2, 5};
  Buffer<float> three{2, 5};
  x.fill_uniform("x", 0, 1);
  double norm = 0;
  {
    const Threads threads(1);
    mean_forward<float>({.x = x.view(), .y = one.view()}, context);
    norm = squared_norm<float>(x.view(), context);
  }
  const Threads threads(3);
  mean_forward<float>({.x = x.view(), .y = three.view()}, context);
  check_same_bits("mean", one.view(), three.view());
  CHECK(squared_norm<float>(x.view(), context) == norm);
}

TEST_CASE("reduce: wrong arguments throw", "[reduce]") {
  const CpuContext context;
  Buffer<float> x{2, 0, 3};
  Buffer<float> y{2, 3};
  Buffer<float> wrong{3, 2};
  CHECK_THROWS_AS(mean_forward<float>({.x = x.view(), .y = y.view()}, context), Error);  // a mean of nothing
  CHECK_THROWS_AS(mean_forward<float>({.x = y.view(), .y = y.view()}, context), Error);
  CHECK_THROWS_AS(mean_backward<float>({.dy = wrong.view(), .dx = x.view()}, context), Error);
  CHECK_THROWS_AS(column_sum<float>({.x = y.view(), .y = y.view()}, context), Error);
  CHECK_THROWS_AS(squared_norm<float>(View<const float>(nullptr, {3}), context), Error);
  CHECK_THROWS_AS(first_not_finite<float>(View<const float>(nullptr, {3}), context), Error);
}

}  // namespace dcase::test
