#pragma once
/// Weights of the items of a batch in kernels of losses, and the sum over a warp that they share.

#include "kernels/common/dialect.cuh"

namespace dcase::cuda {

/// Sum over the lanes of a full warp; all lanes get the same bits.
__device__ __forceinline__ double warp_sum(double value) {
  DCASE_UNROLL
  for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_xor_sync(0xFFFFFFFFU, value, lanes);
  return value;
}

/// Weight of item n: 1 where `weight` is null.
__device__ __forceinline__ float item_weight(const float* weight, std::int64_t n) {
  return weight == nullptr ? 1.0F : weight[n];
}

/// Sum of the weights, NaN if one of them is not >= 0. Every warp that needs it takes it itself, in the same order: a
/// batch has few items, and nobody waits for another kernel.
__device__ __forceinline__ double total_item_weight(const float* weight, std::int64_t items) {
  if (weight == nullptr) return static_cast<double>(items);
  double sum = 0;
  for (std::int64_t n = threadIdx.x % 32; n < items; n += 32) {
    sum += weight[n] >= 0 ? static_cast<double>(weight[n]) : static_cast<double>(NAN);
  }
  return warp_sum(sum);
}

}  // namespace dcase::cuda
