#pragma once
/// The counter-based numbers from which the reference files were made (tests/golden/README.md). Integer arithmetic up
/// to the last step, so they are equal on every machine.
///
///     key = FNV-1a 64 of the stream's name
///     z   = key + (i+1) * 0x9E3779B97F4A7C15, mixed as in SplitMix64;   u(i) = (z >> 11) * 2^-53

#include <cstdint>
#include <string_view>
#include <vector>

namespace dcase {

class ReferenceStream {
 public:
  explicit ReferenceStream(std::string_view name);
  /// Number i, in [0, 1).
  [[nodiscard]] double operator()(std::uint64_t i) const;

 private:
  std::uint64_t key_;
};

/// Entry `name` of a state_dict under the prefix of a file: uniform in c +- a, where the last part of the name decides:
/// running_mean 0 +- 0.2, running_var 1 +- 0.5, biases 0 +- 0.1, batch-norm weights 1 +- 0.2, GRU weights
/// 0 +- sqrt(3 / columns), other weights 0 +- sqrt(6 / fan_in).
[[nodiscard]] std::vector<float> reference_parameter(std::string_view prefix, std::string_view name,
                                                     const std::vector<std::int64_t>& shape);

/// Input [items,1,128,frames] of a stream: noise whose level and offset change from patch to patch of 16 rows by 40
/// frames, as a log-mel does.
[[nodiscard]] std::vector<float> reference_input(std::string_view stream, std::int64_t items, std::int64_t frames);

}  // namespace dcase
