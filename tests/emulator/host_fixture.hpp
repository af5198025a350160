#pragma once
/// What the tests of CUDA host code share: a fresh fake runtime, kernels of one thread, all modes in turn.

#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>
#include <vector>

#include "engine/cuda/stream.hpp"
#include "kernels/common/cuda_error.hpp"
#include "kernels/common/launch.hpp"
#include "tests/cuda/cuda_test.hpp"
#include "tests/cuda/device_buffer.hpp"

namespace dcase::test {

inline constexpr int kSeeds = 24;  // a race between two operations stays hidden in all with probability 2^-24

// Kernels of one thread: what is tested here is the order of operations.
inline void fill_kernel(float* y, int n, float value) {
  for (int i = 0; i < n; ++i) y[i] = value;
}
inline void axpy_kernel(float* y, const float* x, int n, float a) {
  for (int i = 0; i < n; ++i) y[i] += a * x[i];
}

inline void fill(Stream stream, float* y, int n, float value) {
  launch(fill_kernel, {.grid = 1, .block = 1, .stream = stream, .name = "fill"}, y, n, value);
}
/// y += a x
inline void axpy(Stream stream, float* y, const float* x, int n, float a) {
  launch(axpy_kernel, {.grid = 1, .block = 1, .stream = stream, .name = "axpy"}, y, x, n, a);
}

/// In how many seeds of the lazy mode `wrong()` is true, with a fresh runtime for each.
template <class Body>
int seeds_where(Body wrong) {
  int count = 0;
  for (int seed = 0; seed < kSeeds; ++seed) {
    fake::reset();
    fake::set_lazy(static_cast<std::uint64_t>(seed));
    if (wrong()) ++count;
  }
  fake::reset();
  return count;
}

/// The same with eager mode as well: where a correct program is right in all.
template <class Body>
void check_in_all_modes(Body right) {
  fake::reset();
  fake::set_eager();
  CHECK(right());
  CHECK(seeds_where([&] { return !right(); }) == 0);
}

}  // namespace dcase::test
