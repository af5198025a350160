#include "kernels/resample/resample_filter.hpp"

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
constexpr int kLanes = 8;  // taps are rounded up to a multiple of it

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

}  // namespace dcase
