#pragma once
// Bound by latency: a batch has some hundreds of logits. A warp takes one row at a time, a lane every 32nd of its
// elements. Exponentials are in float; sums, and the difference of softmax and target, which cancels, are in double: at
// this size that costs nothing.

#include "kernels/common/item_weights.cuh"

namespace dcase::cuda {

/// What a row's exponentials are divided by: exp(x - maximum) / sum.
struct SoftmaxRow {
  float maximum;
  double sum;
};

/// A NaN in the row stays. All lanes get the same.
__device__ __forceinline__ SoftmaxRow softmax_row(const float* x, std::int64_t K) {
  const auto larger = [](float a, float b) { return b > a || b != b ? b : a; };
  float maximum = -INFINITY;
  for (std::int64_t k = threadIdx.x % 32; k < K; k += 32) maximum = larger(maximum, x[k]);
  DCASE_UNROLL
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    maximum = larger(maximum, __shfl_xor_sync(0xFFFFFFFFU, maximum, lanes));
  }
  double sum = 0;
  for (std::int64_t k = threadIdx.x % 32; k < K; k += 32) sum += static_cast<double>(expf(x[k] - maximum));
  return {maximum, warp_sum(sum)};
}

inline constexpr unsigned kSoftmaxThreads = 256;

/// y may be x: a lane reads and writes its own elements only.
__global__ void __launch_bounds__(kSoftmaxThreads)
    softmax_forward_kernel(const float* x, float* y, std::int64_t N, std::int64_t K) {
  constexpr unsigned kWarps = kSoftmaxThreads / 32;
  for (std::int64_t n = std::int64_t{blockIdx.x} * kWarps + threadIdx.x / 32; n < N;
       n += std::int64_t{gridDim.x} * kWarps) {
    const SoftmaxRow row = softmax_row(x + n * K, K);
    const auto sum = static_cast<float>(row.sum);
    for (std::int64_t k = threadIdx.x % 32; k < K; k += 32) y[n * K + k] = expf(x[n * K + k] - row.maximum) / sum;
  }
}

struct SoftmaxXentArguments {
  const float* logits;
  const float* target;
  const float* weight;  // or null
  double* loss;
  float* dlogits;  // or null
  std::int64_t N, K;
  double grad_scale;
  bool accumulate;
};

inline constexpr unsigned kXentThreads = 512;

/// Loss and gradient in one launch of one block: its warps share the items and add their losses in order.
__global__ void __launch_bounds__(kXentThreads) softmax_xent_kernel(SoftmaxXentArguments a) {
  constexpr unsigned kWarps = kXentThreads / 32;
  DCASE_SHARED(double, losses, [kWarps]);
  const unsigned warp = threadIdx.x / 32;
  const unsigned lane = threadIdx.x % 32;
  const double total_weight = total_item_weight(a.weight, a.N);
  double loss = 0;
  for (std::int64_t n = warp; n < a.N; n += kWarps) {
    const float w = item_weight(a.weight, n);
    const float* const x = a.logits + n * a.K;
    const float* const t = a.target + n * a.K;
    float* const dx = a.dlogits == nullptr ? nullptr : a.dlogits + n * a.K;
    if (w == 0) {
      // Masked: whatever stands in its logits and labels, even NaN, counts for nothing.
      for (std::int64_t k = lane; dx != nullptr && !a.accumulate && k < a.K; k += 32) dx[k] = 0;
      continue;
    }
    const SoftmaxRow row = softmax_row(x, a.K);
    const double log_sum = log(row.sum);
    double entropy = 0;
    double target_sum = 0;
    for (std::int64_t k = lane; k < a.K; k += 32) {
      const auto label = static_cast<double>(t[k]);
      entropy += label * (log_sum - static_cast<double>(x[k] - row.maximum));
      target_sum += label;
    }
    loss += static_cast<double>(w) * warp_sum(entropy);
    target_sum = warp_sum(target_sum);
    const double factor = a.grad_scale * static_cast<double>(w) / total_weight;
    const double share = target_sum / row.sum;
    for (std::int64_t k = lane; dx != nullptr && k < a.K; k += 32) {
      const double softmax = static_cast<double>(expf(x[k] - row.maximum)) * share;
      const auto gradient = static_cast<float>(factor * (softmax - static_cast<double>(t[k])));
      dx[k] = a.accumulate ? dx[k] + gradient : gradient;
    }
  }
  if (lane == 0) losses[warp] = loss;
  __syncthreads();  // the losses of all warps are there
  if (threadIdx.x > 0) return;
  for (unsigned other = 1; other < kWarps; ++other) loss += losses[other];
  *a.loss = total_weight == 0 ? 0 : loss / total_weight;
}

}  // namespace dcase::cuda
