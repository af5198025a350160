#pragma once

#include <cstdint>

namespace dcase {

/// Position inside 0 .. length-1 of a signal mirrored about its first and last sample, again and again.
[[nodiscard]] constexpr std::int64_t mirrored(std::int64_t n, std::int64_t length) {
  if (length == 1) return 0;
  const std::int64_t period = 2 * (length - 1);
  n %= period;
  if (n < 0) n += period;
  return n < length ? n : period - n;
}

}  // namespace dcase
