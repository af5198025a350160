#include "train/verify/generator.hpp"

#include <cmath>
#include <string>

#include "kernels/common/error.hpp"

namespace dcase {

ReferenceStream::ReferenceStream(std::string_view name) : key_(0xCBF29CE484222325U) {
  for (const char c : name) key_ = (key_ ^ static_cast<std::uint8_t>(c)) * 0x100000001B3U;
}

double ReferenceStream::operator()(std::uint64_t i) const {
  std::uint64_t z = key_ + (i + 1) * 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  z ^= z >> 31U;
  return static_cast<double>(z >> 11U) * 0x1p-53;
}

namespace {

/// Centre and half-width of formula P.
struct Range {
  double centre;
  double half_width;
};

[[nodiscard]] Range range_of(std::string_view name, const std::vector<std::int64_t>& shape, std::int64_t count) {
  const std::string_view last = name.substr(name.rfind('.') + 1);  // npos + 1 = 0: a name without dots
  if (last == "running_mean") return {0, 0.2};
  if (last == "running_var") return {1, 0.5};
  if (last.find("bias") != std::string_view::npos) return {0, 0.1};
  if (last == "weight" && shape.size() == 1) return {1, 0.2};
  DCASE_CHECK(shape.size() >= 2 && count > 0, "reference_parameter: '", name, "' has no rule");
  if (last.rfind("weight_ih_l0", 0) == 0 || last.rfind("weight_hh_l0", 0) == 0) {
    return {0, std::sqrt(3 / static_cast<double>(shape[1]))};
  }
  const std::int64_t fan_in = count / shape[0];
  return {0, std::sqrt(6 / static_cast<double>(fan_in))};
}

}  // namespace

std::vector<float> reference_parameter(std::string_view prefix, std::string_view name,
                                       const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  const Range range = range_of(name, shape, count);
  const ReferenceStream u(concat(prefix, ":", name));
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(range.centre + range.half_width * (2 * u(i) - 1));
  }
  return values;
}

std::vector<float> reference_input(std::string_view stream, std::int64_t items, std::int64_t frames) {
  constexpr std::int64_t kRows = 128;
  constexpr std::int64_t kPatchRows = 16;
  constexpr std::int64_t kPatchFrames = 40;
  const ReferenceStream noise(concat(stream, "/n"));
  const ReferenceStream level(concat(stream, "/a"));
  const ReferenceStream offset(concat(stream, "/o"));
  const std::int64_t patches = (frames + kPatchFrames - 1) / kPatchFrames;
  std::vector<float> x;
  x.reserve(static_cast<std::size_t>(items * kRows * frames));
  for (std::int64_t b = 0; b < items; ++b) {
    for (std::int64_t f = 0; f < kRows; ++f) {
      for (std::int64_t t = 0; t < frames; ++t) {
        const auto i = static_cast<std::uint64_t>(x.size());
        const auto j =
            static_cast<std::uint64_t>((b * (kRows / kPatchRows) + f / kPatchRows) * patches + t / kPatchFrames);
        x.push_back(
            static_cast<float>(1.75 * (2 * noise(i) - 1) * (0.25 + 1.5 * level(j)) + 0.75 * (2 * offset(j) - 1)));
      }
    }
  }
  return x;
}

}  // namespace dcase
