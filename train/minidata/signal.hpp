#pragma once
/// What is done to recordings on their way into a data set.

#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/common/philox.hpp"

namespace dcase::minidata {

using Signal = std::vector<float>;

/// Random numbers drawn one after another from the stream named `purpose`.
class Dice {
 public:
  Dice(std::uint64_t seed, std::string_view purpose) : key_{seed, purpose_id(purpose), 0} {}
  [[nodiscard]] double uniform(double low, double high) { return low + (high - low) * uniform_double(key_, next_++); }
  /// In 0 .. n-1, n > 0.
  [[nodiscard]] std::size_t below(std::size_t n) {
    return static_cast<std::size_t>(uniform_below(key_, next_++, static_cast<std::uint32_t>(n)));
  }
  template <class T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }
  [[nodiscard]] std::uint32_t word() { return philox(key_, next_++)[0]; }

 private:
  RandomKey key_;
  std::uint64_t next_ = 0;
};

[[nodiscard]] inline std::int64_t samples_of(double seconds, int rate) { return std::llround(seconds * rate); }

/// Root mean square; 1e-9 for silence, so that it can divide.
[[nodiscard]] double rms(std::span<const float> x);
/// Raised-cosine fade of `length` samples at both ends.
void fade_ends(std::span<float> x, std::int64_t length);
/// y[at + i] += gain * x[i], as far as y reaches.
void add_at(std::span<float> y, std::span<const float> x, std::int64_t at, double gain);
/// Scales all signals alike if a sample passes 0.99 of full scale.
void limit_peak(std::span<Signal> signals);

/// A recording as the device named `device` would have made it: "a" leaves it as it is; any other name stands for a
/// fixed random frequency response (four resonances, band limits), saturation and noise floor. `occasion` seeds the
/// noise.
void simulate_device(Signal& x, int rate, const std::string& device, std::uint64_t seed, std::string_view occasion);

/// Directions and radius of the tetrahedral array of TAU-NIGENS 2020 (Eigenmike channels 6, 10, 26, 22).
inline constexpr std::array<std::array<double, 2>, 4> kArrayDirections = {
    {{45, 35}, {-45, -35}, {135, -35}, {-135, 35}}};  // azimuth, elevation in degrees
/// Adds a distant source to four channels: gain and sub-sample delay of each follow from the direction. Free field.
void add_source(std::span<Signal> channels, std::span<const float> x, std::int64_t at, double azimuth, double elevation,
                double gain);

/// A WAV file of 16 bits, interleaved. Triangular dither of one step, so that even silence is not digital silence:
/// logarithms stay finite. `occasion` seeds the dither.
[[nodiscard]] std::string wav_bytes(std::span<const Signal> channels, int rate, std::uint64_t seed,
                                    std::string_view occasion);

}  // namespace dcase::minidata
