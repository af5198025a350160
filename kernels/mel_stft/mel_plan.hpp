#pragma once
/// Tables of the front end. Internal to kernels/mel_stft.
///
/// How a real transform of P = n_fft points becomes complex ones without a separation step, power spectrum only:
///
///   odd bins:  with d[n] = r[n] - r[n+P/2] (P/2 real numbers) and u[n] = (d[n] - i d[n+P/4]) exp(-2 pi i n / P),
///              the P/4-point complex transform U of u holds X[4j+1] = U[j]. All odd bins are among these, because
///              |X[P-k]| = |X[k]| and P - (4j+1) runs through 3, 7, 11, ...
///   even bins: are the real transform of P/2 points of r[n] + r[n+P/2]; again the same, until two points are left.
///
/// So 2048 points are complex transforms of 512, 256, ... 1 points, together about as much work as one of 1024 and
/// nothing more. A circular shift of the frame does not change |X|, so the 960 samples of the window stand at
/// r[0..959]: the upper half of r is zero and the first folding (d = r, even part = r) costs nothing.

#include <cstdint>
#include <vector>

#include "kernels/common/device_copies.hpp"
#include "kernels/mel_stft/mel_lanes.hpp"
#include "kernels/mel_stft/mel_stft.hpp"

namespace dcase::cpu {

struct MelPlan {
  explicit MelPlan(const MelParameters& p);

  MelParameters parameters;
  std::vector<double> window;      // [parameters.window]
  std::vector<MelFilter> filters;  // [mels]
  std::vector<double> weights;     // non-zero weights, row after row

  int rows = 0;                    // samples of a frame after zero padding: n_fft/2, or n_fft for longer windows
  std::vector<float> window_f;     // [parameters.window]
  std::vector<float> weights_f;    // as weights
  std::vector<float> twiddles;     // re, im pairs
  std::vector<MelLevel> levels;    // n_fft/4, n_fft/8, .. 1 points
  std::vector<MelPass> passes;     // by log2(points); points 0 where a transform of that size needs no pass
  std::vector<std::int32_t> bins;  // bin of each output of each level, in the order in which it is computed

  mutable DeviceCopies device_copies;  // of window, filters and weights, for kernels
};

}  // namespace dcase::cpu
