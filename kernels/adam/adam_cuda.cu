#include "kernels/adam/adam_kernels.cuh"
#include "kernels/common/launch.hpp"

namespace dcase::cuda {

void adam_step(const AdamStep<float>& a, const Context& context) {
  check(a);
  const std::int64_t n = a.p.size();
  if (n == 0) return;
  const Launch l{
      .grid = strided_blocks(n, kAdamThreads), .block = kAdamThreads, .stream = context.stream, .name = "adam_step"};
  const AdamArrays arrays{a.g.data, a.p.data, a.m.data, a.v.data, a.vmax.data, n};
  const AdamFactors<float> factors(a);
  if (a.vmax.present()) {
    launch(adam_kernel<true>, l, arrays, factors);
  } else {
    launch(adam_kernel<false>, l, arrays, factors);
  }
}

}  // namespace dcase::cuda
