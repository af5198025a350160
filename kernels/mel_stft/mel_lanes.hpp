#pragma once
/// The inner part of the CPU front end: a few frames side by side in the lanes of a vector. Internal to
/// kernels/mel_stft.
///
/// mel_lanes is compiled once for each instruction set (mel_lanes_*.cpp, all from mel_lanes_body.hpp). These
/// translation units see plain structs and pointers only: an inline function of a shared header, compiled there, might
/// be the copy that the linker keeps for machines without the instruction set.

#include <cstdint>

#include "kernels/mel_stft/mel_filter.hpp"

namespace dcase::cpu {

/// One step of the recursion in mel_plan.hpp: the odd bins of a real transform of 4 * points.
struct MelLevel {
  int points = 0;   // of the complex transform
  int twiddle = 0;  // first float of exp(-2 pi i n / (4 points)), n < points: re, im
  int bins = 0;     // first entry of this level in MelLanes::bins
};

/// One radix-4 pass of a complex transform.
struct MelPass {
  int points = 0;
  int twiddle = 0;  // first float of w^k, w^2k, w^3k (re, im each), k < points/4, w = exp(-2 pi i / points)
};

/// The tables, and one block of at most `lanes` frames.
struct MelLanes {
  int n_fft;
  int rows;  // samples of a frame after zero padding: n_fft/2, or n_fft for windows longer than that
  int window_size;
  int hop;
  int mels;
  int levels;
  const float* window;  // [window_size]
  const float* twiddles;
  const MelLevel* level;     // [levels], n_fft/4, n_fft/8, .. 1 points
  const MelPass* passes;     // by log2(points), from 16 points on
  const std::int32_t* bins;  // bin of each output of each level, in the order of computation
  const MelFilter* filters;  // [mels]
  const float* weights;
  float zero_floor;
  bool log;

  const float* samples;  // pre-emphasised; frame l starts at samples[l * hop]; [(lanes-1) * hop + window_size]
  float* scratch;        // [lanes * (rows + n_fft/2 + n_fft/2 + 1)], aligned to 64 bytes
  float* out;            // row m, frame l at out[m * out_stride + l], l < frames
  std::int64_t out_stride;
  int frames;
};

namespace baseline {
inline constexpr int kLanes = 4;
void mel_lanes(const MelLanes& a);
}  // namespace baseline
namespace avx2 {
inline constexpr int kLanes = 8;
void mel_lanes(const MelLanes& a);
}  // namespace avx2
namespace avx512 {
inline constexpr int kLanes = 16;
void mel_lanes(const MelLanes& a);
}  // namespace avx512

}  // namespace dcase::cpu
