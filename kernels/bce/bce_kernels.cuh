#pragma once
// Bound by the logarithms of some hundred thousand elements at most: a block takes 2048 elements of one item, a thread
// eight of them, 256 apart, in float; from there on sums are in double: over the block in order, then over the blocks
// by one block that finishes.

#include "kernels/common/item_weights.cuh"

namespace dcase::cuda {

/// The loss of an element and its derivative with respect to x.
struct BceTerm {
  float loss;
  float slope;
};

/// x is the probability. All comparisons let a NaN through, and the loss shows it.
struct BceOfProbability {
  __device__ __forceinline__ BceTerm operator()(float p, float t) const {
    const auto clamped = [](float log) { return log < -100.0F ? -100.0F : log; };
    const float spread = (1.0F - p) * p;
    return {(t - 1.0F) * clamped(log1pf(-p)) - t * clamped(logf(p)), (p - t) / (spread < 1e-12F ? 1e-12F : spread)};
  }
};

/// x is the logit.
struct BceOfLogit {
  __device__ __forceinline__ BceTerm operator()(float x, float t) const {
    const float small = expf(-fabsf(x));  // in (0, 1]: nothing overflows
    const float sigmoid = (x >= 0 ? 1.0F : small) / (1.0F + small);
    const float positive = x < 0 ? 0.0F : x;
    return {positive - x * t + log1pf(small), sigmoid - t};
  }
};

struct BceArguments {
  const float* x;       // [items, width]
  const float* target;  // [items, target_width]
  const float* weight;  // [items], or null
  float* dx;            // as x, or null
  std::int64_t items, width, target_width;
  std::int64_t used;  // leading elements of each item that count
  double grad_scale;
  bool accumulate;
};

inline constexpr unsigned kBceThreads = 256;
inline constexpr unsigned kBceChunk = 8 * kBceThreads;  // elements of a block

/// partial[block] = w_n * sum of the block's terms, and dx. Grid: items * chunks.
template <class Term>
__global__ void __launch_bounds__(kBceThreads) bce_kernel(BceArguments a, double* partial, unsigned chunks, Term term) {
  DCASE_SHARED(double, sums, [kBceThreads / 32]);
  const std::int64_t item = blockIdx.x / chunks;
  const std::int64_t begin = std::int64_t{blockIdx.x % chunks} * kBceChunk + threadIdx.x;
  const auto w = static_cast<double>(item_weight(a.weight, item));
  const float* const x = a.x + item * a.width;
  const float* const target = a.target + item * a.target_width;
  float* const dx = a.dx == nullptr ? nullptr : a.dx + item * a.width;
  // Masked items count for nothing, whatever stands in them. So where the count is 0 the factor is not used.
  const std::int64_t counted = w == 0 ? 0 : a.used;
  float factor = 0;
  if (dx != nullptr) {
    const double count = total_item_weight(a.weight, a.items) * static_cast<double>(a.used);
    factor = static_cast<float>(a.grad_scale * w / count);
  }
  float sum = 0;
  DCASE_UNROLL
  for (unsigned step = 0; step < kBceChunk; step += kBceThreads) {
    const std::int64_t i = begin + step;
    if (i >= a.width) break;
    float gradient = 0;
    if (i < counted) {
      const BceTerm value = term(x[i], target[i]);
      sum += value.loss;
      gradient = factor * value.slope;
    }
    if (dx != nullptr) dx[i] = a.accumulate ? dx[i] + gradient : gradient;
  }
  const double of_warp = warp_sum(static_cast<double>(sum));
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = of_warp;
  __syncthreads();  // the sums of all warps are there
  if (threadIdx.x > 0) return;
  double total = 0;
  for (unsigned warp = 0; warp < kBceThreads / 32; ++warp) total += sums[warp];
  partial[blockIdx.x] = counted == 0 ? 0 : w * total;
}

/// loss = sum of partial / count, by one block.
__global__ void __launch_bounds__(kBceThreads)
    bce_finish_kernel(BceArguments a, const double* partial, unsigned blocks, double* loss) {
  DCASE_SHARED(double, sums, [kBceThreads / 32]);
  const double count = total_item_weight(a.weight, a.items) * static_cast<double>(a.used);
  double sum = 0;
  for (unsigned block = threadIdx.x; block < blocks; block += kBceThreads) sum += partial[block];
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
  __syncthreads();  // the sums of all warps are there
  if (threadIdx.x > 0) return;
  for (unsigned warp = 1; warp < kBceThreads / 32; ++warp) sum += sums[warp];
  *loss = count == 0 ? 0 : sum / count;
}

}  // namespace dcase::cuda
