#pragma once
/// Kernels that show what the products of warp groups do (kernels/common/ptx.cuh), alone and fed by copies of tensors:
/// tiles and registers as the threads see them, and planted mistakes that the emulator must notice
/// (tests/emulator/planted_products_test.cpp). Elsewhere than on sm_90a they are empty.

#include "kernels/common/ptx.cuh"
#include "tests/cuda/tiles.hpp"

namespace dcase::layouts {

/// An operand in global memory as the bytes of its tile in shared memory, and how its descriptors describe it.
struct TileImage {
  const uint4* pieces = nullptr;
  int count = 0;
  unsigned leading_bytes = 0;
  unsigned stride_bytes = 0;
  unsigned step_bytes = 0;  // from one product's share of K to the next
  Swizzle swizzle = Swizzle::kNone;
};

/// Brings the image to shared memory. All threads call it; a barrier and the fence stand behind.
__device__ __forceinline__ char* place(SharedCarver& carve, const TileImage& image) {
  uint4* const tile = carve.take<uint4>(static_cast<std::size_t>(image.count), 1024);
  for (int i = static_cast<int>(threadIdx.x); i < image.count; i += static_cast<int>(blockDim.x)) {
    tile[i] = image.pieces[i];
  }
  return reinterpret_cast<char*>(tile);
}
__device__ __forceinline__ std::uint64_t descriptor(const char* tile, const TileImage& image, int step) {
  return shared_descriptor(tile + static_cast<unsigned>(step) * image.step_bytes, image.leading_bytes,
                           image.stride_bytes, image.swizzle);
}

template <int kCount>
__device__ __forceinline__ void load_registers(float (&d)[kCount], const float* from) {
  DCASE_UNROLL for (int i = 0; i < kCount; ++i) d[i] = from[static_cast<int>(threadIdx.x) * kCount + i];
}
template <int kCount>
__device__ __forceinline__ void store_registers(const float (&d)[kCount], float* to) {
  DCASE_UNROLL for (int i = 0; i < kCount; ++i) to[static_cast<int>(threadIdx.x) * kCount + i] = d[i];
}

/// registers[thread * N / 2 + i]: the accumulators before and behind `steps` products of 16 (tf32: 8) of K each, of
/// which the first adds to them or not. a_registers[(step * 128 + thread) * 4 + j]: register j of A, where A is there.
template <int kColumns, Form kForm, Major kMajorA, Major kMajorB>
__global__ void __launch_bounds__(128) wgmma_kernel(TileImage a, const std::uint32_t* a_registers, TileImage b,
                                                    int steps, int accumulate, float* registers) {
#ifdef DCASE_SM90A
  SharedCarver carve;
  const char* const a_tile = kForm == Form::kBf16RegistersA ? nullptr : place(carve, a);
  const char* const b_tile = place(carve, b);
  fence_proxy_async();
  __syncthreads();
  float d[kColumns / 2];
  load_registers(d, registers);
  for (int step = 0; step < steps; ++step) {
    const bool add = accumulate != 0 || step > 0;
    unsigned ra[4] = {};
    if constexpr (kForm == Form::kBf16RegistersA) {
      DCASE_UNROLL for (int j = 0; j < 4; ++j) {
        ra[j] = a_registers[(step * 128 + static_cast<int>(threadIdx.x)) * 4 + j];
      }
      wgmma_hold(ra);
    }
    wgmma_hold(d);
    wgmma_fence();
    if constexpr (kForm == Form::kBf16) {
      wgmma_bf16<kMajorA, kMajorB>(d, descriptor(a_tile, a, step), descriptor(b_tile, b, step), add);
    } else if constexpr (kForm == Form::kBf16RegistersA) {
      wgmma_bf16<kMajorB>(d, ra, descriptor(b_tile, b, step), add);
    } else {
      wgmma_tf32(d, descriptor(a_tile, a, step), descriptor(b_tile, b, step), add);
    }
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_hold(d);
  }
  store_registers(d, registers);
#endif
}

enum class ProductBug { kNone, kNoWait, kWrongGroup, kOverwritesOperand, kNoCommit, kNoFence, kHalfGroup };

/// Two groups of products, both of A and B [64,16] K-major: registers[0] += a b by one product, registers[1] += 2 a b
/// by two.
template <ProductBug kBug>
__global__ void __launch_bounds__(128) two_groups_kernel(TileImage a, TileImage b, float* registers) {
#ifdef DCASE_SM90A
  SharedCarver carve;
  const char* const a_tile = place(carve, a);
  char* const b_tile = place(carve, b);
  fence_proxy_async();
  __syncthreads();
  if (kBug == ProductBug::kHalfGroup && threadIdx.x >= 64) return;
  float d[32];
  float e[32];
  load_registers(d, registers);
  load_registers(e, registers + 128 * 32);
  const std::uint64_t a_described = descriptor(a_tile, a, 0);
  const std::uint64_t b_described = descriptor(b_tile, b, 0);
  wgmma_hold(d);
  wgmma_hold(e);
  if (kBug != ProductBug::kNoFence) wgmma_fence();
  wgmma_bf16<Major::kK, Major::kK>(d, a_described, b_described, true);
  if (kBug != ProductBug::kNoCommit) wgmma_commit();
  wgmma_bf16<Major::kK, Major::kK>(e, a_described, b_described, true);
  wgmma_bf16<Major::kK, Major::kK>(e, a_described, b_described, true);
  if (kBug != ProductBug::kNoCommit) wgmma_commit();
  if (kBug == ProductBug::kOverwritesOperand) reinterpret_cast<uint4*>(b_tile)[threadIdx.x] = uint4{};
  wgmma_wait<kBug == ProductBug::kNoWait || kBug == ProductBug::kWrongGroup ? 2 : 1>();
  wgmma_hold(d);
  store_registers(d, registers);
  if (kBug != ProductBug::kNoWait) wgmma_wait<0>();
  wgmma_hold(e);
  store_registers(e, registers + 128 * 32);
  if (kBug == ProductBug::kNoWait) wgmma_wait<0>();
#endif
}

enum class GemmBug { kNone, kConsumerDoesNotWait, kProducerDoesNotWait, kReleasesTooEarly };

/// c[64,64] = a[M,K] b[N,K]^T of bf16 for M, N <= 64, zeros outside: tiles [64,64] of both, 128-byte swizzle, through a
/// ring of two places. Threads 0 to 127 multiply, thread 128 fetches. Of a tile K in 16s lies 32 bytes apart.
template <GemmBug kBug>
__global__ void __launch_bounds__(160)
    gemm_ring_kernel(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, int rounds, float* c) {
#ifdef DCASE_SM90A
  constexpr unsigned kTileBytes = 64 * 64 * 2;
  constexpr unsigned kEightRows = 8 * 128;
  DCASE_SHARED(std::uint64_t, full, [2]);
  DCASE_SHARED(std::uint64_t, empty, [2]);
  SharedCarver carve;
  char* const tiles = carve.take<char>(std::size_t{4} * kTileBytes, 1024);  // [place][a, b]
  if (threadIdx.x == 0) {
    for (int s = 0; s < 2; ++s) {
      mbarrier_init(&full[s], 1);
      mbarrier_init(&empty[s], 128);
    }
    fence_proxy_async();
  }
  __syncthreads();
  if (threadIdx.x == 128) {
    for (int round = 0; round < rounds; ++round) {
      const int s = round % 2;
      char* const tile = tiles + static_cast<unsigned>(s) * 2 * kTileBytes;
      if (round >= 2 && kBug != GemmBug::kProducerDoesNotWait) {
        mbarrier_wait(&empty[s], static_cast<unsigned>(round / 2 - 1) % 2);
      }
      mbarrier_arrive_expect(&full[s], 2 * kTileBytes);
      copy_tensor(tile, a, {64 * round, 0}, &full[s]);
      copy_tensor(tile + kTileBytes, b, {64 * round, 0}, &full[s]);
    }
  } else if (threadIdx.x < 128) {
    float d[32] = {};
    wgmma_hold(d);
    for (int round = 0; round < rounds; ++round) {
      const int s = round % 2;
      const char* const tile = tiles + static_cast<unsigned>(s) * 2 * kTileBytes;
      if (kBug != GemmBug::kConsumerDoesNotWait) mbarrier_wait(&full[s], static_cast<unsigned>(round / 2) % 2);
      wgmma_fence();
      DCASE_UNROLL for (unsigned k = 0; k < 4; ++k) {
        wgmma_bf16<Major::kK, Major::kK>(d, shared_descriptor(tile + 32 * k, 0, kEightRows, Swizzle::k128),
                                         shared_descriptor(tile + kTileBytes + 32 * k, 0, kEightRows, Swizzle::k128),
                                         true);
      }
      wgmma_commit();
      // The products of the round before have done with their tiles.
      wgmma_wait<kBug == GemmBug::kReleasesTooEarly ? 2 : 1>();
      if (round > 0) mbarrier_arrive(&empty[1 - s]);
    }
    wgmma_wait<0>();
    wgmma_hold(d);
    DCASE_UNROLL for (int i = 0; i < 32; ++i) {
      const MatrixPlace p = wgmma_d(static_cast<int>(threadIdx.x), i);
      c[p.row * 64 + p.column] = d[i];
    }
  }
#endif
}

}  // namespace dcase::layouts
