#pragma once
/// Vectors of W floats in the compiler's vector extension, and the functions of recurrent cells on them.
///
/// A kernel is written once as a template on W, marked DCASE_INLINE, and instantiated in one source for each
/// instruction set: <name>_avx512.cpp (W = 16), <name>_avx2.cpp (8), which are built for it, and a generic one (4).
/// Such a source includes nothing whose inline functions another source could end up calling; hence always_inline.

#include <cstdint>
#include <cstring>

#define DCASE_INLINE [[gnu::always_inline]] inline

namespace dcase::simd {

template <int W>
struct Types {
  typedef float Float __attribute__((vector_size(W * sizeof(float))));              // NOLINT(modernize-use-using)
  typedef std::int32_t Int __attribute__((vector_size(W * sizeof(std::int32_t))));  // NOLINT(modernize-use-using)
};
template <int W>
using Float = typename Types<W>::Float;
template <int W>
using Int = typename Types<W>::Int;

/// The first `count` elements from p (any alignment), zeros behind them.
template <int W>
DCASE_INLINE Float<W> load(const float* p, int count = W) {
  Float<W> v = {};
  if (count == W) {
    std::memcpy(&v, p, sizeof v);
  } else {
    for (int i = 0; i < count; ++i) v[i] = p[i];
  }
  return v;
}

template <int W>
DCASE_INLINE void store(float* p, const Float<W>& v, int count = W) {
  if (count == W) {
    std::memcpy(p, &v, sizeof v);
  } else {
    for (int i = 0; i < count; ++i) p[i] = v[i];
  }
}

/// e^x for |x| <= 87, clamped outside; NaN stays NaN.
template <int W>
DCASE_INLINE Float<W> exp(Float<W> x) {
  x = x < -87.0F ? Float<W>{} - 87.0F : x;
  x = x > 87.0F ? Float<W>{} + 87.0F : x;
  // x = n ln 2 + r. Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits of the sum.
  constexpr float kShift = 0x1.8p23F;
  const Float<W> shifted = x * 0x1.715476p0F + kShift;
  const Float<W> n = shifted - kShift;
  Float<W> r = x - n * 0x1.62ep-1F;  // ln 2 in two parts, the first of 12 bits: its product with n is exact
  r = r - n * 0x1.0bfbe8p-15F;
  // (e^r - 1 - r) / r^2, minimax on |r| <= ln(2)/2, relative error of e^r 3.1e-9.
  Float<W> p = r * 0.0013814465F + 0.008368781F;
  p = p * r + 0.041668393F;
  p = p * r + 0.1666652F;
  p = p * r + 0.49999994F;
  const Float<W> e = p * (r * r) + r + 1.0F;
  const Int<W> scale = (__builtin_bit_cast(Int<W>, shifted) << 23) + 0x3F800000;  // bits of 2^n
  return e * __builtin_bit_cast(Float<W>, scale);
}

/// 1 / (1 + e^-x). Relative error below 3 * 2^-23 for |x| <= 87, tested for every variant of the GRU.
template <int W>
DCASE_INLINE Float<W> sigmoid(Float<W> x) {
  return 1.0F / (1.0F + exp<W>(-x));
}

/// Relative error below 3 * 2^-23, tested for every variant of the GRU.
template <int W>
DCASE_INLINE Float<W> tanh(Float<W> x) {
  const Float<W> size = x < 0.0F ? -x : x;
  const Float<W> large = 1.0F - 2.0F / (exp<W>(size + size) + 1.0F);
  // Near 0 the subtraction loses digits: x + x^3 p(x^2), minimax on [0, 0.625], relative error 4.4e-9.
  const Float<W> s = x * x;
  Float<W> p = s * -0.0057049906F + 0.02063909F;
  p = p * s + -0.053739715F;
  p = p * s + 0.13331442F;
  p = p * s + -0.3333328F;
  const Float<W> small = x + x * s * p;
  return size < 0.625F ? small : (x < 0.0F ? -large : large);
}

}  // namespace dcase::simd
