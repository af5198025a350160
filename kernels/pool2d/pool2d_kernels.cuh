#pragma once
// Bound by memory: each map is read or written once. A thread has one or four channels for good and takes one window
// after the other (kernels/common/windows.cuh): contiguous along the channels, several loads under way.

#include "kernels/common/windows.cuh"

namespace dcase::cuda {

/// y = mean of x over each whole window.
template <class Kind>
__global__ void __launch_bounds__(kLaneThreads)
    avg_pool_forward_kernel(const float* __restrict__ x, float* __restrict__ y, typename Kind::Walk windows,
                            Lanes lanes) {
  constexpr int kWidth = Kind::width;
  const Lane<kWidth> lane(lanes);
  if (!lane.active) return;
  const float inverse = 1.0F / static_cast<float>(windows.m() * windows.t());
  x += windows.fine.channel(lane.channel);
  y += windows.coarse.channel(lane.channel);
  const unsigned step = gridDim.x * lanes.rows;
  for (unsigned w = blockIdx.x * lanes.rows + lane.row; w < windows.count; w += step) {
    const WindowPlace place = windows.place(w);
    Vector<kWidth> mean = {};
    for (unsigned m = 0; m < windows.m(); ++m) {
      const float* at = x + place.fine + m * windows.fine.row;
      for (unsigned t = 0; t < windows.t(); ++t, at += windows.fine.frame) {
        const Vector<kWidth> value = load_vector<kWidth>(at);
        DCASE_UNROLL
        for (int i = 0; i < kWidth; ++i) mean.at[i] += value.at[i];
      }
    }
    DCASE_UNROLL
    for (int i = 0; i < kWidth; ++i) mean.at[i] *= inverse;
    put_vector<kWidth>(y + place.coarse, mean, false);
  }
}

/// dx = dy / (positions of a window), or += with `accumulate`; zeros in the partial windows.
template <class Kind>
__global__ void __launch_bounds__(kLaneThreads)
    avg_pool_backward_kernel(const float* __restrict__ dy, float* __restrict__ dx, bool accumulate,
                             typename Kind::Walk windows, Lanes lanes) {
  constexpr int kWidth = Kind::width;
  const Lane<kWidth> lane(lanes);
  if (!lane.active) return;
  const float inverse = 1.0F / static_cast<float>(windows.m() * windows.t());
  dy += windows.coarse.channel(lane.channel);
  dx += windows.fine.channel(lane.channel);
  const unsigned step = gridDim.x * lanes.rows;
  for (unsigned w0 = blockIdx.x * lanes.rows + lane.row; w0 < windows.count; w0 += Kind::batch * step) {
    DCASE_UNROLL
    for (int b = 0; b < Kind::batch; ++b) {
      const unsigned w = w0 + b * step;
      if (w >= windows.count) break;
      const WindowPlace place = windows.place(w);
      Vector<kWidth> share = {};
      if (place.whole) {
        share = load_vector<kWidth>(dy + place.coarse);
        DCASE_UNROLL
        for (int i = 0; i < kWidth; ++i) share.at[i] *= inverse;
      }
      // A window of known size is unrolled and masked at the edge of the map; any other ends there.
      const unsigned rows = Kind::m > 0 ? Kind::m : place.rows;
      const unsigned frames = Kind::t > 0 ? Kind::t : place.frames;
      for (unsigned m = 0; m < rows; ++m) {
        float* at = dx + place.fine + m * windows.fine.row;
        for (unsigned t = 0; t < frames; ++t, at += windows.fine.frame) {
          if (m < place.rows && t < place.frames) put_vector<kWidth>(at, share, accumulate);
        }
      }
    }
  }
}

}  // namespace dcase::cuda
