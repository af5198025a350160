#pragma once
// The main kernel: 3x3 convolutions of stride 1 on tensor cores. docs/kernels/conv_bn.md derives it, with a picture.

#include "kernels/conv2d/conv2d_halo_places.hpp"
#include "kernels/conv2d/conv2d_tile.cuh"

namespace dcase::cuda {

/// The part of the input that one thread brings into shared memory: chunk thread % 2 of up to three pixels of the halo.
template <Precision kPrecision>
struct HaloInput {
  static constexpr int kElements = halo_elements(kPrecision);
  static constexpr int kPixelStep = kHaloThreads / kHaloChunks;
  static constexpr int kCount = (kHaloPixels + kPixelStep - 1) / kPixelStep;

  const float* item;   // x of this block's item
  int offset[kCount];  // of the pixel in the item, -1 outside the map
  float v[kCount][kElements];

  __device__ __forceinline__ static int chunk() { return static_cast<int>(threadIdx.x) % kHaloChunks; }
  __device__ __forceinline__ static int pixel(int k) {
    return static_cast<int>(threadIdx.x) / kHaloChunks + k * kPixelStep;
  }
  __device__ __forceinline__ void place(const ConvTask& g, std::int64_t n, int m0, int t0) {
    item = g.x + n * g.M * g.T * g.Ci;
    DCASE_UNROLL for (int k = 0; k < kCount; ++k) {
      const int m = m0 - 1 + pixel(k) / kHaloPitch;
      const int t = t0 - 1 + pixel(k) % kHaloPitch;
      const bool inside = pixel(k) < kHaloPixels && m >= 0 && m < g.M && t >= 0 && t < g.T;
      offset[k] = inside ? (m * g.T + t) * g.Ci : -1;
    }
  }
  /// Starts the loads of a stage. Each fetches whole 32-byte sectors: neighbouring threads have the two chunks of a
  /// pixel.
  __device__ __forceinline__ void load(const ConvTask& g, int stage) {
    const int c = (stage * kHaloChunks + chunk()) * kElements;
    DCASE_UNROLL for (int k = 0; k < kCount; ++k) {
      DCASE_UNROLL for (int e = 0; e < kElements; e += 4) {
        float4 four = {0, 0, 0, 0};
        if (offset[k] >= 0 && c + e < g.Ci) {
          four = *reinterpret_cast<const float4*>(item + offset[k] + c + e);
        }
        v[k][e] = four.x;
        v[k][e + 1] = four.y;
        v[k][e + 2] = four.z;
        v[k][e + 3] = four.w;
      }
    }
  }
  /// Prologue, rounding, and 16-byte stores. Padding is zero behind the activation, not before: act(shift) may not be
  /// 0.
  template <bool kPrologue>
  __device__ __forceinline__ void store(const ConvTask& g, int stage, uint4* tile) {
    if (kPrologue) {
      DCASE_UNROLL for (int e = 0; e < kElements; ++e) {
        const int c = (stage * kHaloChunks + chunk()) * kElements + e;
        const float scale = c < g.Ci ? g.in_scale[c] : 0.0F;
        const float shift = c < g.Ci ? g.in_shift[c] : 0.0F;
        DCASE_UNROLL for (int k = 0; k < kCount; ++k) {
          if (offset[k] >= 0) v[k][e] = conv_activation(fmaf(v[k][e], scale, shift), g.in_relu);
        }
      }
    }
    DCASE_UNROLL for (int k = 0; k < kCount; ++k) {
      if (pixel(k) >= kHaloPixels) continue;
      tile[halo_input_place(chunk(), pixel(k))] = conv_place<kPrecision>(v[k]);
    }
  }
};

/// A block's first output of each channel, for all its threads: what statistics count from.
__device__ __forceinline__ void halo_first(const float (&c)[4][4][4], float (&first)[kHaloColumns]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  if (halo_warp_row(warp) == 0 && lane < 4) {
    DCASE_UNROLL for (int j = 0; j < 4; ++j) {
      DCASE_UNROLL for (int e = 0; e < 2; ++e) first[halo_warp_column(warp) + 8 * j + 2 * lane + e] = c[0][j][e];
    }
  }
  __syncthreads();  // they are there
}

/// partial[tile][which][columns] = the block's sums of what its threads have summed for their eight channels. Order:
/// over the lanes, then over the warps.
__device__ __forceinline__ void halo_sums(const ConvTask& g, float (&sum)[2][4][2], int tile, int column0) {
  constexpr int kWarps = kHaloTile / kHaloWarpRows;  // above each other
  DCASE_SHARED(float, sums, [kWarps][2][kHaloColumns]);
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % 32;
  const int warp = thread / 32;
  DCASE_UNROLL for (int which = 0; which < 2; ++which) {
    DCASE_UNROLL for (int j = 0; j < 4; ++j) {
      DCASE_UNROLL for (int e = 0; e < 2; ++e) {
        float& own = sum[which][j][e];
        DCASE_UNROLL for (int lanes = 4; lanes < 32; lanes *= 2) own += __shfl_xor_sync(0xFFFFFFFFU, own, lanes);
        if (lane < 4) {
          sums[halo_warp_row(warp) / kHaloWarpRows][which][halo_warp_column(warp) + 8 * j + 2 * lane + e] = own;
        }
      }
    }
  }
  __syncthreads();  // all warps' sums are there
  const int column = thread % kHaloColumns;
  const int which = thread / kHaloColumns;
  if (which < 2 && column0 + column < g.Co) {
    float total = 0;
    DCASE_UNROLL for (int w = 0; w < kWarps; ++w) total += sums[w][which][column];
    g.partial[(std::int64_t{tile} * 3 + which) * g.Co + column0 + column] = total;
  }
}

/// A block computes 16 x 16 positions of 64 output channels. It walks over the input channels in stages of two 16-byte
/// chunks (16 channels in bf16, 8 in tf32): the stage's halo tile, 18 x 18 pixels, is fetched once into shared memory
/// and all nine taps run from it; a tap is an offset of the address. While a stage is multiplied the next one is on its
/// way, the input in registers (it is transformed and rounded in between), the weights by cp.async.
///
/// A warp has 4 rows of 16 pixels by 32 channels. A row's fragment of A serves the three taps above each other, so 6
/// loads of A and 6 of B feed 48 mma. Against the tiled kernel, which fetches each input once a tap, traffic from L2
/// falls by 7. Bound by the tensor cores.
template <Precision kPrecision, bool kPrologue, ConvEpilogue kEpilogue>
__global__ void __launch_bounds__(kHaloThreads) conv2d_halo_kernel(ConvTask g, WeightImage image, HaloGrid grid) {
  SharedCarver carve;
  uint4* const inputs = carve.take<uint4>(2 * kHaloInputPlaces);
  uint4* const weights = carve.take<uint4>(2 * kHaloWeightPlaces);
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % 32;
  const int warp = thread / 32;
  const int tile = static_cast<int>(blockIdx.x / static_cast<unsigned>(grid.columns));
  const int column0 = static_cast<int>(blockIdx.x % static_cast<unsigned>(grid.columns)) * kHaloColumns;
  const int m0 = tile / grid.tiles_t % grid.tiles_m * kHaloTile;
  const int t0 = tile % grid.tiles_t * kHaloTile;
  const std::int64_t n = tile / grid.tiles_t / grid.tiles_m;
  const int stages = image.chunks / kHaloChunks;

  HaloInput<kPrecision> input;
  input.place(g, n, m0, t0);
  const auto fetch = [&](int stage) {
    input.load(g, stage);
    const uint4* const from = static_cast<const uint4*>(image.data);
    uint4* const to = weights + stage % 2 * kHaloWeightPlaces;
    for (int at = thread; at < kHaloWeightPlaces; at += kHaloThreads) {
      const int column = at % kHaloColumns;
      const int chunk = stage * kHaloChunks + at / kHaloColumns % kHaloChunks;
      const int tap = at / kHaloColumns / kHaloChunks;
      copy_async_16(to + at, from + (std::int64_t{tap} * image.chunks + chunk) * image.columns + column0 + column);
    }
    copy_async_commit();
  };

  float c[4][4][4] = {};  // [row of 16 pixels][8 channels][register]
  fetch(0);
  for (int stage = 0; stage < stages; ++stage) {
    uint4* const tile_x = inputs + stage % 2 * kHaloInputPlaces;
    input.template store<kPrologue>(g, stage, tile_x);
    copy_async_wait<0>();
    __syncthreads();  // the stage is there for all; the buffers of the stage before are free
    if (stage + 1 < stages) fetch(stage + 1);
    const uint4* const tile_w = weights + stage % 2 * kHaloWeightPlaces;
    DCASE_UNROLL for (int b = 0; b < 3; ++b) {
      unsigned a[kHaloWarpRows + 2][4];
      DCASE_UNROLL for (int r = 0; r < kHaloWarpRows + 2; ++r)
          ldmatrix_x4(a[r], tile_x + halo_a_place(lane, warp, r, b));
      DCASE_UNROLL for (int tap_m = 0; tap_m < 3; ++tap_m) {
        DCASE_UNROLL for (int pair = 0; pair < 2; ++pair) {
          unsigned w[4];
          ldmatrix_x4(w, tile_w + halo_b_place(lane, warp, 3 * tap_m + b, pair));
          DCASE_UNROLL for (int r = 0; r < kHaloWarpRows; ++r) {
            DCASE_UNROLL for (int j = 0; j < 2; ++j) {
              conv_mma<kPrecision>(c[r][2 * pair + j], a[r + tap_m], {w[2 * j], w[2 * j + 1]});
            }
          }
        }
      }
    }
  }

  constexpr bool kStatistics = kEpilogue == ConvEpilogue::kStatistics;
  constexpr bool kGradients = kEpilogue == ConvEpilogue::kGradients;
  DCASE_SHARED(float, first_output, [kHaloColumns]);
  if (kStatistics) halo_first(c, first_output);
  float sum[2][4][2] = {};  // of the epilogue, [which][8 channels][one of two]
  DCASE_UNROLL for (int r = 0; r < kHaloWarpRows; ++r) {
    DCASE_UNROLL for (int half = 0; half < 2; ++half) {
      const int i = m0 + halo_warp_row(warp) + r;
      const int j = t0 + lane / 4 + 8 * half;
      // Partial tiles: what lies behind the map's edge has a sum too, from the halo, that belongs to nothing.
      if (i >= g.My || j >= g.Ty) continue;
      const std::int64_t position = (n * g.My + i) * g.Ty + j;
      DCASE_UNROLL for (int k = 0; k < 4; ++k) {
        const int column = halo_warp_column(warp) + 8 * k + lane % 4 * 2;
        const int o = column0 + column;
        if (o >= g.Co) continue;
        auto* const to = reinterpret_cast<float2*>(g.y + position * g.Co + o);  // four lanes write a 32-byte sector
        float2 value = {c[r][k][2 * half], c[r][k][2 * half + 1]};
        if (kEpilogue == ConvEpilogue::kBias) {
          value = {conv_activation(value.x + g.bias[o], g.relu), conv_activation(value.y + g.bias[o + 1], g.relu)};
        }
        if (kEpilogue == ConvEpilogue::kAccumulate) value = {to->x + value.x, to->y + value.y};
        if (kStatistics) {
          const float2 d = {value.x - first_output[column], value.y - first_output[column + 1]};
          sum[0][k][0] += d.x;
          sum[0][k][1] += d.y;
          sum[1][k][0] = fmaf(d.x, d.x, sum[1][k][0]);
          sum[1][k][1] = fmaf(d.y, d.y, sum[1][k][1]);
        }
        if (kGradients) {
          const float2 below = *reinterpret_cast<const float2*>(g.below + position * g.Co + o);
          value = {conv_gradient(g, value.x, below.x, o), conv_gradient(g, value.y, below.y, o + 1)};
          sum[0][k][0] += value.x;
          sum[0][k][1] += value.y;
          sum[1][k][0] = fmaf(value.x, below.x - g.below_mean[o], sum[1][k][0]);
          sum[1][k][1] = fmaf(value.y, below.y - g.below_mean[o + 1], sum[1][k][1]);
        }
        *to = value;
      }
    }
  }
  if (kStatistics || kGradients) halo_sums(g, sum, tile, column0);
  if (kStatistics) {
    if (thread < kHaloColumns && column0 + thread < g.Co) {
      g.partial[(std::int64_t{tile} * 3 + 2) * g.Co + column0 + thread] = first_output[thread];
    }
    if (thread == 0 && column0 == 0) {
      g.counts[tile] =
          (g.My - m0 < kHaloTile ? g.My - m0 : kHaloTile) * (g.Ty - t0 < kHaloTile ? g.Ty - t0 : kHaloTile);
    }
  }
}

}  // namespace dcase::cuda
