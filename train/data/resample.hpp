#pragma once
/// Band-limited resampling on the CPU, by the filters of kernels/resample.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/resample/resample_filter.hpp"

namespace dcase {

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
