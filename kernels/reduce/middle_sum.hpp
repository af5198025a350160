#pragma once
/// Sums over the middle axis of [O,R,I], shared by the operators that need one; not a contract of its own.

#include <algorithm>
#include <cstdint>

#include "kernels/common/parallel.hpp"

namespace dcase::cpu {

/// For every (o, i), in double: finish(o * I + i, sum over r of value((o * R + r) * I + i, o * I + i)).
/// `value` runs once for every element, in parallel, and may write elements of its own index; neither may throw.
/// Chunks of rows are summed first and then added in order, so the bits do not depend on the number of threads.
template <class Value, class Finish>
void middle_sum(std::int64_t outer, std::int64_t rows, std::int64_t inner, const Context& context, const Value& value,
                const Finish& finish) {
  constexpr std::int64_t kColumns = 1024;  // 8 KiB of sums at a time stay in the first-level cache
  const std::int64_t width = std::clamp<std::int64_t>(inner, 1, kColumns);
  const std::int64_t blocks = ceil_div(inner, width);
  const std::int64_t rows_per_chunk = std::max<std::int64_t>(1, 4 * kChunkElements / width);
  const std::int64_t chunks = ceil_div(rows, rows_per_chunk);
  const Scratch<double> partial(context, outer * chunks * inner);  // [O,chunks,I]
  for_chunks(outer * chunks * blocks, 1, [&](std::int64_t task, std::int64_t, std::int64_t) {
    const std::int64_t o = task / (chunks * blocks);
    const std::int64_t chunk = task / blocks % chunks;
    const std::int64_t first = task % blocks * width;
    const std::int64_t last = std::min(inner, first + width);
    double* sum = partial.data() + (o * chunks + chunk) * inner;
    std::fill(sum + first, sum + last, 0.0);
    const std::int64_t end = std::min(rows, (chunk + 1) * rows_per_chunk);
    for (std::int64_t r = chunk * rows_per_chunk; r < end; ++r) {
      const std::int64_t row = (o * rows + r) * inner;
#pragma omp simd
      for (std::int64_t i = first; i < last; ++i) sum[i] += value(row + i, o * inner + i);
    }
  });
  for_chunks(outer * inner, kChunkElements, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end; ++at) {
      const double* sum = partial.data() + at / inner * chunks * inner + at % inner;
      double total = 0;
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk) total += sum[chunk * inner];
      finish(at, total);
    }
  });
}

}  // namespace dcase::cpu
