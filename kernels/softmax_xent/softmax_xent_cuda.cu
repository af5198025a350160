#include "kernels/softmax_xent/softmax_xent.hpp"

#include "kernels/common/launch.hpp"
#include "kernels/softmax_xent/softmax_xent_kernels.cuh"

namespace dcase::cuda {

void softmax_forward(const SoftmaxForward<float>& a, const Context& context) {
  check(a);
  const std::int64_t rows = a.x.dim(0);
  if (rows == 0) return;
  launch(softmax_forward_kernel,
         {.grid = strided_blocks(rows, kSoftmaxThreads / 32),
          .block = kSoftmaxThreads,
          .stream = context.stream,
          .name = "softmax_forward"},
         a.x.data, a.y.data, rows, a.x.dim(1));
}

void softmax_xent(const SoftmaxXent<float>& a, const Context& context) {
  check(a);
  launch(softmax_xent_kernel, {.grid = 1, .block = kXentThreads, .stream = context.stream, .name = "softmax_xent"},
         SoftmaxXentArguments{.logits = a.logits.data,
                              .target = a.target.data,
                              .weight = a.weight.data,
                              .loss = a.loss.data,
                              .dlogits = a.dlogits.data,
                              .N = a.logits.dim(0),
                              .K = a.logits.dim(1),
                              .grad_scale = a.grad_scale,
                              .accumulate = a.dlogits_mode == GradMode::kAdd});
}

}  // namespace dcase::cuda
