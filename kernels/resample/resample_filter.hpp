#pragma once
/// Band-limited resampling between any two rates, by windowed sinc. The filter is that of Kaldi's LinearResample and of
/// torchaudio's default: cutoff fc = 0.99 * 0.5 * min(in, out), six zero crossings a side (|t| < w = 6 / (2 fc)),
///
///   y[m] = sum_n h(n/in - m/out) * x[n]
///   h(t) = 0.5 (1 + cos(2 pi fc/6 t)) * sin(2 pi fc t) / (pi t) / in,   h(0) = 2 fc / in
///
/// with zeros outside the signal and ceil(N * out / in) outputs. Equal rates copy the signal.

#include <cstdint>
#include <vector>

#include "kernels/common/device_copies.hpp"

namespace dcase {

/// ceil(samples * out_rate / in_rate), without overflow for any length that fits a file.
[[nodiscard]] std::int64_t resampled_length(std::int64_t samples, int in_rate, int out_rate);

/// The filter of one pair of rates: a row of taps for each of out/gcd phases. Pairs whose table would exceed kMaxTable
/// keep none, and the taps of each output are computed when it is due (slower, same values). Immutable, thread-safe.
/// On a GPU the first use with an allocator puts a copy into its memory; the allocator outlives the filter.
class ResampleFilter {
 public:
  static constexpr std::int64_t kMaxTable = std::int64_t{1} << 22;  // floats: 16 MiB
  static constexpr int kMaxRate = 1 << 24;                          // Hz
  static constexpr int kMaxRatio = 1024;                            // the longest filter has 12,416 taps

  /// Throws kArgument for rates outside 1 .. kMaxRate, or further apart than kMaxRatio.
  ResampleFilter(int in_rate, int out_rate);

  [[nodiscard]] int in_rate() const { return in_rate_; }
  [[nodiscard]] int out_rate() const { return out_rate_; }
  [[nodiscard]] bool identity() const { return in_rate_ == out_rate_; }
  [[nodiscard]] bool tabulated() const { return !table_.empty(); }
  [[nodiscard]] std::int64_t up() const { return up_; }
  [[nodiscard]] std::int64_t down() const { return down_; }
  /// Taps of one output, rounded up to a multiple of eight; the surplus is zero.
  [[nodiscard]] int taps() const { return taps_; }
  /// Input sample of the first tap of output m; negative near the start.
  [[nodiscard]] std::int64_t first_input(std::int64_t m) const;
  /// The taps of output m, from the table, or computed into `buffer` [taps].
  [[nodiscard]] const float* weights(std::int64_t m, float* buffer) const;
  /// Where kernels keep the taps.
  [[nodiscard]] DeviceCopies& device_copies() const { return device_copies_; }

 private:
  [[nodiscard]] std::int64_t first_of_phase(std::int64_t phase) const;
  void compute(std::int64_t phase, float* weights) const;

  int in_rate_;
  int out_rate_;
  std::int64_t up_;    // out / gcd: outputs of one period
  std::int64_t down_;  // in / gcd: inputs of one period
  double step_;        // angle 2 pi fc t from one input sample to the next
  int taps_;
  std::vector<double> rotations_;    // [taps, 4] cosine and sine of k * step, and of k * step / 6
  std::vector<float> table_;         // [up, taps], or empty
  std::vector<std::int32_t> first_;  // [up] first_of_phase, or empty
  mutable DeviceCopies device_copies_;
};

}  // namespace dcase
