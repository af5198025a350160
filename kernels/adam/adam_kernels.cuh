#pragma once
// Bound by memory: 28 bytes an element (36 with amsgrad), for fourteen operations. One element a thread and turn; a
// warp's accesses are contiguous.

#include "kernels/adam/adam.hpp"
#include "kernels/common/dialect.cuh"

namespace dcase::cuda {

inline constexpr int kAdamThreads = 256;

/// The arrays of AdamStep, n elements each; vmax is used with kAmsgrad alone.
struct AdamArrays {
  const float* g;
  float* p;
  float* m;
  float* v;
  float* vmax;
  std::int64_t n;
};

template <bool kAmsgrad>
__global__ void __launch_bounds__(kAdamThreads) adam_kernel(AdamArrays a, AdamFactors<float> f) {
  const std::int64_t threads = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < a.n; i += threads) {
    const float p = a.p[i];
    const float gradient = f.grad_scale * a.g[i] + f.decay * p;
    const float m = f.beta1 * a.m[i] + f.rest1 * gradient;
    const float v = f.beta2 * a.v[i] + f.rest2 * gradient * gradient;
    float second = v;
    if (kAmsgrad) {
      const float largest = a.vmax[i];
      second = largest > v ? largest : v;
      a.vmax[i] = second;
    }
    a.m[i] = m;
    a.v[i] = v;
    a.p[i] = p - f.step_size * m / (sqrtf(second) / f.root_correction + f.eps);
  }
}

}  // namespace dcase::cuda
