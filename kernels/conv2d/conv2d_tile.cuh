#pragma once
// Small pieces that the convolution kernels share.

#include "kernels/common/bf16.cuh"
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

// On tensor cores both precisions share one layout: a 16-byte place of shared memory holds 8 channels in bf16 or 4 in
// tf32, an ldmatrix row either way, and one mma takes two places deep.

/// The 16 bytes that stand for these channels in shared memory: 8 in bf16, 4 rounded to tf32 or as they are.
template <Precision kPrecision, int kElements>
__device__ __forceinline__ uint4 conv_place(const float (&v)[kElements]) {
  if constexpr (kPrecision == Precision::kBf16) {
    static_assert(kElements == 8);
    return {to_bf16_pair(v[0], v[1]), to_bf16_pair(v[2], v[3]), to_bf16_pair(v[4], v[5]), to_bf16_pair(v[6], v[7])};
  } else if constexpr (kPrecision == Precision::kTf32) {
    static_assert(kElements == 4);
    return {to_tf32(v[0]), to_tf32(v[1]), to_tf32(v[2]), to_tf32(v[3])};
  } else {
    static_assert(kElements == 4);
    return {__float_as_uint(v[0]), __float_as_uint(v[1]), __float_as_uint(v[2]), __float_as_uint(v[3])};
  }
}

/// c += a * b over two places of depth.
template <Precision kPrecision>
__device__ __forceinline__ void conv_mma(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  if constexpr (kPrecision == Precision::kBf16) {
    mma_bf16(c, a, b);
  } else {
    mma_tf32(c, a, b);
  }
}

__device__ __forceinline__ float conv_activation(float v, int relu) {
  return relu != 0 && v < 0 ? 0.0F : v;  // NaN stays
}

/// The gradient in front of the ReLU: of an output that the epilogue kGradients writes, for channel o.
__device__ __forceinline__ float conv_gradient(const ConvTask& g, float sum, float below, int o) {
  return g.relu != 0 && !(fmaf(below, g.below_scale[o], g.below_shift[o]) > 0) ? 0.0F : sum;
}

/// What a value of channel c inside the map becomes before it is multiplied.
__device__ __forceinline__ float conv_prologue(const ConvTask& g, float v, int c) {
  return conv_activation(fmaf(v, g.in_scale[c], g.in_shift[c]), g.in_relu);
}

}  // namespace dcase::cuda
