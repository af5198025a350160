#pragma once
/// The words that kernels are written in. A kernel includes this header and ptx.cuh and uses nothing else of CUDA, so
/// that the same source runs on a GPU and, compiled as plain C++ with DCASE_EMULATED, on the CPU (docs/emulator.md).
///
/// As in CUDA C++:  __global__ __device__ __forceinline__ __launch_bounds__(N)  threadIdx blockIdx blockDim gridDim
///                  __syncthreads __syncthreads_or/_and/_count __syncwarp __shfl_sync/_xor/_up/_down __ballot_sync
///                  __any_sync __all_sync __reduce_add/min/max_sync (unsigned) atomicAdd/Max/Exch (integers)
///                  __popc __ffs __clz __ldg __float_as_uint __uint_as_float rsqrtf fminf fmaxf fmaf, types of
///                  cuda_bf16.h
/// Own words:       DCASE_SHARED(float, tile, [2][64]);   a __shared__ array
///                  SharedCarver carve; float* x = carve.take<float>(n);   dynamic shared memory
///                  DCASE_UNROLL for (...)                    #pragma unroll
///                  fast_exp, fast_divide, spin_pause(), grid_sync()
/// There are no atomics on floats: sums have a fixed order.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstddef>
#include <cstdint>

#ifdef DCASE_EMULATED
#include "emulated_dialect.hpp"  // tests/emulator
#else

#include <cooperative_groups.h>

#define DCASE_SHARED(type, name, extents) __shared__ type name extents
#define DCASE_UNROLL _Pragma("unroll")

namespace dcase {

/// Lays arrays into the dynamic shared memory of the block, one behind the other; every thread takes the same ones in
/// the same order. The launch's `smem` is at least their sum with alignments.
class SharedCarver {
 public:
  /// `align` is a power of two, at most 1024.
  template <class T>
  __device__ __forceinline__ T* take(std::size_t count, std::size_t align = alignof(T) < 16 ? 16 : alignof(T)) {
    extern __shared__ __align__(1024) unsigned char dcase_dynamic_shared[];
    used_ = (used_ + align - 1) & ~(align - 1);
    T* const result = reinterpret_cast<T*>(dcase_dynamic_shared + used_);
    used_ += count * sizeof(T);
    return result;
  }

 private:
  std::size_t used_ = 0;
};

/// e^x within 2 ulp + |x| * 2^-22 (ex2.approx); saturates as expf does.
__device__ __forceinline__ float fast_exp(float x) { return __expf(x); }
/// a / b within 2 ulp for |b| in [2^-126, 2^126].
__device__ __forceinline__ float fast_divide(float a, float b) { return __fdividef(a, b); }
/// Inside loops that wait for another block.
__device__ __forceinline__ void spin_pause() { __nanosleep(32); }
/// All threads of a cooperative launch meet here; what they wrote before is seen by all behind.
__device__ __forceinline__ void grid_sync() { cooperative_groups::this_grid().sync(); }

}  // namespace dcase
#endif
