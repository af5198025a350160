#pragma once
// What stands between the fused convolutions: sums over tiles, kernels over channels and weights, and one pass over a
// map in backward. The convolutions themselves are conv2d's (kernels/conv2d/conv2d_task.hpp).

#include "kernels/common/dialect.cuh"

namespace dcase::cuda {

// A block of the kernels that sum has eight channels, whose floats are one 32-byte sector, and 64 rows of threads that
// share out what is summed. Sums are in double and in a fixed order: within a thread, then over the rows.
inline constexpr int kChannelColumns = 8;
inline constexpr int kChannelRows = 64;
inline constexpr int kChannelThreads = kChannelColumns * kChannelRows;

struct ChannelSums {  // without initialisers: it stands in shared memory
  double first;
  double second;
};

__device__ __forceinline__ int channel_row() { return static_cast<int>(threadIdx.x) / kChannelColumns; }
__device__ __forceinline__ int channel_of_thread() {
  return static_cast<int>(blockIdx.x) * kChannelColumns + static_cast<int>(threadIdx.x) % kChannelColumns;
}

/// The sums over the rows of threads, for the threads of row 0. All threads call it.
__device__ __forceinline__ ChannelSums sum_over_rows(const ChannelSums& own) {
  DCASE_SHARED(ChannelSums, sums, [kChannelThreads]);
  const int thread = static_cast<int>(threadIdx.x);
  sums[thread] = own;
  for (int half = kChannelThreads / 2; half >= kChannelColumns; half /= 2) {
    __syncthreads();  // the sums of the round before are there
    if (thread >= half) continue;
    sums[thread].first += sums[thread + half].first;
    sums[thread].second += sums[thread + half].second;
  }
  return sums[thread];
}

/// From the sums of P values d = y - center and of their squares.
__device__ __forceinline__ void write_statistics(const ChannelSums& sums, double center, std::int64_t P, float* mean,
                                                 float* variance) {
  const double shift = sums.first / static_cast<double>(P);
  const double square = sums.second / static_cast<double>(P) - shift * shift;
  *mean = static_cast<float>(center + shift);
  *variance = static_cast<float>(square > 0 ? square : 0);
}

/// Statistics of a map y [P,C], counted from each channel's first value. Reads the map once: the oracle of the fused
/// ones.
__global__ void __launch_bounds__(kChannelThreads)
    conv_bn_statistics_of_map_kernel(const float* y, float* mean, float* variance, std::int64_t P, int C) {
  const int c = channel_of_thread();
  const double center = c < C ? static_cast<double>(y[c]) : 0;
  ChannelSums own = {0, 0};
  for (std::int64_t p = channel_row(); p < P && c < C; p += kChannelRows) {
    const double d = static_cast<double>(y[p * C + c]) - center;
    own.first += d;
    own.second += d * d;
  }
  const ChannelSums sums = sum_over_rows(own);
  if (channel_row() == 0 && c < C) write_statistics(sums, center, P, mean + c, variance + c);
}

/// Statistics from what the convolution's blocks found, partial [tiles,3,C]: sums of y - K and their squares, and K,
/// each block's own, over counts[tile] positions. All are brought to the first block's K: with d = K - K0,
///     sum (y - K0) = sum (y - K) + n d,   sum (y - K0)^2 = sum (y - K)^2 + 2 d sum (y - K) + n d^2.
__global__ void __launch_bounds__(kChannelThreads)
    conv_bn_statistics_kernel(const float* partial, const int* counts, float* mean, float* variance, std::int64_t tiles,
                              std::int64_t P, int C) {
  const int c = channel_of_thread();
  const double center = c < C ? static_cast<double>(partial[2 * C + c]) : 0;
  ChannelSums own = {0, 0};
  for (std::int64_t tile = channel_row(); tile < tiles && c < C; tile += kChannelRows) {
    const float* const row = partial + tile * 3 * C + c;
    const double first = static_cast<double>(row[0]);
    const double second = static_cast<double>(row[C]);
    const double d = static_cast<double>(row[2 * C]) - center;
    const auto n = static_cast<double>(counts[tile]);
    own.first += first + n * d;
    own.second += second + 2 * d * first + n * d * d;
  }
  const ChannelSums sums = sum_over_rows(own);
  if (channel_row() == 0 && c < C) write_statistics(sums, center, P, mean + c, variance + c);
}

/// What normalises one channel.
struct ChannelNorm {
  const float* mean;
  const float* variance;
  const float* gamma;
  const float* beta;
  double eps;
  __device__ __forceinline__ double rstd(int c) const { return 1 / sqrt(static_cast<double>(variance[c]) + eps); }
  __device__ __forceinline__ double scale(int c) const { return static_cast<double>(gamma[c]) * rstd(c); }
};

/// dz = act'(z) * dz in place over a map [P,C], z = x * scale + shift; dbeta = sum dz, dgamma = sum dz * xh. What goes
/// with the simple convolution.
__global__ void __launch_bounds__(kChannelThreads)
    conv_bn_gradients_of_map_kernel(const float* x, const float* scale, const float* shift, ChannelNorm norm, int relu,
                                    float* dz, float* dgamma, float* dbeta, std::int64_t P, int C) {
  const int c = channel_of_thread();
  ChannelSums own = {0, 0};
  for (std::int64_t p = channel_row(); p < P && c < C; p += kChannelRows) {
    const float v = x[p * C + c];
    float* const out = dz + p * C + c;
    const float value = relu != 0 && !(fmaf(v, scale[c], shift[c]) > 0) ? 0.0F : *out;
    *out = value;
    own.first += static_cast<double>(value);
    own.second += static_cast<double>(value) * (static_cast<double>(v) - static_cast<double>(norm.mean[c]));
  }
  const ChannelSums sums = sum_over_rows(own);
  if (channel_row() != 0 || c >= C) return;
  dbeta[c] = static_cast<float>(sums.first);
  dgamma[c] = static_cast<float>(sums.second * norm.rstd(c));
}

/// The same from what the convolution's blocks found, partial [tiles,3,C]: sums of dz and of dz * (x - mean).
__global__ void __launch_bounds__(kChannelThreads)
    conv_bn_gradients_kernel(const float* partial, ChannelNorm norm, float* dgamma, float* dbeta, std::int64_t tiles,
                             int C) {
  const int c = channel_of_thread();
  ChannelSums own = {0, 0};
  for (std::int64_t tile = channel_row(); tile < tiles && c < C; tile += kChannelRows) {
    own.first += static_cast<double>(partial[tile * 3 * C + c]);
    own.second += static_cast<double>(partial[(tile * 3 + 1) * C + c]);
  }
  const ChannelSums sums = sum_over_rows(own);
  if (channel_row() != 0 || c >= C) return;
  dbeta[c] = static_cast<float>(sums.first);
  dgamma[c] = static_cast<float>(sums.second * norm.rstd(c));
}

inline constexpr int kConvBnThreads = 256;

/// A thread has a channel.
__global__ void __launch_bounds__(kConvBnThreads)
    conv_bn_affine_kernel(ChannelNorm norm, float* scale, float* shift, int C) {
  const int c = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (c >= C) return;
  scale[c] = static_cast<float>(norm.scale(c));
  shift[c] = static_cast<float>(static_cast<double>(norm.beta[c]) - static_cast<double>(norm.mean[c]) * norm.scale(c));
}

/// folded = w * scale, a thread a weight; `row` weights have an output channel.
__global__ void __launch_bounds__(kConvBnThreads)
    conv_bn_fold_kernel(const float* w, const float* scale, float* folded, std::int64_t n, std::int64_t row) {
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < n) folded[i] = w[i] * scale[i / row];
}

/// dx = gamma r (dz - dbeta / P - (x - mean) r dgamma / P), r = rstd. Bound by memory: 12 bytes an element. A thread
/// stays with one channel: threads stride by a multiple of C.
__global__ void __launch_bounds__(kConvBnThreads)
    conv_bn_input_gradient_kernel(const float* x, const float* dz, ChannelNorm norm, const float* dgamma,
                                  const float* dbeta, float* dx, std::int64_t P, int C) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x / C * C;
  const std::int64_t self = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (self >= stride) return;
  const int c = static_cast<int>(self % C);
  const auto scale = static_cast<float>(norm.scale(c));
  const auto mean_dz = static_cast<float>(static_cast<double>(dbeta[c]) / static_cast<double>(P));
  const auto slope = static_cast<float>(static_cast<double>(dgamma[c]) * norm.rstd(c) / static_cast<double>(P));
  const float mean = norm.mean[c];
  for (std::int64_t i = self; i < P * C; i += stride) dx[i] = scale * (dz[i] - mean_dz - (x[i] - mean) * slope);
}

}  // namespace dcase::cuda
