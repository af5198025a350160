#include "kernels/elementwise/concat.hpp"

#include <array>

#include "tests/support/compare.hpp"
#include "tests/support/threads.hpp"

namespace dcase::test {

TEMPLATE_TEST_CASE("concat2: rows side by side, and apart again", "[concat]", float, double) {
  const CpuContext context;
  // The last is above a chunk of 16384.
  for (const auto& [rows, ca, cb] :
       {std::array<std::int64_t, 3>{5, 3, 7}, {1, 1, 1}, {4, 3, 0}, {0, 3, 2}, {700, 31, 22}}) {
    CAPTURE(rows, ca, cb);
    Buffer<TestType> a{rows, ca};
    Buffer<TestType> b{rows, cb};
    Buffer<TestType> y{rows, ca + cb};
    a.fill_uniform("a");
    b.fill_uniform("b");
    concat2_forward<TestType>({.a = a.view(), .b = b.view(), .y = y.view()}, context);
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < y.size(); ++i) {
      const std::int64_t r = i / (ca + cb);
      const std::int64_t c = i % (ca + cb);
      wrong += y[i] != (c < ca ? a[r * ca + c] : b[r * cb + c - ca]);
    }
    CHECK(wrong == 0);

    Buffer<TestType> da{rows, ca};
    Buffer<TestType> db{rows, cb};
    concat2_backward<TestType>({.dy = y.view(), .ca = ca, .da = da.view(), .db = db.view()}, context);
    check_same_bits("da", da.view(), a.view());
    check_same_bits("db", db.view(), b.view());
    // db accumulates, da is not wanted.
    concat2_backward<TestType>({.dy = y.view(), .ca = ca, .db = db.view(), .db_mode = GradMode::kAdd}, context);
    for (std::int64_t i = 0; i < b.size(); ++i) b[i] *= 2;
    check_same_bits("db accumulated", db.view(), b.view());
    concat2_backward<TestType>({.dy = y.view(), .ca = ca, .da = da.view(), .da_mode = GradMode::kAdd}, context);
    for (std::int64_t i = 0; i < a.size(); ++i) a[i] *= 2;
    check_same_bits("da accumulated", da.view(), a.view());
    CHECK((y.guards_intact() && da.guards_intact() && db.guards_intact()));
  }
}

TEMPLATE_TEST_CASE("repeat_time: frames repeated, gradients summed", "[concat]", float, double) {
  const CpuContext context;
  for (const auto& [n, t, f, times] :
       {std::array<std::int64_t, 4>{2, 3, 5, 4}, {1, 1, 1, 1}, {2, 0, 3, 8}, {7, 101, 14, 8}}) {
    CAPTURE(n, t, f, times);
    Buffer<TestType> x{n, t, f};
    Buffer<TestType> y{n, t * times, f};
    x.fill_uniform("x");
    repeat_time_forward<TestType>({.x = x.view(), .times = times, .y = y.view()}, context);
    Buffer<TestType> dy{n, t * times, f};
    Buffer<TestType> dx{n, t, f};
    Buffer<double> expected{n, t, f};
    dy.fill_uniform("dy");
    expected.fill(0);
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < y.size(); ++i) {
      const std::int64_t source = i / (times * f) * f + i % f;
      wrong += y[i] != x[source];
      expected[source] += static_cast<double>(dy[i]);
    }
    CHECK(wrong == 0);
    repeat_time_backward<TestType>({.dy = dy.view(), .times = times, .dx = dx.view()}, context);
    check_close("dx", dx.view(), expected.view(), 1e-7, 1e-7);
    repeat_time_backward<TestType>({.dy = dy.view(), .times = times, .dx = dx.view(), .dx_mode = GradMode::kAdd},
                                   context);
    for (std::int64_t i = 0; i < dx.size(); ++i) expected[i] *= 2;
    check_close("dx accumulated", dx.view(), expected.view(), 1e-7, 2e-7);
    CHECK((y.guards_intact() && dx.guards_intact()));
  }
}

TEST_CASE("concat2, repeat_time: gradients match finite differences", "[concat]") {
  const CpuContext context;
  Buffer<double> a{3, 2};
  Buffer<double> b{3, 5};
  Buffer<double> y{3, 7};
  Buffer<double> dy{3, 7};
  Buffer<double> da{3, 2};
  Buffer<double> db{3, 5};
  a.fill_uniform("a");
  b.fill_uniform("b");
  dy.fill_uniform("dy");
  concat2_backward<double>({.dy = dy.view(), .ca = 2, .da = da.view(), .db = db.view()}, context);
  const auto loss = [&] {
    concat2_forward<double>({.a = a.view(), .b = b.view(), .y = y.view()}, context);
    return weighted_sum(y.view(), dy.view());
  };
  check_gradient("da", a.view(), da.view(), loss);
  check_gradient("db", b.view(), db.view(), loss);

  Buffer<double> x{2, 3, 4};
  Buffer<double> z{2, 15, 4};
  Buffer<double> dz{2, 15, 4};
  Buffer<double> dx{2, 3, 4};
  x.fill_uniform("x");
  dz.fill_uniform("dz");
  repeat_time_backward<double>({.dy = dz.view(), .times = 5, .dx = dx.view()}, context);
  check_gradient("dx", x.view(), dx.view(), [&] {
    repeat_time_forward<double>({.x = x.view(), .times = 5, .y = z.view()}, context);
    return weighted_sum(z.view(), dz.view());
  });
}

TEST_CASE("concat2, repeat_time: the same bits for any number of threads", "[concat]") {
  const CpuContext context;
  Buffer<float> dy{9, 800, 37};
  Buffer<float> one{9, 100, 37};
  Buffer<float> three{9, 100, 37};
  dy.fill_uniform("dy");
  {
    const Threads threads(1);
    repeat_time_backward<float>({.dy = dy.view(), .times = 8, .dx = one.view()}, context);
  }
  const Threads threads(3);
  repeat_time_backward<float>({.dy = dy.view(), .times = 8, .dx = three.view()}, context);
  check_same_bits("dx", one.view(), three.view());
}

TEST_CASE("concat2, repeat_time: wrong arguments throw", "[concat]") {
  const CpuContext context;
  Buffer<float> a{3, 2};
  Buffer<float> b{3, 4};
  Buffer<float> c{2, 4};
  Buffer<float> y{3, 6};
  y.fill(0);
  CHECK_THROWS_AS(concat2_forward<float>({.a = a.view(), .b = a.view(), .y = y.view()}, context), Error);
  CHECK_THROWS_AS(concat2_forward<float>({.a = a.view(), .b = c.view(), .y = y.view()}, context), Error);
  CHECK_THROWS_AS(concat2_forward<float>({.a = a.view(), .b = b.view()}, context), Error);
  CHECK_THROWS_AS(concat2_backward<float>({.dy = y.view(), .ca = 3, .da = a.view()}, context), Error);
  CHECK_THROWS_AS(concat2_backward<float>({.dy = y.view(), .ca = 7}, context), Error);
  Buffer<float> x{2, 3, 4};
  Buffer<float> z{2, 9, 4};
  CHECK_THROWS_AS(repeat_time_forward<float>({.x = x.view(), .times = 2, .y = z.view()}, context), Error);
  CHECK_THROWS_AS(repeat_time_forward<float>({.x = x.view(), .times = 0, .y = z.view()}, context), Error);
  CHECK_THROWS_AS(repeat_time_backward<float>({.dy = x.view(), .times = 3, .dx = z.view()}, context), Error);
}

}  // namespace dcase::test
