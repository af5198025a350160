#pragma once
// The first layer: 3x3 convolutions of stride 1 on maps of one channel, in float whatever the precision. There are 9
// products for each output of 4 bytes: bound by writing y.

#include "kernels/conv2d/conv2d_tile.cuh"

namespace dcase::cuda {

inline constexpr int kOneChannelTile = 32;  // positions of a block in both directions
inline constexpr int kOneChannelStrip = 8;  // rows that a thread computes one after the other
inline constexpr int kOneChannelThreads = 256;
inline constexpr int kOneChannelPatch = kOneChannelTile + 2;
inline constexpr int kOneChannelStrips = kOneChannelTile * kOneChannelTile / kOneChannelStrip;

/// How a launch cuts the maps: blockIdx.x is the tile.
struct OneChannelGrid {
  int tiles_m = 0, tiles_t = 0;
};

/// Four output channels at one position, x the 3x3 window.
__device__ __forceinline__ float4 one_channel_sum(const float (&x)[3][3], const float4 (&w)[9]) {
  float4 sum = {0, 0, 0, 0};
  DCASE_UNROLL for (int tap = 0; tap < 9; ++tap) {
    const float v = x[tap / 3][tap % 3];
    sum.x = fmaf(v, w[tap].x, sum.x);
    sum.y = fmaf(v, w[tap].y, sum.y);
    sum.z = fmaf(v, w[tap].z, sum.z);
    sum.w = fmaf(v, w[tap].w, sum.w);
  }
  return sum;
}

/// A block computes 32 x 32 positions of all channels from a patch of x in shared memory. A thread keeps the weights of
/// four channels in registers and walks down strips of eight rows with a sliding window: three reads from shared
/// memory, 36 products and one 16-byte store a position; neighbours have neighbouring channels of the same position.
template <ConvEpilogue kEpilogue>
__global__ void __launch_bounds__(kOneChannelThreads) conv2d_one_channel_kernel(ConvTask g, OneChannelGrid grid) {
  DCASE_SHARED(float, patch, [kOneChannelPatch][kOneChannelPatch]);
  const int thread = static_cast<int>(threadIdx.x);
  const int tile = static_cast<int>(blockIdx.x);
  const int m0 = tile / grid.tiles_t % grid.tiles_m * kOneChannelTile;
  const int t0 = tile % grid.tiles_t * kOneChannelTile;
  const std::int64_t n = tile / grid.tiles_t / grid.tiles_m;
  const float* const item = g.x + n * g.M * g.T;
  for (int at = thread; at < kOneChannelPatch * kOneChannelPatch; at += kOneChannelThreads) {
    const int m = m0 - 1 + at / kOneChannelPatch;
    const int t = t0 - 1 + at % kOneChannelPatch;
    patch[at / kOneChannelPatch][at % kOneChannelPatch] =
        m >= 0 && m < g.M && t >= 0 && t < g.T ? item[m * g.T + t] : 0.0F;
  }
  const int quads = g.Co / 4;
  const int slots = kOneChannelThreads / quads;  // strips at a time
  const int quad = thread % quads;
  const int slot = thread / quads;
  float4 w[9];
  DCASE_UNROLL for (int tap = 0; tap < 9; ++tap) {
    const float* const from = g.w + 4 * quad * g.w_o + tap / 3 * g.w_m + tap % 3 * g.w_t;
    w[tap] = {from[0], from[g.w_o], from[2 * g.w_o], from[3 * g.w_o]};
  }
  __syncthreads();  // the patch is there

  float window[3][3];
  float4 k = {0, 0, 0, 0};  // the block's first output: what statistics count from
  if (kEpilogue == ConvEpilogue::kStatistics) {
    DCASE_UNROLL for (int tap = 0; tap < 9; ++tap) window[tap / 3][tap % 3] = patch[tap / 3][tap % 3];
    k = one_channel_sum(window, w);
  }
  float4 sum = {0, 0, 0, 0};
  float4 square = {0, 0, 0, 0};
  for (int strip = slot; strip < kOneChannelStrips && slot < slots; strip += slots) {
    const int column = strip % kOneChannelTile;
    const int row0 = strip / kOneChannelTile * kOneChannelStrip;
    DCASE_UNROLL for (int at = 0; at < 6; ++at) window[1 + at / 3][at % 3] = patch[row0 + at / 3][column + at % 3];
    for (int row = row0; row < row0 + kOneChannelStrip; ++row) {
      DCASE_UNROLL for (int b = 0; b < 3; ++b) {
        window[0][b] = window[1][b];
        window[1][b] = window[2][b];
        window[2][b] = patch[row + 2][column + b];
      }
      if (m0 + row >= g.My || t0 + column >= g.Ty) continue;
      float4 value = one_channel_sum(window, w);
      if (kEpilogue == ConvEpilogue::kStatistics) {
        const float4 d = {value.x - k.x, value.y - k.y, value.z - k.z, value.w - k.w};
        sum = {sum.x + d.x, sum.y + d.y, sum.z + d.z, sum.w + d.w};
        square = {fmaf(d.x, d.x, square.x), fmaf(d.y, d.y, square.y), fmaf(d.z, d.z, square.z),
                  fmaf(d.w, d.w, square.w)};
      }
      if (kEpilogue == ConvEpilogue::kBias) {
        const float* const bias = g.bias + 4 * quad;
        value = {conv_activation(value.x + bias[0], g.relu), conv_activation(value.y + bias[1], g.relu),
                 conv_activation(value.z + bias[2], g.relu), conv_activation(value.w + bias[3], g.relu)};
      }
      auto* const y = reinterpret_cast<float4*>(g.y + ((n * g.My + m0 + row) * g.Ty + t0 + column) * g.Co) + quad;
      if (kEpilogue == ConvEpilogue::kAccumulate) {
        const float4 before = *y;
        value = {before.x + value.x, before.y + value.y, before.z + value.z, before.w + value.w};
      }
      *y = value;
    }
  }
  if (kEpilogue == ConvEpilogue::kStatistics) {
    DCASE_SHARED(float4, sums, [2][kOneChannelThreads]);
    sums[0][thread] = sum;
    sums[1][thread] = square;
    __syncthreads();  // all threads' sums are there
    if (slot == 0) {
      for (int other = 1; other < slots; ++other) {
        const float4 a = sums[0][other * quads + quad];
        const float4 b = sums[1][other * quads + quad];
        sum = {sum.x + a.x, sum.y + a.y, sum.z + a.z, sum.w + a.w};
        square = {square.x + b.x, square.y + b.y, square.z + b.z, square.w + b.w};
      }
      const float values[3][4] = {
          {sum.x, sum.y, sum.z, sum.w}, {square.x, square.y, square.z, square.w}, {k.x, k.y, k.z, k.w}};
      DCASE_UNROLL for (int which = 0; which < 3; ++which) {
        DCASE_UNROLL for (int e = 0; e < 4; ++e) {
          g.partial[(std::int64_t{tile} * 3 + which) * g.Co + 4 * quad + e] = values[which][e];
        }
      }
    }
    if (thread == 0) {
      g.counts[tile] = (g.My - m0 < kOneChannelTile ? g.My - m0 : kOneChannelTile) *
                       (g.Ty - t0 < kOneChannelTile ? g.Ty - t0 : kOneChannelTile);
    }
  }
}

}  // namespace dcase::cuda
