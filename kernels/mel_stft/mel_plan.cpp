#include "kernels/mel_stft/mel_plan.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace dcase {

namespace {

constexpr double kTwoPi = 2 * std::numbers::pi;

double mel_of(double hertz) { return 2595 * std::log10(1 + hertz / 700); }
double hertz_of(double mel) { return 700 * (std::pow(10.0, mel / 2595) - 1); }

void build_filters(cpu::MelPlan& plan) {
  const MelParameters& p = plan.parameters;
  // Corner rounding leaves weights of about 1e-13 where the triangle is zero.
  constexpr double kNothing = 1e-9;
  const double low = mel_of(p.f_min);
  const double step = (mel_of(p.f_max) - low) / (p.mels + 1);
  for (int m = 0; m < p.mels; ++m) {
    const double left = hertz_of(low + step * m);
    const double centre = hertz_of(low + step * (m + 1));
    const double right = hertz_of(low + step * (m + 2));
    MelFilter filter{.first_bin = 0, .bins = 0, .offset = static_cast<int>(plan.weights.size())};
    for (int k = 0; k <= p.n_fft / 2; ++k) {
      const double hertz = static_cast<double>(k) * p.sample_rate / p.n_fft;
      const double weight = std::min((hertz - left) / (centre - left), (right - hertz) / (right - centre));
      if (weight <= kNothing) continue;
      if (filter.bins == 0) filter.first_bin = k;
      ++filter.bins;
      plan.weights.push_back(weight);
    }
    plan.filters.push_back(filter);
  }
  plan.weights_f.assign(plan.weights.begin(), plan.weights.end());
}

void push_root(std::vector<float>& table, double turns) {
  table.push_back(static_cast<float>(std::cos(kTwoPi * turns)));
  table.push_back(static_cast<float>(-std::sin(kTwoPi * turns)));
}

int log2_of(int power) {
  int exponent = 0;
  while ((1 << exponent) < power) ++exponent;
  return exponent;
}

/// Frequencies in the order in which in-place radix-4 passes leave them, down to transforms of at most 8 points.
void append_order(int points, int first, int stride, std::vector<int>& order) {
  if (points <= 8) {
    for (int j = 0; j < points; ++j) order.push_back(first + stride * j);
    return;
  }
  for (int quarter = 0; quarter < 4; ++quarter) append_order(points / 4, first + stride * quarter, stride * 4, order);
}

void build_transform(cpu::MelPlan& plan) {
  const int n_fft = plan.parameters.n_fft;
  plan.passes.resize(static_cast<std::size_t>(log2_of(n_fft)));
  for (int points = 16; points <= n_fft / 4; points *= 2) {
    cpu::MelPass& pass = plan.passes[static_cast<std::size_t>(log2_of(points))];
    pass = {.points = points, .twiddle = static_cast<int>(plan.twiddles.size())};
    for (int k = 0; k < points / 4; ++k)
      for (int power = 1; power <= 3; ++power) push_root(plan.twiddles, static_cast<double>(k) * power / points);
  }
  int shift = 0;
  for (int points = n_fft / 4; points >= 1; points /= 2, ++shift) {
    plan.levels.push_back({.points = points,
                           .twiddle = static_cast<int>(plan.twiddles.size()),
                           .bins = static_cast<int>(plan.bins.size())});
    for (int n = 0; n < points; ++n) push_root(plan.twiddles, static_cast<double>(n) / (4.0 * points));
    std::vector<int> order;
    append_order(points, 0, 1, order);
    for (const int j : order) {
      const int bin = 4 * j + 1;
      plan.bins.push_back((bin <= 2 * points ? bin : 4 * points - bin) << shift);
    }
  }
}

}  // namespace

void validate(const MelParameters& p) {
  DCASE_CHECK(p.sample_rate >= 1, "mel: sample_rate is ", p.sample_rate);
  DCASE_CHECK(p.n_fft >= 64 && p.n_fft <= 65536 && (p.n_fft & (p.n_fft - 1)) == 0, "mel: n_fft is ", p.n_fft,
              ", expected a power of two in 64 .. 65536");
  DCASE_CHECK(p.window >= 2 && p.window <= p.n_fft && p.window % 2 == 0, "mel: window is ", p.window,
              ", expected an even number in 2 .. n_fft = ", p.n_fft);
  DCASE_CHECK(p.hop >= 1 && p.hop <= 65536, "mel: hop is ", p.hop, ", expected 1 .. 65536");
  DCASE_CHECK(p.mels >= 1 && p.mels <= 1024, "mel: mels is ", p.mels, ", expected 1 .. 1024");
  DCASE_CHECK(p.f_min >= 0 && p.f_min < p.f_max, "mel: f_min is ", p.f_min, " and f_max ", p.f_max);
  DCASE_CHECK(p.f_max <= 0.5 * p.sample_rate, "mel: f_max is ", p.f_max, ", above half of sample_rate ", p.sample_rate);
  DCASE_CHECK(std::isfinite(p.preemphasis), "mel: preemphasis is ", p.preemphasis);
  DCASE_CHECK(p.zero_floor > 0 && std::isfinite(p.zero_floor), "mel: zero_floor is ", p.zero_floor);
  DCASE_CHECK(p.std_floor > 0 && std::isfinite(p.std_floor), "mel: std_floor is ", p.std_floor);
}

std::int64_t mel_frames(std::int64_t samples, const MelParameters& parameters) {
  return samples < 2 ? 0 : 1 + (samples - 1) / parameters.hop;
}

std::int64_t doubled_frames(std::int64_t frames, std::int64_t at_least) {
  DCASE_CHECK(frames >= 1, "doubled_frames: there are ", frames, " frames");
  while (frames < at_least) frames *= 2;
  return frames;
}

cpu::MelPlan::MelPlan(const MelParameters& p) : parameters(p) {
  validate(p);
  for (int j = 0; j < p.window; ++j)
    window.push_back(0.54 - 0.46 * std::cos(kTwoPi * j / p.window));  // periodic Hamming
  window_f.assign(window.begin(), window.end());
  rows = p.window > p.n_fft / 2 ? p.n_fft : p.n_fft / 2;
  build_filters(*this);
  build_transform(*this);
}

MelTables::MelTables(const MelParameters& parameters) : plan_(std::make_shared<const cpu::MelPlan>(parameters)) {}
const MelParameters& MelTables::parameters() const { return plan_->parameters; }
std::span<const double> MelTables::window() const { return plan_->window; }
std::span<const MelFilter> MelTables::filters() const { return plan_->filters; }
std::span<const double> MelTables::weights() const { return plan_->weights; }

}  // namespace dcase
