#pragma once
/// Splitting work into fixed chunks for OpenMP. The chunks depend on the sizes alone, never on the number of threads:
/// a sum taken chunk by chunk and then over chunks in order has the same bits on any machine that runs it.

#include <algorithm>
#include <cstdint>

#include "kernels/common/context.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

/// Elements of one chunk: large enough to pay for its scheduling (some microseconds of arithmetic), small enough that
/// its inputs and output stay in a core's second-level cache.
inline constexpr std::int64_t kChunkElements = 16384;

[[nodiscard]] constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Calls body(chunk, begin, end) for every chunk of [0, n), in parallel. `body` must not throw.
template <class Body>
void for_chunks(std::int64_t n, std::int64_t chunk_size, const Body& body) {
  const std::int64_t chunks = ceil_div(n, chunk_size);
#pragma omp parallel for schedule(static) if (chunks > 1)
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    body(chunk, chunk * chunk_size, std::min(n, (chunk + 1) * chunk_size));
  }
}

/// Sum over the chunks of [0, n), in order, of sum(begin, end), which runs in parallel and must not throw.
template <class Sum>
[[nodiscard]] double chunked_sum(std::int64_t n, std::int64_t chunk_size, const Context& context, const Sum& sum) {
  const Scratch<double> partial(context, ceil_div(n, chunk_size));
  for_chunks(n, chunk_size,
             [&](std::int64_t chunk, std::int64_t begin, std::int64_t end) { partial[chunk] = sum(begin, end); });
  double total = 0;
  for (std::int64_t chunk = 0; chunk < partial.size(); ++chunk) total += partial[chunk];
  return total;
}

/// Writes or accumulates one gradient element. What `slot` held does not matter with kSet, be it NaN.
template <class Real>
inline void put_gradient(Real& slot, Real value, GradMode mode) {
  slot = mode == GradMode::kAdd ? slot + value : value;
}

}  // namespace dcase
