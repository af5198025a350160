#pragma once
/// Band-limited resampling between any two rates, by windowed sinc. The filter is that of Kaldi's LinearResample and of
/// torchaudio's default: cutoff fc = 0.99 * 0.5 * min(in, out), six zero crossings a side (|t| < w = 6 / (2 fc)),
///
///   y[m] = sum_n h(n/in - m/out) * x[n]
///   h(t) = 0.5 (1 + cos(2 pi fc/6 t)) * sin(2 pi fc t) / (pi t) / in,   h(0) = 2 fc / in
///
/// with zeros outside the signal and ceil(N * out / in) outputs. Equal rates copy the signal.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace dcase {

/// ceil(samples * out_rate / in_rate), without overflow for any length that fits a file.
[[nodiscard]] std::int64_t resampled_length(std::int64_t samples, int in_rate, int out_rate);

/// The filter of one pair of rates: a row of taps for each of out/gcd phases. Pairs whose table would exceed kMaxTable
/// keep none, and the taps of each output are computed when it is due (slower, same values). Immutable, thread-safe.
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
  /// Taps of one output, rounded up to a multiple of eight; the surplus is zero.
  [[nodiscard]] int taps() const { return taps_; }
  /// Input sample of the first tap of output m; negative near the start.
  [[nodiscard]] std::int64_t first_input(std::int64_t m) const;
  /// The taps of output m, from the table, or computed into `buffer` [taps].
  [[nodiscard]] const float* weights(std::int64_t m, float* buffer) const;

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
};

/// One signal passing through a filter in blocks of any size. The concatenated output is, bit for bit, that of the
/// whole signal in one block. Memory is a slice of the input and one filter length. Not thread-safe; one per signal.
class Resampler {
 public:
  explicit Resampler(std::shared_ptr<const ResampleFilter> filter);

  /// Appends to `output` the samples that `input` completes.
  void push(std::span<const float> input, std::vector<float>& output);
  /// The signal ends: appends the rest, after which the resampler is ready for another signal.
  void finish(std::vector<float>& output);

 private:
  void restart();
  void produce(std::int64_t end, std::vector<float>& output);

  std::shared_ptr<const ResampleFilter> filter_;
  std::vector<float> computed_;     // taps of one output, for filters without a table
  std::vector<float> pending_;      // input that later outputs still need
  std::int64_t pending_begin_ = 0;  // its position in the signal; negative for the zeros before the start
  std::int64_t consumed_ = 0;       // samples pushed so far
  std::int64_t produced_ = 0;       // outputs so far
};

/// A whole signal at once.
[[nodiscard]] std::vector<float> resample(std::span<const float> input, int in_rate, int out_rate);

}  // namespace dcase
