#pragma once
// Bound by memory: each element is read and written once. A thread has one or four columns of the last axis for good,
// so that its part of a joined row is known before the loop, and walks over rows; contiguous along the columns.

#include "kernels/common/lanes.cuh"

namespace dcase::cuda {

/// y[r] = (a[r], b[r])
template <int kWidth>
__global__ void __launch_bounds__(kLaneThreads)
    concat2_forward_kernel(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ y,
                           std::int64_t R, unsigned ca, Lanes lanes) {
  const Lane<kWidth> lane(lanes);
  if (!lane.active) return;
  const bool first = lane.channel < ca;
  const float* const from = first ? a + lane.channel : b + (lane.channel - ca);
  const std::int64_t width = first ? ca : lanes.channels - ca;
  const std::int64_t step = std::int64_t{gridDim.x} * lanes.rows;
  for (std::int64_t r = std::int64_t{blockIdx.x} * lanes.rows + lane.row; r < R; r += step) {
    put_vector<kWidth>(y + r * lanes.channels + lane.channel, load_vector<kWidth>(from + r * width), false);
  }
}

/// (da[r], db[r]) = dy[r], or += ; either may be null.
template <int kWidth>
__global__ void __launch_bounds__(kLaneThreads)
    concat2_backward_kernel(const float* __restrict__ dy, float* __restrict__ da, float* __restrict__ db, bool add_da,
                            bool add_db, std::int64_t R, unsigned ca, Lanes lanes) {
  const Lane<kWidth> lane(lanes);
  const bool first = lane.channel < ca;
  if (!lane.active || (first ? da : db) == nullptr) return;
  float* const to = first ? da + lane.channel : db + (lane.channel - ca);
  const std::int64_t width = first ? ca : lanes.channels - ca;
  const bool accumulate = first ? add_da : add_db;
  const std::int64_t step = std::int64_t{gridDim.x} * lanes.rows;
  for (std::int64_t r = std::int64_t{blockIdx.x} * lanes.rows + lane.row; r < R; r += step) {
    put_vector<kWidth>(to + r * width, load_vector<kWidth>(dy + r * lanes.channels + lane.channel), accumulate);
  }
}

/// y[r * times + i] = x[r] for R frames of all items.
template <int kWidth>
__global__ void __launch_bounds__(kLaneThreads)
    repeat_time_forward_kernel(const float* __restrict__ x, float* __restrict__ y, std::int64_t R, std::int64_t times,
                               Lanes lanes) {
  const Lane<kWidth> lane(lanes);
  if (!lane.active) return;
  const std::int64_t F = lanes.channels;
  const std::int64_t step = std::int64_t{gridDim.x} * lanes.rows;
  for (std::int64_t r = std::int64_t{blockIdx.x} * lanes.rows + lane.row; r < R; r += step) {
    const Vector<kWidth> value = load_vector<kWidth>(x + r * F + lane.channel);
    float* const to = y + r * times * F + lane.channel;
    for (std::int64_t i = 0; i < times; ++i) put_vector<kWidth>(to + i * F, value, false);
  }
}

/// dx[r] = sum over i of dy[r * times + i], or +=. In float: a handful of terms.
template <int kWidth>
__global__ void __launch_bounds__(kLaneThreads)
    repeat_time_backward_kernel(const float* __restrict__ dy, float* __restrict__ dx, bool accumulate, std::int64_t R,
                                std::int64_t times, Lanes lanes) {
  const Lane<kWidth> lane(lanes);
  if (!lane.active) return;
  const std::int64_t F = lanes.channels;
  const std::int64_t step = std::int64_t{gridDim.x} * lanes.rows;
  for (std::int64_t r = std::int64_t{blockIdx.x} * lanes.rows + lane.row; r < R; r += step) {
    const float* const from = dy + r * times * F + lane.channel;
    Vector<kWidth> sum = {};
    for (std::int64_t i = 0; i < times; ++i) {
      const Vector<kWidth> value = load_vector<kWidth>(from + i * F);
      DCASE_UNROLL
      for (int j = 0; j < kWidth; ++j) sum.at[j] += value.at[j];
    }
    put_vector<kWidth>(dx + r * F + lane.channel, sum, accumulate);
  }
}

}  // namespace dcase::cuda
