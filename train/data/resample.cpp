#include "train/data/resample.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "kernels/common/error.hpp"

namespace dcase {

namespace {

constexpr double kRollOff = 0.99;
constexpr int kZeroCrossings = 6;
constexpr int kLanes = 8;
constexpr std::int64_t kSlice = 1 << 15;  // samples of input at a time: it stays in the second-level cache

/// Sum of x[k] * w[k] in an order that the compiler cannot change. count is a multiple of kLanes.
float dot(const float* x, const float* w, int count) {
  using Vec = float __attribute__((vector_size(16), aligned(4), may_alias));
  Vec low = {};
  Vec high = {};
  for (int k = 0; k < count; k += kLanes) {
    low += *reinterpret_cast<const Vec*>(x + k) * *reinterpret_cast<const Vec*>(w + k);
    high += *reinterpret_cast<const Vec*>(x + k + 4) * *reinterpret_cast<const Vec*>(w + k + 4);
  }
  const Vec sum = low + high;
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

}  // namespace

std::int64_t resampled_length(std::int64_t samples, int in_rate, int out_rate) {
  DCASE_CHECK(samples >= 0 && in_rate >= 1 && out_rate >= 1, "resampled_length: ", samples, " samples, ", in_rate,
              " to ", out_rate, " Hz");
  const std::int64_t divisor = std::gcd(in_rate, out_rate);
  const std::int64_t down = in_rate / divisor;
  const std::int64_t up = out_rate / divisor;
  DCASE_CHECK(samples / down < std::numeric_limits<std::int64_t>::max() / up - 1, "resampled_length: ", samples,
              " samples are too many");
  return samples / down * up + (samples % down * up + down - 1) / down;
}

ResampleFilter::ResampleFilter(int in_rate, int out_rate) : in_rate_(in_rate), out_rate_(out_rate) {
  DCASE_CHECK(in_rate >= 1 && in_rate <= kMaxRate, "resample: rate ", in_rate, " Hz is not in 1 .. ", kMaxRate);
  DCASE_CHECK(out_rate >= 1 && out_rate <= kMaxRate, "resample: rate ", out_rate, " Hz is not in 1 .. ", kMaxRate);
  const int low = std::min(in_rate, out_rate);
  DCASE_CHECK(std::max(in_rate, out_rate) / low < kMaxRatio, "resample: ", in_rate, " to ", out_rate,
              " Hz is a ratio above ", kMaxRatio);
  const int divisor = std::gcd(in_rate, out_rate);
  up_ = out_rate / divisor;
  down_ = in_rate / divisor;
  step_ = std::numbers::pi * kRollOff * low / in_rate;
  const double width = 2 * kZeroCrossings * std::numbers::pi / step_;  // input samples under the window
  taps_ = (static_cast<int>(width) + 1 + kLanes - 1) / kLanes * kLanes;
  if (identity()) return;

  for (int k = 0; k < taps_; ++k) {
    for (const double angle : {k * step_, k * step_ / kZeroCrossings}) {
      rotations_.push_back(std::cos(angle));
      rotations_.push_back(std::sin(angle));
    }
  }
  if (up_ * taps_ > kMaxTable) return;
  table_.resize(static_cast<std::size_t>(up_ * taps_));
  for (std::int64_t phase = 0; phase < up_; ++phase) {
    compute(phase, table_.data() + phase * taps_);
    first_.push_back(static_cast<std::int32_t>(first_of_phase(phase)));
  }
}

std::int64_t ResampleFilter::first_of_phase(std::int64_t phase) const {
  // The first n with n/in > phase/out - w. Rounding at the border does not matter: the window is zero there.
  const double centre = static_cast<double>(down_ * phase) / static_cast<double>(up_);
  return static_cast<std::int64_t>(std::floor(centre - kZeroCrossings * std::numbers::pi / step_)) + 1;
}

std::int64_t ResampleFilter::first_input(std::int64_t m) const {
  const std::int64_t phase = m % up_;
  return m / up_ * down_ + (first_.empty() ? first_of_phase(phase) : first_[static_cast<std::size_t>(phase)]);
}

const float* ResampleFilter::weights(std::int64_t m, float* buffer) const {
  const std::int64_t phase = m % up_;
  if (!table_.empty()) return table_.data() + phase * taps_;
  compute(phase, buffer);
  return buffer;
}

// With a = 2 pi fc t the tap is  0.5 (1 + cos(a/6)) * sin(a)/a * 2 fc/in.  The angles of consecutive taps differ by a
// constant, so two sines and cosines serve all taps of an output, turned by the stored rotations.
void ResampleFilter::compute(std::int64_t phase, float* weights) const {
  // The offset of the first tap in input samples, its whole part split off before rounding.
  const std::int64_t first = first_of_phase(phase);
  const double offset = static_cast<double>(first * up_ - down_ * phase) / static_cast<double>(up_);
  const double a0 = step_ * offset;
  const double sine = std::sin(a0);
  const double cosine = std::cos(a0);
  const double window_sine = std::sin(a0 / kZeroCrossings);
  const double window_cosine = std::cos(a0 / kZeroCrossings);
  for (int k = 0; k < taps_; ++k) {
    const double* turn = rotations_.data() + 4 * k;
    const double a = a0 + k * step_;
    if (std::abs(a) >= kZeroCrossings * std::numbers::pi) {
      weights[k] = 0;
      continue;
    }
    const double sinc = std::abs(a) < 1e-8 ? 1 : (sine * turn[0] + cosine * turn[1]) / a;
    const double window = 0.5 * (1 + window_cosine * turn[2] - window_sine * turn[3]);
    weights[k] = static_cast<float>(window * sinc * step_ / std::numbers::pi);
  }
}

Resampler::Resampler(std::shared_ptr<const ResampleFilter> filter) : filter_(std::move(filter)) {
  DCASE_CHECK(filter_ != nullptr, "resampler: no filter");
  computed_.resize(static_cast<std::size_t>(filter_->taps()));
  restart();
}

void Resampler::restart() {
  consumed_ = 0;
  produced_ = 0;
  pending_begin_ = filter_->identity() ? 0 : filter_->first_input(0);
  pending_.assign(static_cast<std::size_t>(-pending_begin_), 0.0F);
}

void Resampler::push(std::span<const float> input, std::vector<float>& output) {
  if (filter_->identity()) {
    output.insert(output.end(), input.begin(), input.end());
    return;
  }
  while (!input.empty()) {
    const std::span<const float> slice = input.first(std::min<std::size_t>(input.size(), kSlice));
    input = input.subspan(slice.size());
    pending_.insert(pending_.end(), slice.begin(), slice.end());
    consumed_ += static_cast<std::int64_t>(slice.size());
    // Outputs whose taps, including the zero ones, all lie in the samples at hand. Their number is not needed.
    produce(std::numeric_limits<std::int64_t>::max(), output);
  }
}

void Resampler::finish(std::vector<float>& output) {
  if (!filter_->identity()) {
    pending_.insert(pending_.end(), static_cast<std::size_t>(filter_->taps()), 0.0F);
    produce(resampled_length(consumed_, filter_->in_rate(), filter_->out_rate()), output);
  }
  restart();
}

void Resampler::produce(std::int64_t end, std::vector<float>& output) {
  const int taps = filter_->taps();
  const std::int64_t available = pending_begin_ + static_cast<std::int64_t>(pending_.size());
  std::int64_t first = filter_->first_input(produced_);
  while (produced_ < end && first + taps <= available) {
    const float* x = pending_.data() + (first - pending_begin_);
    output.push_back(dot(x, filter_->weights(produced_, computed_.data()), taps));
    first = filter_->first_input(++produced_);
  }
  const std::int64_t done = std::min(first, available) - pending_begin_;
  pending_.erase(pending_.begin(), pending_.begin() + done);
  pending_begin_ += done;
}

std::vector<float> resample(std::span<const float> input, int in_rate, int out_rate) {
  std::vector<float> output;
  output.reserve(
      static_cast<std::size_t>(resampled_length(static_cast<std::int64_t>(input.size()), in_rate, out_rate)));
  Resampler resampler(std::make_shared<const ResampleFilter>(in_rate, out_rate));
  resampler.push(input, output);
  resampler.finish(output);
  return output;
}

}  // namespace dcase
