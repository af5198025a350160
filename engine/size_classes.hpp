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

/// The largest cached block that serves a request of this class. Twice the size, since each size that a step passes
/// through would keep blocks of its own otherwise; small blocks alone serve their own class, so that steps of equal
/// requests need equal blocks, whatever order they come back in.
[[nodiscard]] inline std::size_t largest_fit(std::size_t size) {
  constexpr std::size_t kSmall = std::size_t{64} << 10U;
  return size <= kSmall ? size : 2 * size;
}

}  // namespace dcase
