#include "kernels/elementwise/elementwise.hpp"

#include "kernels/common/launch.hpp"
#include "kernels/elementwise/checks.hpp"
#include "kernels/elementwise/elementwise_kernels.cuh"

namespace dcase::cuda {
namespace {

bool aligned(const float* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; }

// A thread takes four elements at a time.
Launch launch_over(const char* op, std::int64_t n, const Context& context) {
  return {.grid = strided_blocks(n, 4 * kElementwiseThreads),
          .block = kElementwiseThreads,
          .stream = context.stream,
          .name = op};
}

template <class Function, bool kAdd>
void map_as(const char* op, View<const float> x, View<float> y, Function f, const Context& context) {
  const Launch l = launch_over(op, y.size(), context);
  if (aligned(x.data) && aligned(y.data)) {
    launch(map_kernel<Function, kAdd, true>, l, x.data, y.data, y.size(), f);
  } else {
    launch(map_kernel<Function, kAdd, false>, l, x.data, y.data, y.size(), f);
  }
}

template <class Function>
void map(const char* op, View<const float> x, View<float> y, GradMode mode, Function f, const Context& context) {
  check_same(op, "x", x, "y", y);
  check_same(op, "y", y, "x", x);
  if (y.size() == 0) return;
  mode == GradMode::kAdd ? map_as<Function, true>(op, x, y, f, context) : map_as<Function, false>(op, x, y, f, context);
}

template <class Function, bool kAdd>
void zip_as(const char* op, View<const float> x, View<const float> y, View<float> z, Function f,
            const Context& context) {
  const Launch l = launch_over(op, z.size(), context);
  if (aligned(x.data) && aligned(y.data) && aligned(z.data)) {
    launch(zip_kernel<Function, kAdd, true>, l, x.data, y.data, z.data, z.size(), f);
  } else {
    launch(zip_kernel<Function, kAdd, false>, l, x.data, y.data, z.data, z.size(), f);
  }
}

template <class Args, class Function>
void gradient(const char* op, const Args& a, Function f, const Context& context) {
  check_same(op, "y", a.y, "dx", a.dx);
  check_same(op, "dy", a.dy, "dx", a.dx);
  check_same(op, "dx", a.dx, "y", a.y);
  if (a.dx.size() == 0) return;
  a.dx_mode == GradMode::kAdd ? zip_as<Function, true>(op, a.y, a.dy, a.dx, f, context)
                              : zip_as<Function, false>(op, a.y, a.dy, a.dx, f, context);
}

}  // namespace

void relu_forward(const ReluForward<float>& a, const Context& context) {
  map("relu_forward", a.x, a.y, GradMode::kSet, ReluForwardFunction{}, context);
}

void relu_backward(const ReluBackward<float>& a, const Context& context) {
  gradient("relu_backward", a, ReluBackwardFunction{}, context);
}

void sigmoid_forward(const SigmoidForward<float>& a, const Context& context) {
  map("sigmoid_forward", a.x, a.y, GradMode::kSet, SigmoidForwardFunction{}, context);
}

void sigmoid_backward(const SigmoidBackward<float>& a, const Context& context) {
  gradient("sigmoid_backward", a, SigmoidBackwardFunction{}, context);
}

void tanh_forward(const TanhForward<float>& a, const Context& context) {
  map("tanh_forward", a.x, a.y, GradMode::kSet, TanhForwardFunction{}, context);
}

void tanh_backward(const TanhBackward<float>& a, const Context& context) {
  gradient("tanh_backward", a, TanhBackwardFunction{}, context);
}

void add(const Add<float>& a, const Context& context) {
  check_same("add", "a", a.a, "y", a.y);
  check_same("add", "b", a.b, "y", a.y);
  check_same("add", "y", a.y, "a", a.a);
  if (a.y.size() > 0) zip_as<AddFunction, false>("add", a.a, a.b, a.y, AddFunction{}, context);
}

void scale(const Scale<float>& a, const Context& context) {
  map("scale", a.x, a.y, a.mode, ScaleFunction{static_cast<float>(a.alpha)}, context);
}

void scale_by(const ScaleBy<float>& a, const Context& context) {
  check_shape("scale_by", "s", a.s, {1});
  map("scale_by", a.x, a.y, a.mode, ScaleByFunction{a.s.data}, context);
}

void narrow(const Narrow<float>& a, const Context& context) {
  check_same("narrow", "x", a.x, "y", a.y);
  const std::int64_t n = a.y.size();
  if (n > 0) launch(narrow_kernel, launch_over("narrow", n, context), a.x.data, a.y.data, n);
}

void fill(const Fill<float>& a, const Context& context) {
  check_same("fill", "y", a.y, "y", a.y);
  const std::int64_t n = a.y.size();
  if (n == 0) return;
  launch(fill_kernel, launch_over("fill", n, context), a.y.data, n, static_cast<float>(a.value));
}

}  // namespace dcase::cuda
