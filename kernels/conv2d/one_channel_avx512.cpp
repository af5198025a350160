#if defined(DCASE_X86_VARIANTS)

#include "kernels/common/simd.hpp"
#include "kernels/conv2d/one_channel.hpp"

namespace dcase::cpu::one_channel {
namespace {

/// `Columns` columns of one row: each tap's weights are read once for all of them. Stride is that of the columns.
template <int Columns>
DCASE_INLINE void columns(const Task& a, std::int64_t stride, const float* x, float* y) {
  using V = simd::Float<16>;
  V sum[Columns] = {};
  const float* w = a.w;
  for (std::int64_t i = 0; i < a.Km; ++i) {
    for (std::int64_t j = 0; j < a.Kt; ++j, w += 16) {
      const V taps = simd::load<16>(w);
      const float* const tap = x + i * a.x_row + j;
#pragma GCC unroll 16
      for (int c = 0; c < Columns; ++c) sum[c] += taps * tap[c * stride];
    }
  }
#pragma GCC unroll 16
  for (int c = 0; c < Columns; ++c) simd::store<16>(y + c * 16, sum[c]);
}

DCASE_INLINE void row(const Task& a, std::int64_t stride) {
  std::int64_t t = 0;
  for (; t + 16 <= a.Ty; t += 16) columns<16>(a, stride, a.x + t * stride, a.y + t * 16);
  for (; t + 4 <= a.Ty; t += 4) columns<4>(a, stride, a.x + t * stride, a.y + t * 16);
  for (; t < a.Ty; ++t) columns<1>(a, stride, a.x + t * stride, a.y + t * 16);
}

}  // namespace

void forward_avx512(const Task& a) {
  // A stride known while compiling turns the columns' addresses into constants.
  if (a.stride_t == 1) {
    row(a, 1);
  } else {
    row(a, a.stride_t);
  }
}

}  // namespace dcase::cpu::one_channel

#endif
