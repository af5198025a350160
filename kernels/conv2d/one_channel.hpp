#pragma once
/// Direct convolution of a map of one channel into a map grouped by 16: the first layer of a network whose blocks
/// compute in groups. oneDNN 2.6 has only its reference code for that pair of layouts, and channels-last followed by a
/// conversion takes more than twice the time (the output is all the traffic). Internal to kernels/conv2d.

#include <cstdint>

namespace dcase::cpu::one_channel {

/// One row of outputs.
struct Task {
  std::int64_t Ty = 0;
  std::int64_t Km = 0, Kt = 0;
  std::int64_t stride_t = 1;
  std::int64_t x_row = 0;  // floats from row to row of x
  const float* x;          // [Km][x_row]: the rows under the kernel, with padding, so that no tap needs a check
  const float* w;          // [Km][Kt][16]: one group of output channels
  float* y;                // [Ty,16], overwritten
};

void forward_avx512(const Task& task);

}  // namespace dcase::cpu::one_channel
