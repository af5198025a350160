#pragma once
/// Philox4x32-10, the counter-based generator of Salmon et al. (SC 2011). A number depends on (seed, purpose, step,
/// element) alone, so crops, mix-up pairs, dropout masks and initial weights are the same on every device and for
/// any number of threads.

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

namespace dcase {

/// One named stream of random numbers: `purpose` says what they are for, `step` which occasion.
struct RandomKey {
  std::uint64_t seed = 0;
  std::uint32_t purpose = 0;
  std::uint32_t step = 0;
};

/// Purposes are named, so that adding one never shifts another: purpose_id("dropout/layer_TAG.2").
[[nodiscard]] constexpr std::uint32_t purpose_id(std::string_view name) {
  std::uint32_t hash = 2166136261U;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619U;
  return hash;
}

/// Four 32-bit words for counter (element, step, purpose) under `seed`.
[[nodiscard]] constexpr std::array<std::uint32_t, 4> philox(const RandomKey& key, std::uint64_t element) {
  std::array<std::uint32_t, 4> c = {static_cast<std::uint32_t>(element), static_cast<std::uint32_t>(element >> 32U),
                                    key.step, key.purpose};
  std::uint32_t k0 = static_cast<std::uint32_t>(key.seed);
  std::uint32_t k1 = static_cast<std::uint32_t>(key.seed >> 32U);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53U} * c[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57U} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32U) ^ c[1] ^ k0, static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32U) ^ c[3] ^ k1, static_cast<std::uint32_t>(p0)};
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return c;
}

/// Uniform in [0, 1) with 24 bits, exact in float.
[[nodiscard]] constexpr float uniform_float(const RandomKey& key, std::uint64_t element) {
  return static_cast<float>(philox(key, element)[0] >> 8U) * 0x1p-24F;
}

/// Uniform in [0, 1) with 53 bits.
[[nodiscard]] inline double uniform_double(const RandomKey& key, std::uint64_t element) {
  const auto w = philox(key, element);
  const std::uint64_t bits = (std::uint64_t{w[0]} << 32U) | w[1];
  return static_cast<double>(bits >> 11U) * 0x1p-53;
}

/// Uniform integer in [0, n), n > 0. The bias of the multiply-shift is below 2^-32 for the sizes used here.
[[nodiscard]] inline std::uint64_t uniform_below(const RandomKey& key, std::uint64_t element, std::uint32_t n) {
  return (std::uint64_t{philox(key, element)[0]} * n) >> 32U;
}

/// Standard normal by Box-Muller, one number an element.
[[nodiscard]] inline double normal_double(const RandomKey& key, std::uint64_t element) {
  constexpr double kTwoPi = 6.283185307179586476925286766559;
  const auto w = philox(key, element);
  const double u = (static_cast<double>((std::uint64_t{w[0]} << 21U) ^ (w[1] >> 11U)) + 0.5) * 0x1p-53;  // in (0, 1)
  const double v = static_cast<double>(w[2]) * 0x1p-32;
  return std::sqrt(-2.0 * std::log(u)) * std::cos(kTwoPi * v);
}

}  // namespace dcase
