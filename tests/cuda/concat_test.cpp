// Joining and repeating on the emulated device.

#include "kernels/elementwise/concat.hpp"

#include <cmath>

#include "tests/cuda/cuda_context.hpp"
#include "tests/support/threads.hpp"

namespace dcase::test {

namespace {

void check_concat(std::int64_t rows, std::int64_t ca, std::int64_t cb, std::int64_t offset) {
  CAPTURE(rows, ca, cb, offset);
  Buffer<float> a{rows, ca};
  Buffer<float> b{rows, cb};
  Buffer<float> y{rows, ca + cb};
  Buffer<float> expected{rows, ca + cb};
  a.fill_uniform("a");
  b.fill_uniform("b");
  const CudaContext context;
  const CpuContext cpu;
  const OnDevice on_a(a.view(), offset);
  const OnDevice on_b(b.view(), offset);
  const OnDevice on_y(y.view(), offset);
  concat2_forward<float>({.a = on_a.view(), .b = on_b.view(), .y = on_y.view()}, context);
  concat2_forward<float>({.a = a.view(), .b = b.view(), .y = expected.view()}, cpu);
  on_y.download(y.view());
  check_same_bits("y", y.view(), expected.view());
  for (const GradMode mode : {GradMode::kAdd, GradMode::kSet}) {
    concat2_backward<float>(
        {.dy = on_y.view(), .ca = ca, .da = on_a.view(), .db = on_b.view(), .da_mode = mode, .db_mode = mode}, context);
    concat2_backward<float>(
        {.dy = y.view(), .ca = ca, .da = a.view(), .db = b.view(), .da_mode = mode, .db_mode = mode}, cpu);
    Buffer<float> da{rows, ca};
    Buffer<float> db{rows, cb};
    on_a.download(da.view());
    on_b.download(db.view());
    check_same_bits("da", da.view(), a.view());
    check_same_bits("db", db.view(), b.view());
  }
}

void check_repeat(std::int64_t n, std::int64_t t, std::int64_t f, std::int64_t times, std::int64_t offset) {
  CAPTURE(n, t, f, times, offset);
  Buffer<float> x{n, t, f};
  Buffer<float> y{n, t * times, f};
  Buffer<float> expected{n, t * times, f};
  Buffer<double> dx2{n, t, f};
  Buffer<double> dy2{n, t * times, f};
  x.fill_uniform("x");
  dx2.fill_uniform("x");
  dy2.fill_uniform("dy");
  const CudaContext context;
  const CpuContext cpu;
  const OnDevice on_x(x.view(), offset);
  const OnDevice on_y(y.view(), offset);
  repeat_time_forward<float>({.x = on_x.view(), .times = times, .y = on_y.view()}, context);
  repeat_time_forward<float>({.x = x.view(), .times = times, .y = expected.view()}, cpu);
  on_y.download(y.view());
  check_same_bits("y", y.view(), expected.view());
  y.fill_uniform("dy");
  const OnDevice on_dy(y.view(), offset);
  for (const GradMode mode : {GradMode::kAdd, GradMode::kSet}) {
    repeat_time_backward<float>({.dy = on_dy.view(), .times = times, .dx = on_x.view(), .dx_mode = mode}, context);
    repeat_time_backward<double>({.dy = dy2.view(), .times = times, .dx = dx2.view(), .dx_mode = mode}, cpu);
    on_x.download(x.view());
    check_close("dx", x.view(), dx2.view(), 6e-7, 1e-7);  // roundings of up to nine sums of size up to 4
  }
}

}  // namespace

TEST_CASE("cuda concat: joins, parts and repeats are those of the CPU", "[cuda][elementwise]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    check_concat(5, 3, 4, 0);
    check_concat(9, 8, 4, 0);
    check_concat(9, 8, 4, 1);
    check_concat(1, 1, 1, 0);
    check_concat(5, 0, 4, 0);
    check_concat(0, 3, 4, 0);
    check_repeat(2, 5, 3, 3, 0);
    check_repeat(2, 3, 8, 8, 0);
    check_repeat(2, 3, 8, 8, 1);
    check_repeat(1, 1, 1, 1, 0);
    check_repeat(2, 0, 3, 2, 0);
  });
  // Several blocks of lanes, more rows than a block takes at a time.
  check_concat(67, 128, 132, 0);
  check_concat(31, 67, 33, 0);
  check_repeat(2, 37, 132, 8, 0);
  check_repeat(1, 31, 67, 8, 0);
}

TEST_CASE("cuda concat: one part alone; wrong shapes throw with the operator's name", "[cuda][elementwise]") {
  const FreshRuntime fresh;
  const CudaContext context;
  Buffer<float> dy{5, 7};
  Buffer<float> part{5, 3};
  Buffer<float> frames{2, 6, 3};
  dy.fill_uniform("dy");
  frames.fill_uniform("frames");
  const OnDevice on_dy(dy.view());
  const OnDevice on_part(part.view());
  const OnDevice on_frames(frames.view());
  concat2_backward<float>({.dy = on_dy.view(), .ca = 4, .db = on_part.view()}, context);
  on_part.download(part.view());
  CHECK((part[0] == dy[4] && part[14] == dy[34]));
  concat2_backward<float>({.dy = on_dy.view(), .ca = 3, .da = on_part.view()}, context);
  on_part.download(part.view());
  CHECK((part[0] == dy[0] && part[14] == dy[30]));
  CHECK_THROWS_WITH(concat2_backward<float>({.dy = on_dy.view(), .ca = 8}, context),
                    "concat2_backward: ca is 8, dy has 7 columns");
  CHECK_THROWS_WITH(concat2_forward<float>({.a = on_part.view(), .b = on_part.view(), .y = on_dy.view()}, context),
                    "concat2_forward: y has shape [5,7], expected [5,6]");
  CHECK_THROWS_WITH(repeat_time_forward<float>({.x = on_frames.view(), .times = 2, .y = on_frames.view()}, context),
                    "repeat_time_forward: y has shape [2,6,3], expected [2,12,3]");
  CHECK_THROWS_WITH(repeat_time_backward<float>({.dy = on_frames.view(), .times = 0, .dx = on_frames.view()}, context),
                    "repeat_time_backward: times is 0");
}

}  // namespace dcase::test
