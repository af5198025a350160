#pragma once
// Kernels that copy through shared memory asynchronously, each right or with one wait left out: the emulator must
// notice (tests/emulator/planted_test.cpp).

#include "kernels/common/ptx.cuh"

namespace dcase::layouts {

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

enum class RingBug { kNone, kConsumerDoesNotWait, kProducerDoesNotWait };

/// The same ring with bulk copies and mbarriers, one producing thread: y = x of `rounds` x 128 floats.
template <RingBug kBug>
__global__ void __launch_bounds__(64) bulk_ring_kernel(const float* x, float* y, int rounds) {
#ifdef DCASE_SM90
  DCASE_SHARED(float4, ring, [2][32]);
  DCASE_SHARED(std::uint64_t, full, [2]);
  DCASE_SHARED(std::uint64_t, empty, [2]);
  if (threadIdx.x == 0) {
    for (int s = 0; s < 2; ++s) {
      mbarrier_init(&full[s], 1);
      mbarrier_init(&empty[s], 32);
    }
    fence_proxy_async();
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
#endif
}

}  // namespace dcase::layouts
