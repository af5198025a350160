#pragma once
// Ten rounds of Philox for each element of four bytes in and out: bound by integer arithmetic rather than by memory.
// One element a thread and turn, so that the mask is the function of the element that the contract promises.

#include "kernels/common/dialect.cuh"
#include "kernels/common/philox.hpp"

namespace dcase::cuda {

inline constexpr int kDropoutThreads = 256;

/// out[i] = mask(key, i) * in[i] * factor, or += with kAdd. out may be in.
template <bool kAdd>
__global__ void __launch_bounds__(kDropoutThreads)
    dropout_kernel(const float* in, float* out, std::int64_t n, RandomKey key, std::uint32_t threshold, float factor) {
  const std::int64_t threads = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += threads) {
    const bool keep = philox(key, static_cast<std::uint64_t>(i))[0] >> 8U >= threshold;
    const float value = keep ? in[i] * factor : 0.0F;
    out[i] = kAdd ? out[i] + value : value;
  }
}

}  // namespace dcase::cuda
