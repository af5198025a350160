#pragma once
// Small pieces that the convolution kernels share.

#include "kernels/common/ptx.cuh"
#include "kernels/conv2d/conv2d_task.hpp"

namespace dcase::cuda {

/// Where position `p` of the spread-out map stands in the map of `size`: p / up, or -1 where nothing stands.
__device__ __forceinline__ int source_of(int p, int up, int size) {
  if (p < 0) return -1;
  if (up > 1) {
    if (p % up != 0) return -1;
    p /= up;
  }
  return p < size ? p : -1;
}

__device__ __forceinline__ unsigned bf16_pair(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  unsigned bits = 0;
  memcpy(&bits, &pair, sizeof(bits));
  return bits;
}

__device__ __forceinline__ float conv_activation(float v, int relu) {
  return relu != 0 && v < 0 ? 0.0F : v;  // NaN stays
}

/// What a value of channel c inside the map becomes before it is multiplied.
__device__ __forceinline__ float conv_prologue(const ConvTask& g, float v, int c) {
  return conv_activation(fmaf(v, g.in_scale[c], g.in_shift[c]), g.in_relu);
}

}  // namespace dcase::cuda
