#include "kernels/mixup/mixup.hpp"

#include "tests/support/compare.hpp"
#include "tests/support/threads.hpp"

namespace dcase::test {

TEMPLATE_TEST_CASE("mixup: items mixed with those of the permutation", "[mixup]", float, double) {
  const CpuContext context;
  const double tolerance = std::is_same_v<TestType, float> ? 2e-7 : 1e-15;
  // The last has items above a chunk of 16384.
  for (const std::int64_t width : {1, 0, 35, 20011}) {
    CAPTURE(width);
    Buffer<TestType> x{4, width};
    Buffer<TestType> y{4, width};
    Buffer<double> expected{4, width};
    const std::int64_t perm[] = {2, 0, 3, 3};
    x.fill_uniform("x");
    for (std::int64_t i = 0; i < x.size(); ++i) {
      expected[i] = 0.3 * static_cast<double>(x[i]) + 0.7 * static_cast<double>(x[perm[i / width] * width + i % width]);
    }
    mixup<TestType>({.x = x.view(), .perm = {perm, {4}}, .lam = 0.3, .y = y.view()}, context);
    check_close("y", y.view(), expected.view(), tolerance, tolerance);
    CHECK(y.guards_intact());
    mixup<TestType>({.x = x.view(), .perm = {perm, {4}}, .lam = 1, .y = y.view()}, context);
    check_same_bits("lam = 1", y.view(), x.view());
  }
  Buffer<TestType> none{0, 3};
  mixup<TestType>({.x = none.view(), .perm = {nullptr, {0}}, .lam = 0.3, .y = none.view()}, context);
  CHECK(none.guards_intact());
}

TEST_CASE("mixup: the same bits for any number of threads", "[mixup]") {
  const CpuContext context;
  Buffer<float> x{3, 40000};
  Buffer<float> one{3, 40000};
  Buffer<float> three{3, 40000};
  const std::int64_t perm[] = {1, 2, 0};
  x.fill_uniform("x");
  {
    const Threads threads(1);
    mixup<float>({.x = x.view(), .perm = {perm, {3}}, .lam = 0.3, .y = one.view()}, context);
  }
  const Threads threads(3);
  mixup<float>({.x = x.view(), .perm = {perm, {3}}, .lam = 0.3, .y = three.view()}, context);
  check_same_bits("y", one.view(), three.view());
}

TEST_CASE("mixup: wrong arguments throw", "[mixup]") {
  const CpuContext context;
  Buffer<float> x{3, 2};
  Buffer<float> y{3, 2};
  Buffer<float> other{2, 3};
  x.fill(1);
  for (const std::int64_t bad : {-1, 3}) {
    const std::int64_t perm[] = {0, 1, bad};
    CHECK_THROWS_AS(mixup<float>({.x = x.view(), .perm = {perm, {3}}, .y = y.view()}, context), Error);
  }
  const std::int64_t perm[] = {0, 1, 2};
  CHECK_THROWS_AS(mixup<float>({.x = x.view(), .perm = {perm, {2}}, .y = y.view()}, context), Error);
  CHECK_THROWS_AS(mixup<float>({.x = x.view(), .perm = {perm, {3}}, .y = other.view()}, context), Error);
  CHECK_THROWS_AS(mixup<float>({.x = x.view(), .perm = {perm, {3}}}, context), Error);
}

}  // namespace dcase::test
