#pragma once
/// The kernel that shows what the copies of tensors do (kernels/common/ptx.cuh), and planted mistakes that the emulator
/// must notice (tests/emulator/planted_products_test.cpp). Elsewhere than on sm_90a it is empty.

#include "kernels/common/ptx.cuh"
#include "tests/cuda/tiles.hpp"

namespace dcase::layouts {

template <int kRank>
__device__ __forceinline__ void copy_coordinates(int (&at)[kRank], const Coordinates& from) {
  DCASE_UNROLL for (int i = 0; i < kRank; ++i) at[i] = from.at[i];
}

enum class TensorBug { kNone, kDoesNotWait, kStoreNotWaitedFor, kOverwritesStore, kSmallExpectation };

/// The box of `from` at `from_at` goes to shared memory, whose `bytes` bytes then go to `image`, and as a box to `to`
/// at `to_at`.
template <int kRank, TensorBug kBug>
__global__ void __launch_bounds__(128)
    tensor_copy_kernel(const __grid_constant__ TensorMap from, Coordinates from_at,
                       const __grid_constant__ TensorMap to, Coordinates to_at, int bytes, uint4* image) {
#ifdef DCASE_SM90A
  DCASE_SHARED(std::uint64_t, full, [1]);
  SharedCarver carve;
  uint4* const box = carve.take<uint4>(static_cast<std::size_t>(bytes / 16), 1024);
  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 0) {
    mbarrier_init(&full[0], 1);
    fence_proxy_async();
  }
  __syncthreads();
  if (thread == 0) {
    int at[kRank];
    copy_coordinates(at, from_at);
    mbarrier_arrive_expect(&full[0], static_cast<unsigned>(bytes - (kBug == TensorBug::kSmallExpectation ? 16 : 0)));
    copy_tensor(box, from, at, &full[0]);
  }
  if (kBug != TensorBug::kDoesNotWait) mbarrier_wait(&full[0], 0);
  for (int i = thread; i < bytes / 16; i += 128) image[i] = box[i];
  if (kBug == TensorBug::kDoesNotWait) mbarrier_wait(&full[0], 0);
  __syncthreads();
  if (thread == 0) {
    int at[kRank];
    copy_coordinates(at, to_at);
    store_tensor(to, at, box);
    store_tensor_commit();
    if (kBug == TensorBug::kOverwritesStore) box[0] = uint4{};
    if (kBug != TensorBug::kStoreNotWaitedFor) store_tensor_wait<0>();
  }
#endif
}

}  // namespace dcase::layouts
