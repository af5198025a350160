#include "train/minidata/signal.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/common/error.hpp"

namespace dcase::minidata {
namespace {

constexpr double kPi = std::numbers::pi;

double decibels(double db) { return std::pow(10.0, db / 20); }

/// Second-order section, transposed direct form II. Coefficients after R. Bristow-Johnson, "Cookbook formulae for audio
/// EQ biquad filter coefficients".
struct Biquad {
  double b0, b1, b2, a1, a2;

  void run(Signal& x) const {
    double s1 = 0, s2 = 0;
    for (float& v : x) {
      const double in = v;
      const double out = b0 * in + s1;
      s1 = b1 * in - a1 * out + s2;
      s2 = b2 * in - a2 * out;
      v = static_cast<float>(out);
    }
  }
};

Biquad resonance(double frequency, double db, double q, int rate) {
  const double w = 2 * kPi * frequency / rate, amplitude = decibels(db / 2), alpha = std::sin(w) / (2 * q);
  const double a0 = 1 + alpha / amplitude;
  return {(1 + alpha * amplitude) / a0, -2 * std::cos(w) / a0, (1 - alpha * amplitude) / a0, -2 * std::cos(w) / a0,
          (1 - alpha / amplitude) / a0};
}

Biquad band_limit(double frequency, bool high_pass, int rate) {
  const double w = 2 * kPi * frequency / rate, alpha = std::sin(w) / std::numbers::sqrt2, c = std::cos(w);
  const double a0 = 1 + alpha, edge = (high_pass ? 1 + c : 1 - c) / 2 / a0;
  return {edge, (high_pass ? -2 : 2) * edge, edge, -2 * c / a0, (1 - alpha) / a0};
}

void append_u32(std::string& out, std::uint32_t v) {
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>((v >> (8 * i)) & 0xFFU));
}
void append_u16(std::string& out, std::uint32_t v) {
  for (int i = 0; i < 2; ++i) out.push_back(static_cast<char>((v >> (8 * i)) & 0xFFU));
}

}  // namespace

double rms(std::span<const float> x) {
  double sum = 0;
  for (const float v : x) sum += double{v} * v;
  return std::max(1e-9, x.empty() ? 0.0 : std::sqrt(sum / static_cast<double>(x.size())));
}

void fade_ends(std::span<float> x, std::int64_t length) {
  const auto size = static_cast<std::int64_t>(x.size());
  const std::int64_t n = std::min(length, size / 2);
  for (std::int64_t i = 0; i < n; ++i) {
    const double s = std::sin(0.5 * kPi * (static_cast<double>(i) + 0.5) / static_cast<double>(n));
    const auto w = static_cast<float>(s * s);
    x[static_cast<std::size_t>(i)] *= w;
    x[static_cast<std::size_t>(size - 1 - i)] *= w;
  }
}

void add_at(std::span<float> y, std::span<const float> x, std::int64_t at, double gain) {
  const auto g = static_cast<float>(gain);
  const auto room = static_cast<std::int64_t>(y.size()) - at;
  const std::int64_t n = std::min(room, static_cast<std::int64_t>(x.size()));
  for (std::int64_t i = 0; i < n; ++i) y[static_cast<std::size_t>(at + i)] += g * x[static_cast<std::size_t>(i)];
}

void limit_peak(std::span<Signal> signals) {
  constexpr float kPeak = 0.99F;
  float peak = 0;
  for (const Signal& s : signals) {
    for (const float v : s) peak = std::max(peak, std::abs(v));
  }
  if (peak <= kPeak) return;
  for (Signal& s : signals) {
    for (float& v : s) v *= kPeak / peak;
  }
}

void simulate_device(Signal& x, int rate, const std::string& device, std::uint64_t seed, std::string_view occasion) {
  if (device == "a") return;
  Dice dice(seed, "minidata/device/" + device);
  const double depth = device.front() == 's' ? 8 : 5;  // dB; the simulated phones of the original differ more
  const int resonances = 4;
  for (int i = 0; i < resonances; ++i) {
    const double frequency = 80 * std::pow(100.0, dice.uniform(0, 1));  // 80 Hz .. 8 kHz, uniform in octaves
    const double db = dice.uniform(-depth, depth);
    resonance(frequency, db, dice.uniform(0.5, 1.5), rate).run(x);
  }
  band_limit(dice.uniform(60, 180), true, rate).run(x);
  band_limit(dice.uniform(6500, 10500), false, rate).run(x);
  const double drive = dice.uniform(0.3, 1.2), floor = decibels(dice.uniform(-66, -54));
  // Saturation of slope 1 at 0, at most 0.5 / drive.
  for (float& v : x) v = static_cast<float>(std::tanh(drive * v / 0.5) * 0.5 / drive);
  const RandomKey noise = {seed, purpose_id(concat("minidata/device-noise/", occasion)), 0};
  const double width = std::sqrt(12.0) * floor;  // of a uniform distribution with deviation `floor`
  for (std::size_t i = 0; i < x.size(); i += 4) {
    const auto words = philox(noise, i / 4);
    for (std::size_t j = i; j < std::min(i + 4, x.size()); ++j) {
      x[j] += static_cast<float>((words[j - i] * 0x1p-32 - 0.5) * width);
    }
  }
}

void add_source(std::span<Signal> channels, std::span<const float> x, std::int64_t at, double azimuth, double elevation,
                double gain) {
  constexpr double kRadius = 0.042, kSpeed = 343, kRate = 24000;  // m, m/s, Hz
  constexpr int kHalf = 16;                                       // taps a side, under a Hann window
  struct Unit {
    double x, y, z;
    static Unit of(double azimuth, double elevation) {
      const double a = azimuth * kPi / 180, e = elevation * kPi / 180;
      return {std::cos(e) * std::cos(a), std::cos(e) * std::sin(a), std::sin(e)};
    }
  };
  const Unit source = Unit::of(azimuth, elevation);
  for (std::size_t m = 0; m < channels.size(); ++m) {
    const Unit mic = Unit::of(kArrayDirections.at(m)[0], kArrayDirections.at(m)[1]);
    const double cosine = source.x * mic.x + source.y * mic.y + source.z * mic.z;
    const double delay = kHalf - kRadius * cosine / kSpeed * kRate;  // samples; the nearer microphone hears it earlier
    std::array<float, 2 * kHalf + 1> taps{};
    for (int k = 0; k <= 2 * kHalf; ++k) {
      const double t = k - delay;
      const double window = 0.5 + 0.5 * std::cos(kPi * std::clamp(t / (kHalf + 1), -1.0, 1.0));
      const double sinc = std::abs(t) < 1e-9 ? 1 : std::sin(kPi * t) / (kPi * t);
      taps[static_cast<std::size_t>(k)] = static_cast<float>(gain * (0.6 + 0.4 * cosine) * window * sinc);
    }
    // One tap at a time over the whole signal: the inner loop is an addition of vectors.
    for (int k = 0; k <= 2 * kHalf; ++k) {
      const std::int64_t shift = at + k - kHalf;
      const std::int64_t skip = std::max<std::int64_t>(0, -shift);
      if (skip >= static_cast<std::int64_t>(x.size())) continue;
      add_at(channels[m], x.subspan(static_cast<std::size_t>(skip)), shift + skip, taps[static_cast<std::size_t>(k)]);
    }
  }
}

std::string wav_bytes(std::span<const Signal> channels, int rate, std::uint64_t seed, std::string_view occasion) {
  const auto frames = static_cast<std::uint32_t>(channels[0].size());
  const auto width = static_cast<std::uint32_t>(channels.size());
  const std::uint32_t bytes = frames * width * 2;
  std::string out;
  out.reserve(44 + std::size_t{bytes});
  out += "RIFF";
  append_u32(out, 36 + bytes);
  out += "WAVEfmt ";
  append_u32(out, 16);
  append_u16(out, 1);  // PCM
  append_u16(out, width);
  append_u32(out, static_cast<std::uint32_t>(rate));
  append_u32(out, static_cast<std::uint32_t>(rate) * width * 2);
  append_u16(out, width * 2);
  append_u16(out, 16);
  out += "data";
  append_u32(out, bytes);
  const RandomKey key = {seed, purpose_id(concat("minidata/dither/", occasion)), 0};
  std::array<std::uint32_t, 4> words{};
  std::uint64_t sample = 0;
  for (std::uint32_t t = 0; t < frames; ++t) {
    for (std::uint32_t c = 0; c < width; ++c, ++sample) {
      if (sample % 4 == 0) words = philox(key, sample / 4);
      const std::uint32_t w = words[sample % 4];
      // The difference of two uniform numbers is triangular over (-1, 1) steps.
      const double dither = (static_cast<double>(w >> 16U) - static_cast<double>(w & 0xFFFFU)) * 0x1p-16;
      const double scaled = std::clamp(channels[c][t] * 32767.0 + dither, -32768.0, 32767.0);
      append_u16(out, static_cast<std::uint32_t>(std::lrint(scaled)) & 0xFFFFU);
    }
  }
  return out;
}

}  // namespace dcase::minidata
