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

/// The filter of one pair of rates: one row of taps for each of out/gcd phases. Pairs whose table would exceed
/// kMaxTable keep none and compute the taps of each output instead (slower, same values). Immutable, thread-safe.
class ResampleFilter {
 public:
  static constexpr std::int64_t kMaxTable = std::int64_t{1} << 22;  // floats: 16 MiB
  static constexpr int kMaxRate = 1 << 24;                          // Hz
  static constexpr int kMaxRatio = 1024;                            // in/out or out/in

  /// Throws kArgument for rates outside 1 .. kMaxRate or further apart than kMaxRatio.
  ResampleFilter(int in_rate, int out_rate);

  [[nodiscard]] int in_rate() const { return in_rate_; }
  [[nodiscard]] int out_rate() const { return out_rate_; }
  [[nodiscard]] bool identity() const { return in_rate_ == out_rate_; }
  [[nodiscard]] bool tabulated() const { return !table_.empty(); }
  [[nodiscard]] std::int64_t phases() const { return up_; }
  [[nodiscard]] int taps() const { return taps_; }

 private:
  friend class Resampler;
  struct Taps {
    std::int64_t first = 0;          // input sample of the first tap, relative to the period of `up_` outputs
    const float* weights = nullptr;  // [taps_]
  };
  [[nodiscard]] std::int64_t first_input(std::int64_t phase) const;
  void compute(std::int64_t phase, float* weights) const;

  int in_rate_;
  int out_rate_;
  std::int64_t up_;               // out / gcd: outputs of one period
  std::int64_t down_;             // in / gcd: inputs of one period
  int taps_;                      // per output, rounded up to whole vectors (the rest are zeros)
  std::vector<float> table_;      // [up_, taps_], or empty
  std::vector<double> rotation_;  // for computed taps: sine and cosine of the steps from tap to tap
};

/// One signal passing through a filter in blocks of any size. The concatenated output is, bit for bit, that of the
/// whole signal in one block. Memory is one block and one filter length. Not thread-safe; one per signal.
class Resampler {
 public:
  explicit Resampler(std::shared_ptr<const ResampleFilter> filter);

  /// Appends to `output` the samples that `input` completes.
  void push(std::span<const float> input, std::vector<float>& output);
  /// The signal ends: appends the rest, after which the resampler is ready for another signal.
  void finish(std::vector<float>& output);

 private:
  void produce(std::int64_t end, std::vector<float>& output);

  std::shared_ptr<const ResampleFilter> filter_;
  std::vector<float> pending_;  // input that later outputs still need
  std::int64_t pending_begin_;  // its position in the signal (negative: zeros before the start)
  std::int64_t consumed_ = 0;   // samples pushed so far
  std::int64_t produced_ = 0;   // outputs so far
};

/// A whole signal at once.
[[nodiscard]] std::vector<float> resample(std::span<const float> input, int in_rate, int out_rate);

}  // namespace dcase
