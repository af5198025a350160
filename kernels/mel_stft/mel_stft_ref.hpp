#pragma once
/// The front end in plain double loops: the reference for tests and for other backends. A direct Fourier sum (one table
/// of cosines, no FFT), an independently written filter bank; slow.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "kernels/mel_stft/mel_stft.hpp"

namespace dcase::ref {

/// y[n] = x[n+1] - factor x[n]
[[nodiscard]] inline std::vector<double> preemphasis(const std::vector<double>& x, double factor) {
  std::vector<double> y;
  for (std::size_t n = 0; n + 1 < x.size(); ++n) y.push_back(x[n + 1] - factor * x[n]);
  return y;
}

/// Weight of `hertz` in mel row m.
[[nodiscard]] inline double mel_weight(const MelParameters& p, int m, double hertz) {
  const auto corner = [&p](int i) {
    const double low = 2595 * std::log10(1 + p.f_min / 700);
    const double high = 2595 * std::log10(1 + p.f_max / 700);
    return 700 * (std::pow(10, (low + (high - low) * i / (p.mels + 1)) / 2595) - 1);
  };
  const double rising = (hertz - corner(m)) / (corner(m + 1) - corner(m));
  const double falling = (corner(m + 2) - hertz) / (corner(m + 2) - corner(m + 1));
  return std::max(0.0, std::min(rising, falling));
}

/// Mel power [M, frames] of frames first_frame .. of a whole signal x, row after row.
[[nodiscard]] inline std::vector<double> mel_power(const std::vector<double>& x, const MelParameters& p,
                                                   std::int64_t first_frame, std::int64_t frames) {
  const std::vector<double> y = preemphasis(x, p.preemphasis);
  const std::int64_t length = static_cast<std::int64_t>(y.size());
  const int bins = p.n_fft / 2 + 1;
  std::vector<double> cosine;  // [n_fft], cos(2 pi i / n_fft)
  for (int i = 0; i < p.n_fft; ++i) cosine.push_back(std::cos(2 * std::numbers::pi * i / p.n_fft));
  std::vector<double> filter;  // [M, bins]
  for (int m = 0; m < p.mels; ++m)
    for (int k = 0; k < bins; ++k) filter.push_back(mel_weight(p, m, static_cast<double>(k) * p.sample_rate / p.n_fft));

  std::vector<double> out(static_cast<std::size_t>(p.mels * frames));
  for (std::int64_t t = 0; t < frames; ++t) {
    std::vector<double> frame(static_cast<std::size_t>(p.n_fft));  // zero padded on both sides, as defined
    for (int j = 0; j < p.window; ++j) {
      std::int64_t n = (first_frame + t) * p.hop - p.window / 2 + j;
      while (length > 1 && (n < 0 || n >= length)) n = n < 0 ? -n : 2 * (length - 1) - n;  // mirror until inside
      if (length == 1) n = 0;
      const double window = 0.54 - 0.46 * std::cos(2 * std::numbers::pi * j / p.window);
      frame[static_cast<std::size_t>(j + (p.n_fft - p.window) / 2)] = window * y[static_cast<std::size_t>(n)];
    }
    for (int k = 0; k < bins; ++k) {
      double re = 0;
      double im = 0;
      for (int j = 0; j < p.n_fft; ++j) {
        const int turn = static_cast<int>(std::int64_t{j} * k % p.n_fft);
        re += frame[static_cast<std::size_t>(j)] * cosine[static_cast<std::size_t>(turn)];
        im += frame[static_cast<std::size_t>(j)] * cosine[static_cast<std::size_t>((turn + p.n_fft / 4) % p.n_fft)];
      }
      for (int m = 0; m < p.mels; ++m)
        out[static_cast<std::size_t>(m * frames + t)] +=
            filter[static_cast<std::size_t>(m * bins + k)] * (re * re + im * im);
    }
  }
  return out;
}

/// ln of it, exact zeros replaced.
[[nodiscard]] inline std::vector<double> mel_log(std::vector<double> power, const MelParameters& p) {
  for (double& value : power) value = std::log(value == 0 ? p.zero_floor : value);
  return power;
}

/// Per row over time: (x - mean) / max(unbiased std, floor), in place. [M, frames]
inline void mel_normalize(std::vector<double>& x, int mels, double std_floor) {
  const std::size_t frames = x.size() / static_cast<std::size_t>(mels);
  for (std::size_t row = 0; row < x.size(); row += frames) {
    double mean = 0;
    for (std::size_t t = 0; t < frames; ++t) mean += x[row + t] / static_cast<double>(frames);
    double squares = 0;
    for (std::size_t t = 0; t < frames; ++t) squares += (x[row + t] - mean) * (x[row + t] - mean);
    const double std = frames > 1 ? std::sqrt(squares / static_cast<double>(frames - 1)) : 0;
    for (std::size_t t = 0; t < frames; ++t) x[row + t] = (x[row + t] - mean) / std::max(std, std_floor);
  }
}

}  // namespace dcase::ref
