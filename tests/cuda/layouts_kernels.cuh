#pragma once
/// Kernels that show what each function of kernels/common/ptx.cuh does: registers and memory as the lanes see them. On
/// a GPU the same kernels write the reference tables.

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
  bits[threadIdx.x] = to_tf32(x[threadIdx.x]);
}

enum class CopyBug { kNone, kNoWait, kWrongGroup };

/// y = x by cp.async in two groups of 64 x 16 bytes, the first `valid` bytes of each of thread 0's pieces.
template <CopyBug kBug>
__global__ void __launch_bounds__(64) copy_async_kernel(const float* x, float* y, unsigned valid) {
  DCASE_SHARED(float4, tile, [2][64]);
  const unsigned t = threadIdx.x;
  DCASE_UNROLL for (unsigned g = 0; g < 2; ++g) {
    copy_async_16(&tile[g][t], x + (g * 64 + t) * 4, t == 0 ? valid : 16);
    copy_async_commit();
  }
  if (kBug == CopyBug::kNone) copy_async_wait<1>();
  if (kBug == CopyBug::kWrongGroup) copy_async_wait<2>();
  if (kBug != CopyBug::kNoWait) __syncthreads();
  reinterpret_cast<float4*>(y)[63 - t] = tile[0][63 - t];
  copy_async_wait<0>();
  __syncthreads();
  reinterpret_cast<float4*>(y)[64 + 63 - t] = tile[1][63 - t];
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

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900

enum class RingBug { kNone, kConsumerDoesNotWait, kProducerDoesNotWait };

/// The same ring with bulk copies and mbarriers, one producing thread: y = x of `rounds` x 128 floats.
template <RingBug kBug>
__global__ void __launch_bounds__(64) bulk_ring_kernel(const float* x, float* y, int rounds) {
  DCASE_SHARED(float4, ring, [2][32]);
  DCASE_SHARED(std::uint64_t, full, [2]);
  DCASE_SHARED(std::uint64_t, empty, [2]);
  if (threadIdx.x == 0) {
    for (int s = 0; s < 2; ++s) {
      mbarrier_init(&full[s], 1);
      mbarrier_init(&empty[s], 32);
    }
  }
  __syncthreads();
  if (threadIdx.x == 32) {
    for (int round = 0; round < rounds; ++round) {
      const int s = round % 2;
      const auto use = static_cast<unsigned>(round / 2);
      if (round >= 2 && kBug != RingBug::kProducerDoesNotWait) mbarrier_wait(&empty[s], (use - 1) % 2);
      mbarrier_arrive_expect(&full[s], 512);
      copy_bulk(ring[s], x + round * 128, 512, &full[s]);
    }
  } else if (threadIdx.x < 32) {
    for (int round = 0; round < rounds; ++round) {
      const int s = round % 2;
      const auto use = static_cast<unsigned>(round / 2);
      if (kBug != RingBug::kConsumerDoesNotWait) mbarrier_wait(&full[s], use % 2);
      reinterpret_cast<float4*>(y)[static_cast<unsigned>(round) * 32 + threadIdx.x] = ring[s][threadIdx.x];
      mbarrier_arrive(&empty[s]);
    }
  }
}

/// words[32,4] registers of lanes -> tile [32,8] by stmatrix.
__global__ void __launch_bounds__(32) stmatrix_kernel(const std::uint32_t* words, std::uint16_t* tile) {
  DCASE_SHARED(uint4, rows, [32]);
  const unsigned lane = threadIdx.x;
  const unsigned r[4] = {words[lane * 4], words[lane * 4 + 1], words[lane * 4 + 2], words[lane * 4 + 3]};
  stmatrix_x4(&rows[lane], r);
  __syncwarp();
  reinterpret_cast<uint4*>(tile)[lane] = rows[lane];
}

/// Blocks of a cluster read each other's shared memory: y[block] = sum of the ranks + 1 of its cluster.
__global__ void __launch_bounds__(32) cluster_sum_kernel(float* y, int blocks) {
  DCASE_SHARED(float, mine, [1]);
  if (threadIdx.x == 0) mine[0] = static_cast<float>(cluster_rank() + 1);
  cluster_sync();
  if (threadIdx.x == 0) {
    float sum = 0;
    for (int b = 0; b < blocks; ++b) sum += *cluster_map(&mine[0], static_cast<unsigned>(b));
    y[blockIdx.x] = sum;
  }
  cluster_sync();  // nobody ends while others read its memory
}
#endif

}  // namespace dcase::layouts
