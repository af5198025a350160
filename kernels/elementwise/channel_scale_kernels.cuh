#pragma once
// Bound by memory: each array is read or written once. A thread has one or four channels of an item for good, their
// factors in a register, and takes four positions at a time, so that four to twelve loads are under way; contiguous
// along the channels. Grid: (blocks along the positions, blocks of lanes, items).

#include "kernels/common/lanes.cuh"

namespace dcase::cuda {

inline constexpr int kScalePositions = 4;  // that a thread takes together

/// y = x * s, or max(x * s + residual, 0) with kResidual; a NaN passes. y may be x or residual.
template <int kWidth, bool kResidual>
__global__ void __launch_bounds__(kLaneThreads)
    channel_scale_forward_kernel(const float* x, const float* s, const float* residual, float* y, std::int64_t P,
                                 Lanes lanes) {
  const Lane<kWidth> lane(lanes);
  if (!lane.active) return;
  const std::int64_t C = lanes.channels;
  const Vector<kWidth> factor = load_vector<kWidth>(s + blockIdx.z * C + lane.channel);
  const std::int64_t first = blockIdx.z * P * C + lane.channel;
  const std::int64_t step = std::int64_t{gridDim.x} * lanes.rows;
  for (std::int64_t p = std::int64_t{blockIdx.x} * lanes.rows + lane.row; p < P; p += kScalePositions * step) {
    Vector<kWidth> out[kScalePositions] = {};
    DCASE_UNROLL
    for (int b = 0; b < kScalePositions; ++b) {
      if (p + b * step >= P) break;
      const std::int64_t at = first + (p + b * step) * C;
      out[b] = load_vector<kWidth>(x + at);
      Vector<kWidth> other = {};
      if (kResidual) other = load_vector<kWidth>(residual + at);
      DCASE_UNROLL
      for (int i = 0; i < kWidth; ++i) {
        const float z = out[b].at[i] * factor.at[i] + other.at[i];
        out[b].at[i] = kResidual && z < 0 ? 0.0F : z;
      }
    }
    DCASE_UNROLL
    for (int b = 0; b < kScalePositions; ++b) {
      if (p + b * step < P) put_vector<kWidth>(y + first + (p + b * step) * C, out[b], false);
    }
  }
}

struct ChannelScaleArrays {
  const float* x;
  const float* s;
  const float* y;  // with kResidual
  const float* dy;
  float* dx;         // or null
  float* dresidual;  // or null
  bool add_dx, add_dresidual;
  double* partial;  // [N, chunks, C], or null: no ds
};

/// dx = g * s, dresidual = g, and the chunk's part of ds = sum of g * x; g = dy, or with kResidual that where y > 0.
/// Four positions are added in float, those sums in double, the block's rows in order. dx or dresidual may be dy.
template <int kWidth, bool kResidual>
__global__ void __launch_bounds__(kLaneThreads)
    channel_scale_backward_kernel(ChannelScaleArrays a, std::int64_t P, std::int64_t chunk, Lanes lanes) {
  DCASE_SHARED(double, sums, [kWidth][kLaneThreads]);  // [channel, row and lane]
  const Lane<kWidth> lane(lanes);
  const std::int64_t C = lanes.channels;
  double sum[kWidth] = {};
  if (lane.active) {
    const Vector<kWidth> factor = load_vector<kWidth>(a.s + blockIdx.z * C + lane.channel);
    const std::int64_t first = blockIdx.z * P * C + lane.channel;
    const std::int64_t begin = blockIdx.x * chunk;
    const std::int64_t end = begin + chunk < P ? begin + chunk : P;
    const std::int64_t step = lanes.rows;
    for (std::int64_t p = begin + lane.row; p < end; p += kScalePositions * step) {
      Vector<kWidth> gradient[kScalePositions] = {};
      Vector<kWidth> product = {};
      DCASE_UNROLL
      for (int b = 0; b < kScalePositions; ++b) {
        if (p + b * step >= end) break;
        const std::int64_t at = first + (p + b * step) * C;
        gradient[b] = load_vector<kWidth>(a.dy + at);
        const Vector<kWidth> x = load_vector<kWidth>(a.x + at);
        Vector<kWidth> y = {};
        if (kResidual) y = load_vector<kWidth>(a.y + at);
        DCASE_UNROLL
        for (int i = 0; i < kWidth; ++i) {
          if (kResidual && !(y.at[i] > 0)) gradient[b].at[i] = 0;
          product.at[i] = fmaf(gradient[b].at[i], x.at[i], product.at[i]);
        }
      }
      DCASE_UNROLL
      for (int i = 0; i < kWidth; ++i) sum[i] += static_cast<double>(product.at[i]);
      DCASE_UNROLL
      for (int b = 0; b < kScalePositions; ++b) {
        if (p + b * step >= end) break;
        const std::int64_t at = first + (p + b * step) * C;
        if (kResidual && a.dresidual != nullptr) put_vector<kWidth>(a.dresidual + at, gradient[b], a.add_dresidual);
        if (a.dx == nullptr) continue;
        DCASE_UNROLL
        for (int i = 0; i < kWidth; ++i) gradient[b].at[i] *= factor.at[i];
        put_vector<kWidth>(a.dx + at, gradient[b], a.add_dx);
      }
    }
  }
  if (a.partial == nullptr) return;
  DCASE_UNROLL
  for (int i = 0; i < kWidth; ++i) sums[i][threadIdx.x] = sum[i];
  __syncthreads();  // the sums of all rows are there
  double* const of_block = a.partial + (std::int64_t{blockIdx.z} * gridDim.x + blockIdx.x) * C;
  add_rows(sums, lanes, [&](unsigned which, unsigned column, double total) {
    const unsigned channel = channel_of<kWidth>(lanes, column) + which;
    if (channel < lanes.channels) of_block[channel] = total;
  });
}

/// ds[n, c] = sum over chunks of partial[n, chunk, c], or +=; a thread for an element.
__global__ void __launch_bounds__(kLaneThreads)
    channel_scale_ds_kernel(const double* partial, float* ds, bool accumulate, std::int64_t elements,
                            std::int64_t chunks, std::int64_t C) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= elements) return;
  const double* const column = partial + at / C * chunks * C + at % C;
  double sum = 0;
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) sum += column[chunk * C];
  ds[at] = accumulate ? ds[at] + static_cast<float>(sum) : static_cast<float>(sum);
}

}  // namespace dcase::cuda
