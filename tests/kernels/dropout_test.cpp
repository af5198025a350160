#include "kernels/elementwise/dropout.hpp"

#include <cmath>

#include "tests/support/compare.hpp"
#include "tests/support/threads.hpp"

namespace dcase::test {

namespace {
const RandomKey kKey{.seed = 11, .purpose = purpose_id("dropout/test"), .step = 3};
}

TEMPLATE_TEST_CASE("dropout: the mask is that of the key, element by element", "[dropout]", float, double) {
  const CpuContext context;
  // The last is above a chunk of 16384.
  for (const std::int64_t n : {1, 0, 35, 40000}) {
    CAPTURE(n);
    Buffer<TestType> x{n};
    Buffer<TestType> y{n};
    Buffer<double> expected{n};
    x.fill_uniform("x");
    dropout_forward<TestType>({.x = x.view(), .p = 0.2, .key = kKey, .y = y.view()}, context);
    std::int64_t kept = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      const bool keep = uniform_float(kKey, static_cast<std::uint64_t>(i)) >= 0.2F;
      kept += keep;
      expected[i] = keep ? static_cast<double>(x[i]) / 0.8 : 0;
    }
    check_close("y", y.view(), expected.view(), 1e-7, 1e-7);
    if (n == 40000) CHECK(std::abs(static_cast<double>(kept) / 40000 - 0.8) < 0.01);  // five standard deviations

    // Backward is the same mask on dy; x stands in for dy.
    Buffer<TestType> dx{n};
    dx.fill(1);
    dropout_backward<TestType>({.dy = x.view(), .p = 0.2, .key = kKey, .dx = dx.view(), .dx_mode = GradMode::kAdd},
                               context);
    for (std::int64_t i = 0; i < n; ++i) expected[i] += 1;
    check_close("dx accumulated", dx.view(), expected.view(), 1e-7, 3e-7);
    dropout_backward<TestType>({.dy = x.view(), .p = 0.2, .key = kKey, .dx = x.view()}, context);
    check_same_bits("dx in place", x.view(), y.view());
    CHECK((y.guards_intact() && dx.guards_intact()));
  }
}

TEST_CASE("dropout: gradients match finite differences, and p = 0 is the identity", "[dropout]") {
  const CpuContext context;
  Buffer<double> x{5, 7};
  Buffer<double> y{5, 7};
  Buffer<double> dy{5, 7};
  Buffer<double> dx{5, 7};
  x.fill_uniform("x");
  dy.fill_uniform("dy");
  dropout_backward<double>({.dy = dy.view(), .p = 0.5, .key = kKey, .dx = dx.view()}, context);
  check_gradient("dx", x.view(), dx.view(), [&] {
    dropout_forward<double>({.x = x.view(), .p = 0.5, .key = kKey, .y = y.view()}, context);
    return weighted_sum(y.view(), dy.view());
  });
  dropout_forward<double>({.x = x.view(), .p = 0, .key = kKey, .y = y.view()}, context);
  check_same_bits("p = 0", y.view(), x.view());
}

TEST_CASE("dropout: steps, purposes and seeds have masks of their own; threads do not", "[dropout]") {
  const CpuContext context;
  Buffer<float> x{50000};
  Buffer<float> y{50000};
  Buffer<float> other{50000};
  x.fill(1);
  const auto agreement = [&](const RandomKey& key) {
    dropout_forward<float>({.x = x.view(), .p = 0.5, .key = key, .y = other.view()}, context);
    std::int64_t same = 0;
    for (std::int64_t i = 0; i < x.size(); ++i) same += y[i] == other[i];
    return static_cast<double>(same) / static_cast<double>(x.size());
  };
  {
    const Threads threads(1);
    dropout_forward<float>({.x = x.view(), .p = 0.5, .key = kKey, .y = y.view()}, context);
  }
  const Threads threads(3);
  CHECK(agreement(kKey) == 1);
  CHECK(std::abs(agreement({.seed = 12, .purpose = kKey.purpose, .step = 3}) - 0.5) < 0.02);
  CHECK(std::abs(agreement({.seed = 11, .purpose = kKey.purpose + 1, .step = 3}) - 0.5) < 0.02);
  CHECK(std::abs(agreement({.seed = 11, .purpose = kKey.purpose, .step = 4}) - 0.5) < 0.02);
}

TEST_CASE("dropout: wrong arguments throw", "[dropout]") {
  const CpuContext context;
  Buffer<float> x{6};
  Buffer<float> y{5};
  x.fill(1);
  for (const double p : {-0.1, 1.0, std::nan("")}) {
    CHECK_THROWS_AS(dropout_forward<float>({.x = x.view(), .p = p, .key = kKey, .y = x.view()}, context), Error);
  }
  CHECK_THROWS_AS(dropout_forward<float>({.x = x.view(), .p = 0.5, .key = kKey, .y = y.view()}, context), Error);
  CHECK_THROWS_AS(
      dropout_backward<float>({.dy = View<float>(nullptr, {6}), .p = 0.5, .key = kKey, .dx = x.view()}, context),
      Error);
}

}  // namespace dcase::test
