#pragma once
// Two rungs. mel_simple_kernel evaluates the definition in double and takes any parameters: the fallback and the oracle
// on the device. mel_fft_kernel takes n_fft = 2048 and windows up to 1024: everything from PCM to logarithm in one
// pass.

#include "kernels/common/dialect.cuh"
#include "kernels/mel_stft/mel_crop.hpp"
#include "kernels/mel_stft/mel_edge.hpp"
#include "kernels/mel_stft/mel_filter.hpp"
#include "kernels/mel_stft/mel_stft_tile.cuh"

namespace dcase::cuda {

/// The tables of MelTables in device memory.
struct MelDeviceTables {
  const double* window;      // [window]
  const double* cosine;      // [n_fft], cos(2 pi i / n_fft)
  const float* weights;      // of the filters, row after row
  const MelFilter* filters;  // [mels]
  // For mel_fft_kernel:
  const float* half_window;  // [window], half of it (see store_power)
  const float2* turns;       // [12][32], with w = exp(-2 pi i / 1024): w^(b n), b < 4, then w^(4 a n), a < 8
  const float2* separation;  // [512], exp(-2 pi i k / 2048)
};

template <class Sample>
struct MelArguments {
  const Sample* pcm;  // [N,S], or with crops [P]
  float scale;
  const MelCrop* crops;      // [N], or null
  std::int64_t samples;      // S; with crops P
  std::int64_t first_frame;  // of the item, behind out[0]; not used with crops
  std::int64_t items;        // N
  std::int64_t frames;       // T
  float* out;                // [N,M,T]
  int window, hop, mels, n_fft;
  float preemphasis, zero_floor;
  int log;
  MelDeviceTables tables;
};

/// What a thread knows of its item.
template <class Sample>
struct MelSignal {
  const Sample* x;
  std::int64_t samples;
  std::int64_t first_frame;
  bool present;  // the pool has the crop and the crop has the frames
};

template <class Sample>
__device__ __forceinline__ MelSignal<Sample> mel_signal(const MelArguments<Sample>& g, std::int64_t item) {
  if (g.crops == nullptr) return {g.pcm + item * g.samples, g.samples, g.first_frame, true};
  const MelCrop crop = g.crops[item];
  const bool present = crop.begin >= 0 && crop.begin <= g.samples && crop.samples >= 2 &&
                       crop.samples <= g.samples - crop.begin && crop.first_frame >= 0 &&
                       crop.first_frame <= 1 + (crop.samples - 1) / g.hop - g.frames;
  return {g.pcm + (present ? crop.begin : 0), crop.samples, crop.first_frame, present};
}

/// y[n] = x[n+1] - preemphasis x[n] at p = &x[n]. Written as one fused operation, so that floats and 16-bit samples
/// give the same bits.
template <class Sample>
__device__ __forceinline__ float emphasised(const MelArguments<Sample>& g, const Sample* p) {
  return fmaf(-g.preemphasis, static_cast<float>(p[0]) * g.scale, static_cast<float>(p[1]) * g.scale);
}

/// The same of the mirrored signal, for any n.
template <class Sample>
__device__ __forceinline__ float emphasised(const MelArguments<Sample>& g, const MelSignal<Sample>& s, std::int64_t n) {
  const std::int64_t length = s.samples - 1;
  return emphasised(g, s.x + (n < 0 || n >= length ? mirrored(n, length) : n));
}

template <class Sample>
__device__ __forceinline__ float finished(const MelArguments<Sample>& g, float power) {
  if (g.log == 0) return power;
  return logf(power == 0 ? g.zero_floor : power);
}

inline constexpr int kMelSimpleThreads = 128;

/// A thread computes one element of out: for each bin of its filter the Fourier sum over the window, term by term. No
/// bin is shared with a neighbouring filter, no symmetry is used. Bound by double arithmetic.
template <class Sample>
__global__ void __launch_bounds__(kMelSimpleThreads) mel_simple_kernel(MelArguments<Sample> g) {
  const std::int64_t at = std::int64_t{blockIdx.x} * kMelSimpleThreads + threadIdx.x;
  if (at >= g.items * g.mels * g.frames) return;
  const MelSignal<Sample> signal = mel_signal(g, at / g.frames / g.mels);
  if (!signal.present) {
    g.out[at] = NAN;
    return;
  }
  const std::int64_t frame = signal.first_frame + at % g.frames;
  const MelFilter filter = g.tables.filters[at / g.frames % g.mels];
  const std::int64_t start = frame * g.hop - g.window / 2;
  const unsigned wrap = static_cast<unsigned>(g.n_fft) - 1;
  double power = 0;
  for (int b = 0; b < filter.bins; ++b) {
    const auto k = static_cast<unsigned>(filter.first_bin + b);
    double re = 0;
    double im = 0;
    for (int j = 0; j < g.window; ++j) {
      const double y = g.tables.window[j] * static_cast<double>(emphasised(g, signal, start + j));
      const unsigned turn = k * static_cast<unsigned>(j);  // below 2^31
      re += y * g.tables.cosine[turn & wrap];
      im += y * g.tables.cosine[(turn + static_cast<unsigned>(g.n_fft) / 4) & wrap];
    }
    power += static_cast<double>(g.tables.weights[filter.offset + b]) * (re * re + im * im);
  }
  g.out[at] = finished(g, static_cast<float>(power));
}

// --- a warp transforms a frame
//
// One frame at a time, not two as the real and imaginary part of one transform: rounding is relative to the loudest bin
// of a transform, so a loud neighbour would fill a silent frame with noise, and a NaN would spread.

struct MelComplex {
  float re;
  float im;
};
__device__ __forceinline__ MelComplex operator+(MelComplex a, MelComplex b) { return {a.re + b.re, a.im + b.im}; }
__device__ __forceinline__ MelComplex operator-(MelComplex a, MelComplex b) { return {a.re - b.re, a.im - b.im}; }
__device__ __forceinline__ MelComplex times(MelComplex a, float2 w) {
  return {a.re * w.x - a.im * w.y, a.re * w.y + a.im * w.x};
}
__device__ __forceinline__ MelComplex minus_i(MelComplex a) { return {a.im, -a.re}; }

/// cos(2 pi i / 32) for 0 < i < 8. No table: an array would be put into memory.
__device__ __forceinline__ constexpr float cosine_32(int i) {
  if (i == 1) return 0.980785280F;
  if (i == 2) return 0.923879533F;
  if (i == 3) return 0.831469612F;
  if (i == 4) return 0.707106781F;
  if (i == 5) return 0.555570233F;
  return i == 6 ? 0.382683432F : 0.195090322F;
}
/// a * exp(-2 pi i turn / 32), 0 <= turn < 24. In unrolled loops `turn` is a constant and one product is left.
__device__ __forceinline__ MelComplex times_root_32(MelComplex a, int turn) {
  DCASE_UNROLL for (int quarter = 0; quarter < 2; ++quarter) {
    if (turn >= 8) {
      a = minus_i(a);
      turn -= 8;
    }
  }
  if (turn == 0) return a;
  if (turn == 4) return {(a.re + a.im) * cosine_32(4), (a.im - a.re) * cosine_32(4)};
  return times(a, {cosine_32(turn), -cosine_32(8 - turn)});
}

/// Transform of 16 points in registers: radix 4 twice, decimation in frequency. X[k] is left at x[k / 4 + k % 4 * 4].
__device__ __forceinline__ void fft_16(MelComplex* x) {
  const auto radix_4 = [](MelComplex& x0, MelComplex& x1, MelComplex& x2, MelComplex& x3) {
    const MelComplex s02 = x0 + x2;
    const MelComplex d02 = x0 - x2;
    const MelComplex s13 = x1 + x3;
    const MelComplex d13 = minus_i(x1 - x3);
    x0 = s02 + s13;
    x1 = d02 + d13;
    x2 = s02 - s13;
    x3 = d02 - d13;
  };
  DCASE_UNROLL for (int i = 0; i < 4; ++i) {
    radix_4(x[i], x[i + 4], x[i + 8], x[i + 12]);
    DCASE_UNROLL for (int k = 1; k < 4; ++k) x[i + 4 * k] = times_root_32(x[i + 4 * k], 2 * i * k);
  }
  DCASE_UNROLL for (int k = 0; k < 4; ++k) radix_4(x[4 * k], x[4 * k + 1], x[4 * k + 2], x[4 * k + 3]);
}

/// z[j] = points lane + 32 j of the frame that begins at `start`: pairs of samples times half the window, zeros behind
/// it. A frame inside the signal is loaded straight into registers, all of it at once; one that reaches beyond an end,
/// whose positions are mirrored, passes through shared memory in a loop that is not unrolled.
template <class Sample>
__device__ __forceinline__ void load_frame(const MelArguments<Sample>& g, const MelSignal<Sample>& signal,
                                           std::int64_t start, int lane, float* memory, MelComplex* z) {
  const float* const window = g.tables.half_window;
  if (start >= 0 && start + g.window < signal.samples) {
    DCASE_UNROLL for (int j = 0; j < 16; ++j) {
      const int n = mel_sample_address(lane, j);
      z[j] = {0.0F, 0.0F};
      if (n < g.window) {  // an even number
        const float2 w = *reinterpret_cast<const float2*>(window + n);
        z[j] = {w.x * emphasised(g, signal.x + start + n), w.y * emphasised(g, signal.x + start + n + 1)};
      }
    }
    return;
  }
  for (int n = lane; n < kLongestWindow; n += 32) {
    memory[n] = n < g.window ? window[n] * emphasised(g, signal, start + n) : 0.0F;
  }
  __syncwarp();  // the frame is complete
  DCASE_UNROLL for (int j = 0; j < 16; ++j) {
    const float2 pair = *reinterpret_cast<const float2*>(memory + mel_sample_address(lane, j));
    z[j] = {pair.x, pair.y};
  }
  __syncwarp();  // and read
}

/// Between the stages: times w^(n k) for lane n, as w^(n (k mod 4)) and w^(n (k - k mod 4)), which is 10 loads instead
/// of 31 and registers for them; then the 32 x 32 transposition, real and imaginary parts one after the other in the
/// same memory.
__device__ __forceinline__ void exchange(MelComplex* z, const float2* turns, int lane, float* memory) {
  DCASE_UNROLL for (int k = 0; k < 32; ++k) {
    MelComplex& x = z[mel_place_32(k)];
    if (k % 4 > 0) x = times(x, turns[k % 4 * 32 + lane]);
    if (k / 4 > 0) x = times(x, turns[(4 + k / 4) * 32 + lane]);
    memory[mel_exchange_address(lane, k)] = x.re;
  }
  __syncwarp();  // the real parts are there
  DCASE_UNROLL for (int n = 0; n < 32; ++n) z[n].re = memory[mel_exchange_address(n, lane)];
  __syncwarp();  // and read
  DCASE_UNROLL for (int k = 0; k < 32; ++k) memory[mel_exchange_address(lane, k)] = z[mel_place_32(k)].im;
  __syncwarp();  // the imaginary parts are there
  DCASE_UNROLL for (int n = 0; n < 32; ++n) z[n].im = memory[mel_exchange_address(n, lane)];
  __syncwarp();  // and read
}

/// From Z, the transform of z, to the powers of the frame. The even and the odd samples have the transforms
/// E = (Z[k] + conj Z[1024-k]) / 2 and O = (Z[k] - conj Z[1024-k]) / 2i, and with w = exp(-2 pi i k / 2048)
///
///   X[k] = E + w O,   X[1024-k] = conj(E - w O)      k = 0 .. 512
///
/// The halves are in the window. Lane l holds Z[l + 32 j], so that Z[1024-k] is in register 31 - j of lane 32 - l; in
/// lane 0 itself, in register 32 - j, for l = 0.
__device__ __forceinline__ void store_power(const MelComplex* z, const float2* separation, int lane, float* power) {
  const int partner = (32 - lane) % 32;
  DCASE_UNROLL for (int j = 0; j < 16; ++j) {
    const MelComplex mine = z[mel_place_32(j)];
    const MelComplex self = z[mel_place_32((32 - j) % 32)];
    const MelComplex other = z[mel_place_32(31 - j)];
    const float re = __shfl_sync(0xFFFFFFFFU, lane == 0 ? self.re : other.re, partner);
    const float im = __shfl_sync(0xFFFFFFFFU, lane == 0 ? self.im : other.im, partner);
    const MelComplex even = {mine.re + re, mine.im - im};
    const MelComplex odd = minus_i({mine.re - re, mine.im + im});
    const int k = lane + 32 * j;
    const MelComplex turned = times(odd, separation[k]);
    const MelComplex low = even + turned;
    const MelComplex high = even - turned;
    power[k] = low.re * low.re + low.im * low.im;
    power[kFftPoints - k] = high.re * high.re + high.im * high.im;
  }
  const MelComplex middle = z[mel_place_32(16)];
  if (lane == 0) power[kFftPoints / 2] = 4 * (middle.re * middle.re + middle.im * middle.im);
}

/// A block owns 16 frames of an item, a warp two of them, one after the other:
///
///   samples   pre-emphasis and window in the load; circular shifts do not change |X|, so the window stands at
///             0 .. window-1 and the upper half of the points is zero
///   stage 1   lane n: 32 points n + 32 j in registers, of which only the lower 16 are not zero; times w^(n k)
///   exchange  through shared memory
///   stage 2   lane k: 32 points; then the spectrum of the real frame, by shuffles, and its power to shared memory
///
/// Then all warps take filters in turn: a lane sums every second bin of one frame, so that weights are broadcast,
/// powers come from 32 different banks, and a filter's 16 frames are written together. Global memory is read about
/// twice (frames overlap) and written once: bound by shared memory and arithmetic, in equal parts. The simple kernel
/// computes each bin on its own, and the bins of overlapping filters twice.
template <class Sample>
__global__ void __launch_bounds__(kFftThreads, 2) mel_fft_kernel(MelArguments<Sample> g) {
  SharedCarver carve;
  float* const memory = carve.take<float>(kFftFrames * kFramePitch);
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  constexpr int kWarps = kFftThreads / 32;
  const std::int64_t blocks = (g.frames + kFftFrames - 1) / kFftFrames;  // of an item
  const std::int64_t item = blockIdx.x / blocks;
  const std::int64_t t = blockIdx.x % blocks * kFftFrames;
  const int frames = g.frames - t < kFftFrames ? static_cast<int>(g.frames - t) : kFftFrames;
  // In shared memory, since the transforms need all registers.
  DCASE_SHARED(MelSignal<Sample>, signal, [1]);
  if (threadIdx.x == 0) signal[0] = mel_signal(g, item);
  __syncthreads();  // the item is known
  if (!signal[0].present) {
    for (int i = static_cast<int>(threadIdx.x); i < g.mels * frames; i += kFftThreads) {
      g.out[(item * g.mels + i / frames) * g.frames + t + i % frames] = NAN;
    }
    return;
  }

  for (int frame = warp; frame < frames; frame += kWarps) {
    float* const mine = memory + frame * kFramePitch;
    MelComplex z[32];
    load_frame(g, signal[0], (signal[0].first_frame + t + frame) * g.hop - g.window / 2, lane, mine, z);
    DCASE_UNROLL for (int j = 0; j < 16; ++j) z[j + 16] = times_root_32(z[j], j);
    fft_16(z);
    fft_16(z + 16);
    exchange(z, g.tables.turns, lane, mine);
    DCASE_UNROLL for (int j = 0; j < 16; ++j) {
      const MelComplex sum = z[j] + z[j + 16];
      z[j + 16] = times_root_32(z[j] - z[j + 16], j);
      z[j] = sum;
    }
    fft_16(z);
    fft_16(z + 16);
    store_power(z, g.tables.separation, lane, mine);
  }
  __syncthreads();  // the powers of all frames are there

  const int frame = lane % kFftFrames;
  const int part = lane / kFftFrames;
  float* const out = g.out + item * g.mels * g.frames + t + frame;
  for (int m = warp; m < g.mels; m += kWarps) {
    const MelFilter filter = g.tables.filters[m];
    const float* const weights = g.tables.weights + filter.offset;
    float sum = 0;
    if (frame < frames) {
      for (int i = part; i < filter.bins; i += 2) {
        sum = fmaf(weights[i], memory[mel_power_address(lane, filter.first_bin + i - part)], sum);
      }
    }
    sum += __shfl_xor_sync(0xFFFFFFFFU, sum, kFftFrames);
    if (part == 0 && frame < frames) out[m * g.frames] = finished(g, sum);
  }
}

}  // namespace dcase::cuda
