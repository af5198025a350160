#include "kernels/common/launch.hpp"
#include "kernels/elementwise/checks.hpp"
#include "kernels/elementwise/dropout.hpp"
#include "kernels/elementwise/dropout_kernels.cuh"

namespace dcase::cuda {
namespace {

void apply_mask(const char* op, View<const float> in, View<float> out, double p, const RandomKey& key, GradMode mode,
                const Context& context) {
  const std::uint32_t threshold = dropout_threshold(op, p);
  check_same(op, "input", in, "output", out);
  check_same(op, "output", out, "input", in);
  const std::int64_t n = out.size();
  if (n == 0) return;
  const Launch l{
      .grid = strided_blocks(n, kDropoutThreads), .block = kDropoutThreads, .stream = context.stream, .name = op};
  const auto factor = static_cast<float>(1 / (1 - p));
  if (mode == GradMode::kAdd) {
    launch(dropout_kernel<true>, l, in.data, out.data, n, key, threshold, factor);
  } else {
    launch(dropout_kernel<false>, l, in.data, out.data, n, key, threshold, factor);
  }
}

}  // namespace

void dropout_forward(const DropoutForward<float>& a, const Context& context) {
  apply_mask("dropout_forward", a.x, a.y, a.p, a.key, GradMode::kSet, context);
}

void dropout_backward(const DropoutBackward<float>& a, const Context& context) {
  apply_mask("dropout_backward", a.dy, a.dx, a.p, a.key, a.dx_mode, context);
}

}  // namespace dcase::cuda
