#pragma once
// Rounding to bf16 where products take their operands in pairs.

#include <cstring>

#include "kernels/common/dialect.cuh"

namespace dcase::cuda {

/// Both rounded to nearest even, `low` in the lower half of the word.
__device__ __forceinline__ unsigned to_bf16_pair(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  unsigned bits = 0;
  memcpy(&bits, &pair, sizeof(bits));
  return bits;
}

}  // namespace dcase::cuda
