#include "kernels/common/launch.hpp"
#include "kernels/sgd/sgd.hpp"
#include "kernels/sgd/sgd_kernels.cuh"

namespace dcase::cuda {

void sgd_step(const SgdStep<float>& a, const Context& context) {
  check(a);
  const std::int64_t n = a.p.size();
  if (n == 0) return;
  launch(a.momentum > 0 ? sgd_kernel<true> : sgd_kernel<false>,
         {.grid = strided_blocks(n, kSgdThreads), .block = kSgdThreads, .stream = context.stream, .name = "sgd_step"},
         SgdArrays{a.g.data, a.p.data, a.b.data, n},
         SgdFactors{.lr = static_cast<float>(a.lr),
                    .momentum = static_cast<float>(a.momentum),
                    .decay = static_cast<float>(a.weight_decay),
                    .grad_scale = static_cast<float>(a.grad_scale),
                    .nesterov = a.nesterov});
}

}  // namespace dcase::cuda
