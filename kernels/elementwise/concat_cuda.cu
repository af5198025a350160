#include "kernels/elementwise/concat.hpp"

#include "kernels/elementwise/concat_kernels.cuh"

namespace dcase::cuda {
namespace {

Launch launch_over(const char* op, const Lanes& lanes, std::int64_t rows, const Context& context) {
  return {.grid = {lanes.strided(rows, 1), lanes.blocks}, .block = kLaneThreads, .stream = context.stream, .name = op};
}

}  // namespace

void concat2_forward(const Concat2Forward<float>& a, const Context& context) {
  check(a);
  if (a.y.size() == 0) return;
  const char* op = "concat2_forward";
  const bool vector = a.a.dim(1) % 4 == 0 && a.b.dim(1) % 4 == 0 && aligned16(a.a.data, a.b.data, a.y.data);
  const std::int64_t rows = a.y.dim(0);
  const Lanes lanes(op, a.y.dim(1), vector ? 4 : 1);
  launch(vector ? concat2_forward_kernel<4> : concat2_forward_kernel<1>, launch_over(op, lanes, rows, context),
         a.a.data, a.b.data, a.y.data, rows, static_cast<unsigned>(a.a.dim(1)), lanes);
}

void concat2_backward(const Concat2Backward<float>& a, const Context& context) {
  check(a);
  if (a.dy.size() == 0) return;
  const char* op = "concat2_backward";
  const bool vector = a.ca % 4 == 0 && a.dy.dim(1) % 4 == 0 && aligned16(a.dy.data, a.da.data, a.db.data);
  const std::int64_t rows = a.dy.dim(0);
  const Lanes lanes(op, a.dy.dim(1), vector ? 4 : 1);
  launch(vector ? concat2_backward_kernel<4> : concat2_backward_kernel<1>, launch_over(op, lanes, rows, context),
         a.dy.data, a.da.data, a.db.data, a.da_mode == GradMode::kAdd, a.db_mode == GradMode::kAdd, rows,
         static_cast<unsigned>(a.ca), lanes);
}

void repeat_time_forward(const RepeatTimeForward<float>& a, const Context& context) {
  check(a);
  if (a.x.size() == 0) return;
  const char* op = "repeat_time_forward";
  const bool vector = a.x.dim(2) % 4 == 0 && aligned16(a.x.data, a.y.data);
  const std::int64_t rows = a.x.dim(0) * a.x.dim(1);
  const Lanes lanes(op, a.x.dim(2), vector ? 4 : 1);
  launch(vector ? repeat_time_forward_kernel<4> : repeat_time_forward_kernel<1>, launch_over(op, lanes, rows, context),
         a.x.data, a.y.data, rows, a.times, lanes);
}

void repeat_time_backward(const RepeatTimeBackward<float>& a, const Context& context) {
  check(a);
  if (a.dx.size() == 0) return;
  const char* op = "repeat_time_backward";
  const bool vector = a.dx.dim(2) % 4 == 0 && aligned16(a.dy.data, a.dx.data);
  const std::int64_t rows = a.dx.dim(0) * a.dx.dim(1);
  const Lanes lanes(op, a.dx.dim(2), vector ? 4 : 1);
  launch(vector ? repeat_time_backward_kernel<4> : repeat_time_backward_kernel<1>,
         launch_over(op, lanes, rows, context), a.dy.data, a.dx.data, a.dx_mode == GradMode::kAdd, rows, a.times,
         lanes);
}

}  // namespace dcase::cuda
