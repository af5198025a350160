#pragma once
// The simple convolution, the fallback and the oracle on the device, and the kernel that brings weights into the order
// that the tuned kernels want.

#include "kernels/common/ptx.cuh"
#include "kernels/conv2d/conv2d_task.hpp"
#include "kernels/conv2d/conv2d_tile.cuh"

namespace dcase::cuda {

inline constexpr int kConvSimpleThreads = 256;

/// A thread computes one output at a time, channel after channel of tap after tap. Neighbours have neighbouring output
/// channels: they read the same x and write side by side, but each product costs two loads: bound by the caches.
__global__ void __launch_bounds__(kConvSimpleThreads) conv2d_simple_kernel(ConvTask g) {
  const std::int64_t outputs = g.N * g.My * g.Ty * g.Co;
  const std::int64_t threads = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; at < outputs; at += threads) {
    const int o = static_cast<int>(at % g.Co);
    const std::int64_t position = at / g.Co;
    const int j = static_cast<int>(position % g.Ty);
    const int i = static_cast<int>(position / g.Ty % g.My);
    const std::int64_t n = position / g.Ty / g.My;
    float sum = 0;
    for (int a = 0; a < g.Km; ++a) {
      const int m = source_of(i * g.stride_m + a - g.pad_m, g.up_m, g.M);
      if (m < 0) continue;
      for (int b = 0; b < g.Kt; ++b) {
        const int t = source_of(j * g.stride_t + b - g.pad_t, g.up_t, g.T);
        if (t < 0) continue;
        const float* const x = g.x + ((n * g.M + m) * g.T + t) * g.Ci;
        const float* const w = g.w + o * g.w_o + a * g.w_m + b * g.w_t;
        for (int c = 0; c < g.Ci; ++c) {
          sum += (g.in_scale != nullptr ? conv_prologue(g, x[c], c) : x[c]) * w[c * g.w_i];
        }
      }
    }
    if (g.bias != nullptr) sum = conv_activation(sum + g.bias[o], g.relu);
    g.y[at] = g.accumulate != 0 ? g.y[at] + sum : sum;
  }
}

/// image[tap][chunk][o][e] = w(o, chunk * elements + e, tap); a thread has one element.
template <Precision kPrecision>
__global__ void __launch_bounds__(kConvSimpleThreads) conv2d_weight_image_kernel(ConvTask g, WeightImage image) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= std::int64_t{g.Km} * g.Kt * image.chunks * image.columns * image.elements) return;
  const int e = static_cast<int>(at % image.elements);
  const int o = static_cast<int>(at / image.elements % image.columns);
  const std::int64_t row = at / image.elements / image.columns;
  const int c = static_cast<int>(row % image.chunks) * image.elements + e;
  const int tap = static_cast<int>(row / image.chunks);
  const float value = o < g.Co && c < g.Ci ? g.w[o * g.w_o + c * g.w_i + tap / g.Kt * g.w_m + tap % g.Kt * g.w_t] : 0;
  if (kPrecision == Precision::kBf16) {
    static_cast<__nv_bfloat16*>(image.data)[at] = __float2bfloat16_rn(value);
  } else {
    static_cast<float*>(image.data)[at] = kPrecision == Precision::kTf32 ? __uint_as_float(to_tf32(value)) : value;
  }
}

}  // namespace dcase::cuda
