#pragma once
// Bound by memory: two items are read and one written. Grid: (blocks along an item, items); a thread takes one or four
// neighbours at a time, contiguous over the block.

#include "kernels/common/lanes.cuh"

namespace dcase::cuda {

/// y[n] = lam * x[n] + rest * x[perm[n]]; an item whose index is none of the batch becomes NaN.
template <int kWidth>
__global__ void __launch_bounds__(kLaneThreads)
    mixup_kernel(const float* __restrict__ x, const std::int64_t* perm, float* __restrict__ y, std::int64_t width,
                 float lam, float rest) {
  const std::int64_t other = perm[blockIdx.y];
  const bool known = other >= 0 && other < gridDim.y;
  const float* const first = x + blockIdx.y * width;
  const float* const second = known ? x + other * width : first;
  const float factor = known ? rest : NAN;
  float* const out = y + blockIdx.y * width;
  const std::int64_t step = std::int64_t{gridDim.x} * kLaneThreads * kWidth;
  for (std::int64_t i = (std::int64_t{blockIdx.x} * kLaneThreads + threadIdx.x) * kWidth; i < width; i += step) {
    Vector<kWidth> value = load_vector<kWidth>(first + i);
    const Vector<kWidth> mixed = load_vector<kWidth>(second + i);
    DCASE_UNROLL
    for (int j = 0; j < kWidth; ++j) value.at[j] = fmaf(lam, value.at[j], factor * mixed.at[j]);
    put_vector<kWidth>(out + i, value, false);
  }
}

}  // namespace dcase::cuda
