#pragma once
// Bound by memory: 12 bytes an element, 20 with momentum. One element a thread and turn; a warp's accesses are
// contiguous.

#include "kernels/common/dialect.cuh"

namespace dcase::cuda {

inline constexpr int kSgdThreads = 256;

/// The arrays of SgdStep, n elements each; b is used with kMomentum alone.
struct SgdArrays {
  const float* g;
  float* p;
  float* b;
  std::int64_t n;
};

struct SgdFactors {
  float lr, momentum, decay, grad_scale;
  bool nesterov;
};

template <bool kMomentum>
__global__ void __launch_bounds__(kSgdThreads) sgd_kernel(SgdArrays a, SgdFactors f) {
  const std::int64_t threads = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < a.n; i += threads) {
    const float p = a.p[i];
    float direction = f.grad_scale * a.g[i] + f.decay * p;
    if (kMomentum) {
      const float b = f.momentum * a.b[i] + direction;
      a.b[i] = b;
      direction = f.nesterov ? direction + f.momentum * b : b;
    }
    a.p[i] = p - f.lr * direction;
  }
}

}  // namespace dcase::cuda
