// Included by mel_lanes_baseline.cpp, _avx2.cpp and _avx512.cpp inside dcase::cpu::<instruction set>, after the
// standard headers; no include guard, no includes of its own. Uses kLanes of that namespace.
//
// Everything works on Vec, kLanes frames at once, so that butterflies, filter bank and logarithm are free of shuffles;
// the only transposition is at the input. What bounds it: arithmetic, with 2048 points and 16 lanes in the second-level
// cache (64 KiB each for frame, transform and spectrum), depth first so that the later passes stay in the first level.

namespace {

using Vec = float __attribute__((vector_size(kLanes * 4), may_alias));
using IntVec = std::int32_t __attribute__((vector_size(kLanes * 4), may_alias));
using UnalignedVec = float __attribute__((vector_size(kLanes * 4), may_alias, aligned(4)));

#define DCASE_INLINE inline __attribute__((always_inline))

DCASE_INLINE Vec splat(float x) { return x - Vec{}; }
DCASE_INLINE IntVec splat(std::int32_t x) { return x - IntVec{}; }

struct Complex {
  Vec re;
  Vec im;
};
DCASE_INLINE Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
DCASE_INLINE Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
DCASE_INLINE Complex times(Complex a, const float* w) { return {a.re * w[0] - a.im * w[1], a.re * w[1] + a.im * w[0]}; }
DCASE_INLINE Complex minus_i(Complex a) { return {a.im, -a.re}; }

// ln(x) for x > 0, to a relative 1e-7 or an absolute 1e-7; NaN and +infinity pass through. x = (1 + m) * 2^e with 1 + m
// in [sqrt(1/2), sqrt(2)) and ln(1 + m) = m - m^2/2 + m^3 p(m), p by interpolation at the nine Chebyshev points of the
// interval (error of ln 1e-9).
DCASE_INLINE Vec natural_log(Vec x) {
  const IntVec tiny = x < splat(0x1p-126F);  // denormals are scaled into the normal range
  const Vec scaled = tiny ? x * splat(0x1p32F) : x;
  // Subtracting the bits of sqrt(1/2) moves the exponent's step from 1 to sqrt(1/2).
  const IntVec bits = reinterpret_cast<IntVec>(scaled) - splat(0x3F3504F3);
  const IntVec exponent = (bits >> 23) - (tiny ? splat(32) : splat(0));
  const IntVec mantissa = (bits & splat(0x007FFFFF)) + splat(0x3F3504F3);
  const Vec m = reinterpret_cast<Vec>(mantissa) - 1.0F;
  const Vec e = __builtin_convertvector(exponent, Vec);
  const Vec m2 = m * m;
  Vec p = splat(6.971611471e-02F);
  p = p * m - 1.147973385e-01F;
  p = p * m + 1.168541992e-01F;
  p = p * m - 1.242568733e-01F;
  p = p * m + 1.424905765e-01F;
  p = p * m - 1.666780232e-01F;
  p = p * m + 2.000071575e-01F;
  p = p * m - 2.499999696e-01F;
  p = p * m + 3.333333118e-01F;
  // ln 2 in two parts, the first exact in a product with an exponent.
  const Vec small = p * m * m2 - m2 * 0.5F - e * 2.12194440e-4F;
  const Vec result = (m + small) + e * 0.693359375F;
  return x < splat(__builtin_inff()) ? result : x;
}

// One step of an in-register transposition: rows i and i+Step exchange the blocks of Step lanes off the diagonal.
template <int Step, int... Lane>
DCASE_INLINE void exchange(Vec* rows, std::integer_sequence<int, Lane...>) {
  for (int i = 0; i < kLanes; ++i) {
    if (i & Step) continue;
    const Vec a = rows[i];
    const Vec b = rows[i + Step];
    rows[i] = __builtin_shufflevector(a, b, ((Lane & Step) ? kLanes + Lane - Step : Lane)...);
    rows[i + Step] = __builtin_shufflevector(a, b, ((Lane & Step) ? kLanes + Lane : Lane + Step)...);
  }
}
template <int Step = kLanes / 2>
DCASE_INLINE void transpose(Vec* rows) {
  exchange<Step>(rows, std::make_integer_sequence<int, kLanes>{});
  if constexpr (Step > 1) transpose<Step / 2>(rows);
}

// frame[n] lane l = window[n] * samples[l * hop + n], zeros from window_size to rows.
void load_frames(const MelLanes& a, Vec* frame) {
  int n = 0;
  for (; n + kLanes <= a.window_size; n += kLanes) {
    Vec block[kLanes];
    for (int l = 0; l < kLanes; ++l) block[l] = *reinterpret_cast<const UnalignedVec*>(a.samples + l * a.hop + n);
    transpose(block);
    for (int i = 0; i < kLanes; ++i) frame[n + i] = block[i] * a.window[n + i];
  }
  for (; n < a.window_size; ++n) {
    Vec row = {};
    for (int l = 0; l < kLanes; ++l) row[l] = a.samples[l * a.hop + n];
    frame[n] = row * a.window[n];
  }
  for (; n < a.rows; ++n) frame[n] = Vec{};
}

// First step of a level: u[n] = (d[n] - i d[n+points]) w^n from the `4 * points` real numbers of `frame`, which become
// the 2 * points of the next level. Where the upper half of the frame is zero, d is the frame itself.
void split(Vec* frame, Complex* u, int points, const float* w, bool upper_half_is_zero) {
  if (upper_half_is_zero) {
    for (int n = 0; n < points; ++n) {
      const Vec d0 = frame[n];
      const Vec d1 = frame[n + points];
      u[n] = {d0 * w[2 * n] + d1 * w[2 * n + 1], d0 * w[2 * n + 1] - d1 * w[2 * n]};
    }
    return;
  }
  for (int n = 0; n < points; ++n) {
    const Vec x0 = frame[n];
    const Vec x1 = frame[n + points];
    const Vec x2 = frame[n + 2 * points];
    const Vec x3 = frame[n + 3 * points];
    const Vec d0 = x0 - x2;
    const Vec d1 = x1 - x3;
    frame[n] = x0 + x2;
    frame[n + points] = x1 + x3;
    u[n] = {d0 * w[2 * n] + d1 * w[2 * n + 1], d0 * w[2 * n + 1] - d1 * w[2 * n]};
  }
}

DCASE_INLINE Vec squared(Complex x) { return x.re * x.re + x.im * x.im; }

// Transforms of 4 and 2 points that end in the power spectrum.
DCASE_INLINE void finish4(Complex x0, Complex x1, Complex x2, Complex x3, Vec* power, const std::int32_t* bins,
                          int step) {
  const Complex s02 = x0 + x2;
  const Complex d02 = x0 - x2;
  const Complex s13 = x1 + x3;
  const Complex d13 = minus_i(x1 - x3);
  power[bins[0]] = squared(s02 + s13);
  power[bins[step]] = squared(d02 + d13);
  power[bins[2 * step]] = squared(s02 - s13);
  power[bins[3 * step]] = squared(d02 - d13);
}

// |FFT(x)|^2 of `points` points into power[bins[..]]. Decimation in frequency, radix 4 in place down to 8 points or
// fewer.
void transform(const MelLanes& a, Complex* x, int points, int log2_points, Vec* power, const std::int32_t* bins) {
  if (points > 8) {
    const int quarter = points / 4;
    const float* w = a.twiddles + a.passes[log2_points].twiddle;
    for (int k = 0; k < quarter; ++k, w += 6) {
      const Complex s02 = x[k] + x[k + 2 * quarter];
      const Complex d02 = x[k] - x[k + 2 * quarter];
      const Complex s13 = x[k + quarter] + x[k + 3 * quarter];
      const Complex d13 = minus_i(x[k + quarter] - x[k + 3 * quarter]);
      x[k] = s02 + s13;
      x[k + quarter] = times(d02 + d13, w);
      x[k + 2 * quarter] = times(s02 - s13, w + 2);
      x[k + 3 * quarter] = times(d02 - d13, w + 4);
    }
    for (int i = 0; i < 4; ++i) {
      transform(a, x + i * quarter, quarter, log2_points - 2, power, bins + i * quarter);
    }
  } else if (points == 8) {
    const Vec h = splat(0.70710678118654752F);  // exp(-i pi/4) = (1 - i) h
    const Complex d1 = x[1] - x[5];
    const Complex d3 = x[3] - x[7];
    finish4(x[0] + x[4], x[1] + x[5], x[2] + x[6], x[3] + x[7], power, bins, 2);
    finish4(x[0] - x[4], {(d1.re + d1.im) * h, (d1.im - d1.re) * h}, minus_i(x[2] - x[6]),
            {(d3.im - d3.re) * h, -(d3.re + d3.im) * h}, power, bins + 1, 2);
  } else if (points == 4) {
    finish4(x[0], x[1], x[2], x[3], power, bins, 1);
  } else if (points == 2) {
    power[bins[0]] = squared(x[0] + x[1]);
    power[bins[1]] = squared(x[0] - x[1]);
  } else {
    power[bins[0]] = squared(x[0]);
  }
}

void filter_and_store(const MelLanes& a, const Vec* power) {
  for (int m = 0; m < a.mels; ++m) {
    const MelFilter& filter = a.filters[m];
    const float* weights = a.weights + filter.offset;
    const Vec* bin = power + filter.first_bin;
    Vec even = {};
    Vec odd = {};
    int i = 0;
    for (; i + 1 < filter.bins; i += 2) {
      even += bin[i] * weights[i];
      odd += bin[i + 1] * weights[i + 1];
    }
    if (i < filter.bins) even += bin[i] * weights[i];
    Vec value = even + odd;
    if (a.log) value = natural_log(value == Vec{} ? splat(a.zero_floor) : value);
    float* out = a.out + m * a.out_stride;
    if (a.frames == kLanes) {
      *reinterpret_cast<UnalignedVec*>(out) = value;
    } else {
      for (int l = 0; l < a.frames; ++l) out[l] = value[l];
    }
  }
}

}  // namespace

void mel_lanes(const MelLanes& a) {
  Vec* frame = reinterpret_cast<Vec*>(a.scratch);           // [rows]
  Complex* u = reinterpret_cast<Complex*>(frame + a.rows);  // [n_fft/4]
  Vec* power = frame + a.rows + a.n_fft / 2;                // [n_fft/2 + 1]
  load_frames(a, frame);
  int log2_points = 0;
  while ((4 << log2_points) < a.n_fft) ++log2_points;
  for (int i = 0; i < a.levels; ++i, --log2_points) {
    const MelLevel& level = a.level[i];
    split(frame, u, level.points, a.twiddles + level.twiddle, 2 * level.points == a.rows);
    transform(a, u, level.points, log2_points, power, a.bins + level.bins);
  }
  const Vec even = frame[0] + frame[1];
  const Vec odd = frame[0] - frame[1];
  power[0] = even * even;
  power[a.n_fft / 2] = odd * odd;
  filter_and_store(a, power);
}

#undef DCASE_INLINE
