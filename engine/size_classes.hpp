#pragma once
/// Sizes of the blocks that caching allocators keep.

#include <algorithm>
#include <bit>
#include <cstddef>

namespace dcase {

inline constexpr std::size_t kBlockAlignment = 64;

/// Eight classes to each power of two, so a block wastes at most an eighth.
[[nodiscard]] inline std::size_t size_class(std::size_t bytes) {
  if (bytes <= 512) {
    return std::max((bytes + kBlockAlignment - 1) / kBlockAlignment * kBlockAlignment, kBlockAlignment);
  }
  const auto shift = std::bit_width(bytes) - 4;
  return (((bytes - 1) >> shift) + 1) << shift;
}

}  // namespace dcase
