#pragma once
// Convolution as a matrix product: positions x (taps * channels) times (taps * channels) x output channels. Takes every
// kernel size, stride and number of channels, in fp32 on CUDA cores, in tf32 and bf16 on tensor cores.

#include "kernels/conv2d/conv2d_tile.cuh"
#include "kernels/conv2d/conv2d_tiled_places.hpp"

namespace dcase::cuda {

/// The part of a stage's input that one thread brings into shared memory: chunk thread % 4 of two positions.
template <Precision kPrecision>
struct TiledInput {
  static constexpr int kElements = tiled_elements(kPrecision);
  static constexpr int kRowStep = kTiledThreads / kTiledChunks;
  static constexpr int kCount = kTiledRows / kRowStep;

  const float* item[kCount];  // x of the position's item, nullptr behind the last position
  int m0[kCount];             // where tap (0, 0) falls
  int t0[kCount];
  int c0;  // first channel of the chunk
  bool inside[kCount];
  float v[kCount][kElements];

  __device__ __forceinline__ static int chunk() { return static_cast<int>(threadIdx.x) % kTiledChunks; }
  __device__ __forceinline__ static int row(int k) {
    return static_cast<int>(threadIdx.x) / kTiledChunks + k * kRowStep;
  }
  __device__ __forceinline__ void place(const ConvTask& g, std::int64_t first) {
    DCASE_UNROLL for (int k = 0; k < kCount; ++k) {
      const std::int64_t position = first + row(k);
      const std::int64_t i = position / g.Ty;
      const std::int64_t n = i / g.My;
      m0[k] = static_cast<int>(i % g.My) * g.stride_m - g.pad_m;
      t0[k] = static_cast<int>(position % g.Ty) * g.stride_t - g.pad_t;
      item[k] = n < g.N ? g.x + n * g.M * g.T * g.Ci : nullptr;
    }
  }
  /// Starts the loads of a stage.
  __device__ __forceinline__ void load(const ConvTask& g, const TiledGrid& grid, const WeightImage& image, int stage) {
    const int q = stage * kTiledChunks + chunk();
    const int tap = q / image.chunks;
    c0 = q % image.chunks * kElements;
    DCASE_UNROLL for (int k = 0; k < kCount; ++k) {
      const int m = source_of(m0[k] + tap / g.Kt, g.up_m, g.M);
      const int t = source_of(t0[k] + tap % g.Kt, g.up_t, g.T);
      inside[k] = q < grid.chunks && item[k] != nullptr && m >= 0 && t >= 0;
      const float* const x = inside[k] ? item[k] + (m * g.T + t) * g.Ci + c0 : nullptr;
      DCASE_UNROLL for (int e = 0; e < kElements; e += 4) {
        float4 four = {0, 0, 0, 0};
        if (inside[k] && grid.vector != 0) {
          if (c0 + e < g.Ci) four = *reinterpret_cast<const float4*>(x + e);
        } else if (inside[k]) {
          if (c0 + e < g.Ci) four.x = x[e];
          if (c0 + e + 1 < g.Ci) four.y = x[e + 1];
          if (c0 + e + 2 < g.Ci) four.z = x[e + 2];
          if (c0 + e + 3 < g.Ci) four.w = x[e + 3];
        }
        v[k][e] = four.x;
        v[k][e + 1] = four.y;
        v[k][e + 2] = four.z;
        v[k][e + 3] = four.w;
      }
    }
  }
  /// Prologue, rounding, and 16-byte stores. Padding is zero behind the activation, not before.
  template <bool kPrologue>
  __device__ __forceinline__ void store(const ConvTask& g, uint4* tile) {
    DCASE_UNROLL for (int k = 0; k < kCount; ++k) {
      if (kPrologue && inside[k]) {
        DCASE_UNROLL for (int e = 0; e < kElements; ++e) {
          if (c0 + e < g.Ci) v[k][e] = conv_prologue(g, v[k][e], c0 + e);
        }
      }
      tile[tiled_input_place(chunk(), row(k))] = conv_place<kPrecision>(v[k]);
    }
  }
};

/// The block's sums: in fp32 of a thread's 8 x 4 outputs, else of a warp's 32 x 32 as fragments.
template <Precision kPrecision>
struct TiledSums {
  float c[2][4][4] = {};  // [16 positions][8 channels][register]

  __device__ __forceinline__ void add(const uint4* x, const uint4* w) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int warp = static_cast<int>(threadIdx.x) / 32;
    DCASE_UNROLL for (int chunk = 0; chunk < kTiledChunks; chunk += 2) {
      unsigned a[2][4];
      unsigned b[2][4];
      DCASE_UNROLL for (int half = 0; half < 2; ++half) {
        ldmatrix_x4(a[half], x + tiled_a_place(lane, warp, chunk, half));
        ldmatrix_x4(b[half], w + tiled_b_place(lane, warp, chunk, half));
      }
      DCASE_UNROLL for (int i = 0; i < 2; ++i) {
        DCASE_UNROLL for (int j = 0; j < 4; ++j) {
          conv_mma<kPrecision>(c[i][j], a[i], {b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]});
        }
      }
    }
  }
  __device__ __forceinline__ void write(float* out) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int warp = static_cast<int>(threadIdx.x) / 32;
    DCASE_UNROLL for (int i = 0; i < 2; ++i) {
      DCASE_UNROLL for (int j = 0; j < 4; ++j) {
        DCASE_UNROLL for (int half = 0; half < 2; ++half) {
          const MatrixPlace p = mma16n8_c(lane, 2 * half);
          const int row = tiled_warp_row(warp) + 16 * i + p.row;
          const int column = tiled_warp_column(warp) + 8 * j + p.column;
          *reinterpret_cast<float2*>(out + row * kTiledOutputPitch + column) = {c[i][j][2 * half],
                                                                                c[i][j][2 * half + 1]};
        }
      }
    }
  }
};

/// 12 loads of 16 bytes for 128 products; a warp reads two positions and sixteen channels at a time.
template <>
struct TiledSums<Precision::kFp32> {
  float c[8][4] = {};  // [position row + 16 i][channel column + 16 j]

  __device__ __forceinline__ void add(const uint4* x, const uint4* w) {
    const auto* const a = reinterpret_cast<const float4*>(x) + tiled_thread_row(static_cast<int>(threadIdx.x));
    const auto* const b = reinterpret_cast<const float4*>(w) + tiled_thread_column(static_cast<int>(threadIdx.x));
    DCASE_UNROLL for (int chunk = 0; chunk < kTiledChunks; ++chunk) {
      float4 column[4];
      DCASE_UNROLL for (int j = 0; j < 4; ++j) column[j] = b[tiled_weight_place(chunk, 16 * j)];
      DCASE_UNROLL for (int i = 0; i < 8; ++i) {
        const float4 row = a[tiled_input_place(chunk, 16 * i)];
        DCASE_UNROLL for (int j = 0; j < 4; ++j) {
          c[i][j] = fmaf(row.x, column[j].x, c[i][j]);
          c[i][j] = fmaf(row.y, column[j].y, c[i][j]);
          c[i][j] = fmaf(row.z, column[j].z, c[i][j]);
          c[i][j] = fmaf(row.w, column[j].w, c[i][j]);
        }
      }
    }
  }
  __device__ __forceinline__ void write(float* out) const {
    const int row = tiled_thread_row(static_cast<int>(threadIdx.x));
    const int column = tiled_thread_column(static_cast<int>(threadIdx.x));
    DCASE_UNROLL for (int i = 0; i < 8; ++i) {
      DCASE_UNROLL for (int j = 0; j < 4; ++j) out[(row + 16 * i) * kTiledOutputPitch + column + 16 * j] = c[i][j];
    }
  }
};

/// A block computes 128 positions, whichever items they belong to, of 64 output channels, and walks over the chunks of
/// all taps in stages of four: the next stage's input is on its way in registers and its weights by cp.async while this
/// one is multiplied. Each input is fetched once a tap, from L1 or L2: bound by those for 3x3 on tensor cores, by the
/// FMA units in fp32. Outputs go through shared memory, so that rows are written in whole.
template <Precision kPrecision, bool kPrologue, ConvEpilogue kEpilogue>
__global__ void __launch_bounds__(kTiledThreads) conv2d_tiled_kernel(ConvTask g, WeightImage image, TiledGrid grid) {
  SharedCarver carve;
  uint4* const shared = carve.take<uint4>(kTiledSharedBytes / 16);
  const int thread = static_cast<int>(threadIdx.x);
  const int tile = static_cast<int>(blockIdx.x / static_cast<unsigned>(grid.columns));
  const int column0 = static_cast<int>(blockIdx.x % static_cast<unsigned>(grid.columns)) * kTiledColumns;
  const std::int64_t first = std::int64_t{tile} * kTiledRows;
  const int stages = (grid.chunks + kTiledChunks - 1) / kTiledChunks;
  const auto tile_x = [&](int stage) { return shared + stage % 2 * (kTiledInputPlaces + kTiledWeightPlaces); };
  const auto tile_w = [&](int stage) { return tile_x(stage) + kTiledInputPlaces; };

  TiledInput<kPrecision> input;
  input.place(g, first);
  const auto fetch = [&](int stage) {
    input.load(g, grid, image, stage);
    static_assert(kTiledWeightPlaces == kTiledThreads);
    const int q = stage * kTiledChunks + thread / kTiledColumns;
    const auto* const from = static_cast<const uint4*>(image.data);
    copy_async_16(tile_w(stage) + thread,
                  from + (q < grid.chunks ? std::int64_t{q} * image.columns + column0 + thread % kTiledColumns : 0),
                  q < grid.chunks ? 16U : 0U);
    copy_async_commit();
  };

  TiledSums<kPrecision> sums;
  fetch(0);
  for (int stage = 0; stage < stages; ++stage) {
    input.template store<kPrologue>(g, tile_x(stage));
    copy_async_wait<0>();
    __syncthreads();  // the stage is there for all; the buffers of the stage before are free
    if (stage + 1 < stages) fetch(stage + 1);
    sums.add(tile_x(stage), tile_w(stage));
  }
  __syncthreads();                                     // all have read the last stage
  auto* const out = reinterpret_cast<float*>(shared);  // [128][pitch]
  sums.write(out);
  __syncthreads();  // the outputs are there

  const std::int64_t left = g.N * g.My * g.Ty - first;
  const int rows = left < kTiledRows ? static_cast<int>(left) : kTiledRows;
  const int column = thread % kTiledColumns;
  const int o = column0 + column;
  constexpr int kParts = kTiledThreads / kTiledColumns;  // a thread has every fourth position of one channel
  const int part = thread / kTiledColumns;
  const float k = out[column];  // the block's first output: what statistics count from
  float sum[2] = {};
  for (int row = part; row < rows && o < g.Co; row += kParts) {
    const std::int64_t at = (first + row) * g.Co + o;
    float value = out[row * kTiledOutputPitch + column];
    if (kEpilogue == ConvEpilogue::kBias) value = conv_activation(value + g.bias[o], g.relu);
    if (kEpilogue == ConvEpilogue::kAccumulate) value += g.y[at];
    if (kEpilogue == ConvEpilogue::kStatistics) {
      sum[0] += value - k;
      sum[1] = fmaf(value - k, value - k, sum[1]);
    }
    if (kEpilogue == ConvEpilogue::kGradients) {
      const float below = g.below[at];
      value = conv_gradient(g, value, below, o);
      sum[0] += value;
      sum[1] = fmaf(value, below - g.below_mean[o], sum[1]);
    }
    g.y[at] = value;
  }
  if (kEpilogue == ConvEpilogue::kStatistics || kEpilogue == ConvEpilogue::kGradients) {
    DCASE_SHARED(float, parts, [kParts][2][kTiledColumns]);
    DCASE_UNROLL for (int which = 0; which < 2; ++which) parts[part][which][column] = sum[which];
    __syncthreads();  // all parts are there
    float* const partial = g.partial + std::int64_t{tile} * 3 * g.Co + o;
    if (part < 2 && o < g.Co) {
      float total = 0;
      DCASE_UNROLL for (int p = 0; p < kParts; ++p) total += parts[p][part][column];
      partial[part * g.Co] = total;
    }
    if (kEpilogue == ConvEpilogue::kStatistics) {
      if (part == 2 && o < g.Co) partial[2 * g.Co] = k;
      if (thread == 0 && column0 == 0) g.counts[tile] = rows;
    }
  }
}

}  // namespace dcase::cuda
