#pragma once
// Bound by memory: each element is read once. Sums are in double and in a fixed order: within a thread over its rows,
// over the rows of a block's threads from shared memory in order, then over the chunks in order.

#include "kernels/common/dialect.cuh"

namespace dcase::cuda {

inline constexpr int kSumColumns = 32;  // of a block: one warp reads 128 contiguous bytes
inline constexpr int kSumRows = 8;      // rows that a block reads at a time

/// partial[o, chunk, i] = sum of x[o, r, i] over the rows r of the chunk. Grid: (columns / 32, chunks, O).
__global__ void __launch_bounds__(kSumColumns* kSumRows)
    sum_rows_kernel(const float* x, double* partial, std::int64_t R, std::int64_t I, std::int64_t chunk_rows) {
  DCASE_SHARED(double, sums, [kSumRows][kSumColumns]);
  const unsigned column = threadIdx.x % kSumColumns;
  const unsigned row = threadIdx.x / kSumColumns;
  const std::int64_t i = std::int64_t{blockIdx.x} * kSumColumns + column;
  const std::int64_t begin = std::int64_t{blockIdx.y} * chunk_rows;
  const std::int64_t end = begin + chunk_rows < R ? begin + chunk_rows : R;
  const float* const rows = x + std::int64_t{blockIdx.z} * R * I;
  double sum = 0;
  if (i < I) {
    for (std::int64_t r = begin + row; r < end; r += kSumRows) sum += static_cast<double>(rows[r * I + i]);
  }
  sums[row][column] = sum;
  __syncthreads();  // the sums of all rows are there
  if (row == 0 && i < I) {
    for (int other = 1; other < kSumRows; ++other) sum += sums[other][column];
    partial[(std::int64_t{blockIdx.z} * gridDim.y + blockIdx.y) * I + i] = sum;
  }
}

/// y[o, i] = factor * sum over chunks of partial[o, chunk, i], or += with kAdd.
template <bool kAdd>
__global__ void __launch_bounds__(256) sum_chunks_kernel(const double* partial, float* y, std::int64_t O,
                                                         std::int64_t chunks, std::int64_t I, double factor) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= O * I) return;
  const double* const column = partial + at / I * chunks * I + at % I;
  double sum = 0;
  for (std::int64_t c = 0; c < chunks; ++c) sum += column[c * I];
  const auto value = static_cast<float>(factor * sum);
  y[at] = kAdd ? y[at] + value : value;
}

/// dx[o, r, i] = dy[o, i] * factor, or += with kAdd.
template <bool kAdd>
__global__ void __launch_bounds__(256)
    spread_rows_kernel(const float* dy, float* dx, std::int64_t n, std::int64_t R, std::int64_t I, float factor) {
  const std::int64_t threads = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; at < n; at += threads) {
    const float value = dy[at / (R * I) * I + at % I] * factor;
    dx[at] = kAdd ? dx[at] + value : value;
  }
}

inline constexpr int kNormThreads = 256;

/// partial[block] = sum of x[i]^2 over the block's elements.
__global__ void __launch_bounds__(kNormThreads) squared_norm_kernel(const float* x, double* partial, std::int64_t n) {
  DCASE_SHARED(double, sums, [kNormThreads]);
  const unsigned thread = threadIdx.x;
  double sum = 0;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kNormThreads + thread; i < n;
       i += std::int64_t{gridDim.x} * kNormThreads) {
    sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
  sums[thread] = sum;
  for (unsigned half = kNormThreads / 2; half > 0; half /= 2) {
    __syncthreads();  // the sums of the round before are there
    if (thread < half) sums[thread] += sums[thread + half];
  }
  if (thread == 0) partial[blockIdx.x] = sums[0];
}

/// first[block] = the smallest index of a NaN or infinity among the block's elements, or n.
__global__ void __launch_bounds__(kNormThreads)
    first_not_finite_kernel(const float* x, std::int64_t* first, std::int64_t n) {
  DCASE_SHARED(std::int64_t, found, [kNormThreads]);
  const unsigned thread = threadIdx.x;
  std::int64_t mine = n;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kNormThreads + thread; i < n;
       i += std::int64_t{gridDim.x} * kNormThreads) {
    const bool finite = (__float_as_uint(x[i]) & 0x7F800000U) != 0x7F800000U;
    if (!finite && i < mine) mine = i;
  }
  found[thread] = mine;
  for (unsigned half = kNormThreads / 2; half > 0; half /= 2) {
    __syncthreads();  // what the round before found is there
    if (thread < half && found[thread + half] < found[thread]) found[thread] = found[thread + half];
  }
  if (thread == 0) first[blockIdx.x] = found[0];
}

}  // namespace dcase::cuda
