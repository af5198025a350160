#pragma once
// Kernels that show what each function of kernels/common/ptx.cuh does: registers and memory as the lanes see them.
// Those of sm_90 do nothing elsewhere.

#include "kernels/common/ptx.cuh"

namespace dcase::layouts {

/// words[lane * 4 + j] = register j of ldmatrix on tile [32,8] of 16-bit elements; matrix j is rows 8j to 8j + 7.
__global__ void __launch_bounds__(32) ldmatrix_kernel(const std::uint16_t* tile, std::uint32_t* words, int transposed) {
  DCASE_SHARED(uint4, rows, [32]);
  const unsigned lane = threadIdx.x;
  rows[lane] = reinterpret_cast<const uint4*>(tile)[lane];
  __syncwarp();
  unsigned r[4] = {};
  if (transposed != 0) {
    ldmatrix_x4_trans(r, &rows[lane]);
  } else {
    ldmatrix_x4(r, &rows[lane]);
  }
  DCASE_UNROLL for (int j = 0; j < 4; ++j) words[lane * 4 + static_cast<unsigned>(j)] = r[j];
}

/// As ldmatrix_kernel with two matrices; words[lane * 2 + j].
__global__ void __launch_bounds__(32)
    ldmatrix_x2_kernel(const std::uint16_t* tile, std::uint32_t* words, int transposed) {
  DCASE_SHARED(uint4, rows, [16]);
  const unsigned lane = threadIdx.x;
  if (lane < 16) rows[lane] = reinterpret_cast<const uint4*>(tile)[lane];
  __syncwarp();
  unsigned r[2] = {};
  if (transposed != 0) {
    ldmatrix_x2_trans(r, &rows[lane % 16]);
  } else {
    ldmatrix_x2(r, &rows[lane % 16]);
  }
  words[lane * 2] = r[0];
  words[lane * 2 + 1] = r[1];
}

/// c[lane * 4 + i] += product of the registers a[lane * 4 + j], b[lane * 2 + j], by mma_bf16 or mma_tf32.
template <bool kBf16>
__global__ void __launch_bounds__(32) mma_kernel(const std::uint32_t* a, const std::uint32_t* b, float* c) {
  const unsigned lane = threadIdx.x;
  unsigned ra[4];
  unsigned rb[2];
  float rc[4];
  DCASE_UNROLL for (unsigned j = 0; j < 4; ++j) ra[j] = a[lane * 4 + j];
  DCASE_UNROLL for (unsigned j = 0; j < 2; ++j) rb[j] = b[lane * 2 + j];
  DCASE_UNROLL for (unsigned j = 0; j < 4; ++j) rc[j] = c[lane * 4 + j];
  if (kBf16) {
    mma_bf16(rc, ra, rb);
  } else {
    mma_tf32(rc, ra, rb);
  }
  DCASE_UNROLL for (unsigned j = 0; j < 4; ++j) c[lane * 4 + j] = rc[j];
}

__global__ void __launch_bounds__(32) to_tf32_kernel(const float* x, std::uint32_t* bits) {
  bits[threadIdx.x] = dcase::to_tf32(x[threadIdx.x]);
}

/// A ring of two tiles between a producer warp and consumer warps over named barriers: y[i] = 2 * x[i] for 8 x 32
/// values.
__global__ void __launch_bounds__(64) named_barrier_kernel(const float* x, float* y) {
  DCASE_SHARED(float, ring, [2][32]);
  const unsigned lane = threadIdx.x % 32;
  const bool producer = threadIdx.x < 32;
  for (int round = 0; round < 8; ++round) {
    const int slot = round % 2;
    if (producer) {
      if (round >= 2) named_barrier_sync(3 + slot, 64);  // the consumer has emptied it
      ring[slot][lane] = x[static_cast<unsigned>(round) * 32 + lane];
      named_barrier_arrive(1 + slot, 64);
    } else {
      named_barrier_sync(1 + slot, 64);
      y[static_cast<unsigned>(round) * 32 + lane] = 2 * ring[slot][31 - lane];
      if (round < 6) named_barrier_arrive(3 + slot, 64);
    }
  }
}

/// words[32,4] registers of lanes -> tile [32,8] by stmatrix.
__global__ void __launch_bounds__(32) stmatrix_kernel(const std::uint32_t* words, std::uint16_t* tile) {
#ifdef DCASE_SM90
  DCASE_SHARED(uint4, rows, [32]);
  const unsigned lane = threadIdx.x;
  const unsigned r[4] = {words[lane * 4], words[lane * 4 + 1], words[lane * 4 + 2], words[lane * 4 + 3]};
  stmatrix_x4(&rows[lane], r);
  __syncwarp();
  reinterpret_cast<uint4*>(tile)[lane] = rows[lane];
#endif
}

/// Blocks of a cluster read each other's shared memory: y[block] = sum of the ranks + 1 of its cluster.
__global__ void __launch_bounds__(32) cluster_sum_kernel(float* y, int blocks) {
#ifdef DCASE_SM90
  DCASE_SHARED(float, mine, [1]);
  if (threadIdx.x == 0) mine[0] = static_cast<float>(cluster_rank() + 1);
  cluster_sync();
  if (threadIdx.x == 0) {
    float sum = 0;
    for (int b = 0; b < blocks; ++b) sum += *cluster_map(&mine[0], static_cast<unsigned>(b));
    y[blockIdx.x] = sum;
  }
  cluster_sync();  // nobody ends while others read its memory
#endif
}

}  // namespace dcase::layouts
