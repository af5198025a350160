#pragma once
/// Kernels with one mistake each, and their correct twins: what the emulator and the access checker must find. Lines
/// that a report names are marked.

#include "kernels/common/dialect.cuh"

namespace dcase::planted {

enum class Bug { kNone, kMissing };

/// y[i] = x[n - 1 - i] through shared memory, one block of n <= 256 threads.
template <Bug kBug>
__global__ void __launch_bounds__(256) reverse_kernel(const float* x, float* y, int n) {
  DCASE_SHARED(float, tile, [256]);
  const int i = static_cast<int>(threadIdx.x);
  tile[i] = x[i];
  if (kBug == Bug::kNone) __syncthreads();
  y[i] = tile[n - 1 - i];
}

/// Two rounds through one tile: the second must not overwrite what others still read.
template <Bug kBug>
__global__ void __launch_bounds__(256) rotate_twice_kernel(const float* x, float* y, int n) {
  DCASE_SHARED(float, tile, [256]);
  const int i = static_cast<int>(threadIdx.x);
  tile[i] = x[i];
  __syncthreads();
  const float next = tile[(i + 1) % n];
  if (kBug == Bug::kNone) __syncthreads();
  tile[i] = next;
  __syncthreads();
  y[i] = tile[(i + 1) % n];
}

/// Exchange inside a warp through shared memory.
template <Bug kBug>
__global__ void __launch_bounds__(64) warp_exchange_kernel(const float* x, float* y) {
  DCASE_SHARED(float, tile, [64]);
  const int i = static_cast<int>(threadIdx.x);
  tile[i] = x[i];
  if (kBug == Bug::kNone) __syncwarp();
  y[i] = tile[i ^ 1];
}

/// Sums of 32 by shuffles.
__global__ void __launch_bounds__(64) warp_sum_kernel(const float* x, float* y) {
  const int i = static_cast<int>(threadIdx.x);
  float sum = x[i];
  DCASE_UNROLL for (int lanes = 16; lanes > 0; lanes /= 2) sum += __shfl_xor_sync(0xFFFFFFFFU, sum, lanes);
  y[i] = sum;
}

/// Half of each warp stays away from a shuffle over the whole warp.
__global__ void __launch_bounds__(64) half_shuffle_kernel(const float* x, float* y) {
  const int i = static_cast<int>(threadIdx.x);
  float v = x[i];
  if (i % 32 < 16) v = __shfl_xor_sync(0xFFFFFFFFU, v, 1);
  y[i] = v;
}

/// Half of the block stays away from a barrier.
__global__ void __launch_bounds__(64) half_barrier_kernel(float* y) {
  if (threadIdx.x < 32) __syncthreads();
  y[threadIdx.x] = 1;
}

/// Reads shared memory that nobody wrote.
__global__ void __launch_bounds__(64) uninitialised_kernel(float* y) {
  DCASE_SHARED(float, tile, [64]);
  if (threadIdx.x < 63) tile[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x];
}

/// Writes `beyond` elements behind a shared array.
__global__ void __launch_bounds__(64) shared_overflow_kernel(float* y, int beyond) {
  DCASE_SHARED(float, tile, [64]);
  tile[threadIdx.x + static_cast<unsigned>(beyond)] = 1;
  __syncthreads();
  y[threadIdx.x] = beyond == 0 ? tile[threadIdx.x] : 1;
}

/// y[i] = 1 for i < n, where n may be more than y holds.
__global__ void __launch_bounds__(64) fill_kernel(float* y, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) y[i] = 1;
}

/// Every block writes y[0].
__global__ void __launch_bounds__(32) collide_kernel(int* y) {
  if (threadIdx.x == 0) y[0] = static_cast<int>(blockIdx.x);
}

/// Every thread counts itself.
__global__ void __launch_bounds__(64) count_kernel(int* y) { atomicAdd(y, 1); }

/// Dynamic shared memory in two pieces; y = x reversed by pairs of threads.
__global__ void __launch_bounds__(64) carve_kernel(const float* x, float* y) {
  SharedCarver carve;
  float* const a = carve.take<float>(64);
  double* const b = carve.take<double>(64);
  const unsigned i = threadIdx.x;
  a[i] = x[i];
  b[i] = static_cast<double>(x[i]);
  __syncthreads();
  y[i] = a[i ^ 1U] + static_cast<float>(b[i ^ 1U]);
}

/// Blocks of a cooperative grid add up what the others wrote before grid_sync.
__global__ void __launch_bounds__(64) grid_sum_kernel(float* scratch, float* y) {
  if (threadIdx.x == 0) scratch[blockIdx.x] = static_cast<float>(blockIdx.x + 1);
  grid_sync();
  if (threadIdx.x == 0) {
    float sum = 0;
    for (unsigned b = 0; b < gridDim.x; ++b) sum += scratch[b];
    y[blockIdx.x] = sum;
  }
}

}  // namespace dcase::planted
