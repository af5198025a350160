#pragma once
/// Logical elements of maps, whatever their grouping: what references of map operators index by.

#include <cstdint>

#include "kernels/common/map.hpp"

namespace dcase::test {

/// Offset of (item, channel, mel row, frame) in a map [N,G,M,T,B].
template <class T>
[[nodiscard]] std::int64_t map_index(const View<T>& map, std::int64_t n, std::int64_t c, std::int64_t m,
                                     std::int64_t t) {
  const std::int64_t b = map.dim(4);
  return (((n * map.dim(1) + c / b) * map.dim(2) + m) * map.dim(3) + t) * b + c % b;
}

/// Calls body(n, c, m, t) for every element of a map.
template <class T, class Body>
void for_map(const View<T>& map, const Body& body) {
  for (std::int64_t n = 0; n < map.dim(0); ++n) {
    for (std::int64_t c = 0; c < channels(map); ++c) {
      for (std::int64_t m = 0; m < map.dim(2); ++m) {
        for (std::int64_t t = 0; t < map.dim(3); ++t) body(n, c, m, t);
      }
    }
  }
}

}  // namespace dcase::test
