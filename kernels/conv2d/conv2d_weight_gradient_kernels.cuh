#pragma once
// Three rungs, and the kernel that adds their partial sums. conv2d_weight_gradient_simple_kernel takes everything.
// conv2d_weight_gradient_tiled_kernel is a matrix product over the pixels for each place of the convolution's kernel.
// conv2d_weight_gradient_one_channel_kernel is for the first layer, which is bound by reading dy.

#include "kernels/common/bf16.cuh"
#include "kernels/common/ptx.cuh"
#include "kernels/conv2d/conv2d_weight_gradient_tile.hpp"

namespace dcase::cuda::weight_gradient {

struct WeightGradientArguments {
  const float* x;   // [N,M,T,Ci]
  const float* dy;  // [N,My,Ty,Co]
  float* partial;   // [divisions][sums of the kernel]
  int N, M, T, Ci, My, Ty, Co, Km, Kt, stride_m, stride_t;
  int vector_x, vector_dy;  // whether pixels may be read 16 bytes at a time
  int tiles_m = 0;          // of an image, where tiles are rectangles
  int tiles_t = 0;
  int tiles = 0;        // of all images
  int split_tiles = 0;  // of a division
};

// --- x as it is stored, or as it is read

/// Four neighbouring floats of a row, of which `left` exist; zeros for the others.
__device__ __forceinline__ float4 read_four(const float* from, int left, int vector) {
  if (vector != 0 && left > 0) return *reinterpret_cast<const float4*>(from);
  return {left > 0 ? from[0] : 0.0F, left > 1 ? from[1] : 0.0F, left > 2 ? from[2] : 0.0F, left > 3 ? from[3] : 0.0F};
}

struct StoredX {
  __device__ __forceinline__ float operator()(float x, int) const { return x; }
  __device__ __forceinline__ float4 operator()(float4 x, int, int) const { return x; }
};
/// x of a convolution behind batch norm and ReLU. Not applied to the zeros outside the map.
struct NormalizedX {
  const float* scale;  // [Ci]
  const float* shift;  // [Ci]
  int vector;          // whether both may be read 16 bytes at a time

  __device__ __forceinline__ static float relu(float x) { return x < 0 ? 0.0F : x; }  // NaN stays
  __device__ __forceinline__ float operator()(float raw, int channel) const {
    return relu(fmaf(scale[channel], raw, shift[channel]));
  }
  /// Four channels, of which `left` exist.
  __device__ __forceinline__ float4 operator()(float4 raw, int channel, int left) const {
    const float4 a = read_four(scale + channel, left, vector);
    const float4 b = read_four(shift + channel, left, vector);
    return {relu(fmaf(a.x, raw.x, b.x)), relu(fmaf(a.y, raw.y, b.y)), relu(fmaf(a.z, raw.z, b.z)),
            relu(fmaf(a.w, raw.w, b.w))};
  }
};

// --- any size

inline constexpr int kSimpleThreads = 256;
inline constexpr int kSimpleRun =
    256;  // pixels summed before their sum joins the others: keeps chains of additions short

/// A thread has one weight and adds the products of its division's pixels, in order. Neighbouring threads have
/// neighbouring input channels, so x is read in rows and dy is the same for all. Bound by the reads: two for a product.
/// Grid: (weights / 256, divisions).
template <class TransformX>
__global__ void __launch_bounds__(kSimpleThreads)
    conv2d_weight_gradient_simple_kernel(WeightGradientArguments g, std::int64_t split_pixels, TransformX transform) {
  const std::int64_t weights = std::int64_t{g.Co} * g.Km * g.Kt * g.Ci;
  const std::int64_t e = std::int64_t{blockIdx.x} * kSimpleThreads + threadIdx.x;  // [Co,Km,Kt,Ci]
  if (e >= weights) return;
  const int ci = static_cast<int>(e % g.Ci);
  const int b = static_cast<int>(e / g.Ci % g.Kt);
  const int a = static_cast<int>(e / g.Ci / g.Kt % g.Km);
  const auto co = static_cast<int>(e / g.Ci / g.Kt / g.Km);
  const std::int64_t pixels = std::int64_t{g.N} * g.My * g.Ty;
  const std::int64_t begin = std::int64_t{blockIdx.y} * split_pixels;
  const std::int64_t end = begin + split_pixels < pixels ? begin + split_pixels : pixels;
  float total = 0;
  for (std::int64_t run = begin; run < end; run += kSimpleRun) {
    const std::int64_t run_end = run + kSimpleRun < end ? run + kSimpleRun : end;
    float sum = 0;
    for (std::int64_t p = run; p < run_end; ++p) {
      const std::int64_t m = p / g.Ty % g.My * g.stride_m + a - g.Km / 2;
      const std::int64_t t = p % g.Ty * g.stride_t + b - g.Kt / 2;
      if (m < 0 || m >= g.M || t < 0 || t >= g.T) continue;
      const std::int64_t n = p / g.Ty / g.My;
      sum += g.dy[p * g.Co + co] * transform(g.x[((n * g.M + m) * g.T + t) * g.Ci + ci], ci);
    }
    total += sum;
  }
  g.partial[blockIdx.y * weights + ((std::int64_t{co} * g.Ci + ci) * g.Km + a) * g.Kt + b] = total;
}

// --- tiles of pixels through shared memory

/// An item as the products take it, 16 bytes: eight channels in bf16,
template <ConvOperands kOperands>
__device__ __forceinline__ uint4 rounded(const float4 (&v)[2]) {
  return {to_bf16_pair(v[0].x, v[0].y), to_bf16_pair(v[0].z, v[0].w), to_bf16_pair(v[1].x, v[1].y),
          to_bf16_pair(v[1].z, v[1].w)};
}
/// or four.
template <ConvOperands kOperands>
__device__ __forceinline__ uint4 rounded(const float4 (&v)[1]) {
  const auto bits = [](float x) { return kOperands == ConvOperands::kTf32 ? to_tf32(x) : __float_as_uint(x); };
  return {bits(v[0].x), bits(v[0].y), bits(v[0].z), bits(v[0].w)};
}

/// What a thread of the tiled kernel reads: its items of one tile after the other, a few in each step.
template <class Tile, class TransformX>
class WeightGradientReader {
 public:
  __device__ __forceinline__ WeightGradientReader(const WeightGradientArguments& g, const TransformX& transform,
                                                  const WeightBlock& block, int tile)
      : g_(g),
        transform_(transform),
        block_(block),
        dy_(g.dy),
        x_(g.x),
        i0_(Tile::kFlat ? 0 : tile / g.tiles_t % g.tiles_m * Tile::kRows),
        j0_(Tile::kFlat ? tile * Tile::kPixels : tile % g.tiles_t * Tile::kColumns) {
    if (!Tile::kFlat) next_image(tile / g.tiles_t / g.tiles_m);
  }

  __device__ __forceinline__ void next_tile() {
    j0_ += Tile::kFlat ? Tile::kPixels : Tile::kColumns;
    if (Tile::kFlat || j0_ < g_.Ty) return;
    j0_ = 0;
    i0_ += Tile::kRows;
    if (i0_ < g_.My) return;
    i0_ = 0;
    next_image(1);
  }
  /// From memory into registers: the values of this step's items.
  __device__ __forceinline__ void fetch(int step) {
    DCASE_UNROLL for (int k = 0; k < Tile::kStepItems; ++k) {
      const int item = item_of(step, k);
      const bool of_dy = item < Tile::kDyItems;
      const float* const pixel = of_dy                 ? dy_pixel(item / Tile::kChunks)
                                 : item < Tile::kItems ? x_pixel((item - Tile::kDyItems) / Tile::kChunks)
                                                       : nullptr;
      const int first = (of_dy ? block_.co : block_.ci) + channel();
      left_[k] = pixel == nullptr ? 0 : (of_dy ? g_.Co : g_.Ci) - first;
      DCASE_UNROLL for (int h = 0; h < Tile::kChunk / 4; ++h) {
        const float* const from = left_[k] > 4 * h ? pixel + first + 4 * h : nullptr;
        values_[k][h] = read_four(from, left_[k] - 4 * h, of_dy ? g_.vector_dy : g_.vector_x);
      }
    }
  }
  /// And, transformed and rounded, on into shared memory.
  __device__ __forceinline__ void store(unsigned char* stage, int step) {
    DCASE_UNROLL for (int k = 0; k < Tile::kStepItems; ++k) {
      const int item = item_of(step, k);
      if (item >= Tile::kItems) continue;
      int to = Tile::dy_offset(item / Tile::kChunks, channel());
      if (item >= Tile::kDyItems) {
        to = Tile::array_bytes(Tile::kPixels) +
             Tile::offset(Tile::kXPixels, (item - Tile::kDyItems) / Tile::kChunks, channel());
        DCASE_UNROLL for (int h = 0; h < Tile::kChunk / 4; ++h) {
          values_[k][h] = transform_(values_[k][h], block_.ci + channel() + 4 * h, left_[k] - 4 * h);
        }
      }
      *reinterpret_cast<uint4*>(stage + to) = rounded<Tile::kOperands>(values_[k]);
    }
  }

 private:
  using Values = float4[Tile::kChunk / 4];  // of an item

  __device__ __forceinline__ static int item_of(int step, int k) {
    return (step * Tile::kStepItems + k) * Tile::kThreads + static_cast<int>(threadIdx.x);
  }
  __device__ __forceinline__ static int channel() {
    return static_cast<int>(threadIdx.x) % Tile::kChunks * Tile::kChunk;
  }
  __device__ __forceinline__ void next_image(int images) {
    dy_ += std::int64_t{images} * g_.My * g_.Ty * g_.Co;
    x_ += std::int64_t{images} * g_.M * g_.T * g_.Ci;
  }
  // Offsets within an image fit into 32 bits. Nowhere: nullptr.
  __device__ __forceinline__ const float* dy_pixel(int q) const {
    if (Tile::kFlat) return j0_ + q < g_.N * g_.My * g_.Ty ? dy_ + std::int64_t{j0_ + q} * g_.Co : nullptr;
    const int i = i0_ + q / Tile::kColumns;
    const int j = j0_ + q % Tile::kColumns;
    return i < g_.My && j < g_.Ty ? dy_ + (i * g_.Ty + j) * g_.Co : nullptr;
  }
  __device__ __forceinline__ const float* x_pixel(int q) const {
    const float* image = x_;
    int m = i0_ + q / Tile::kXColumns - Tile::kKernel / 2;
    int t = j0_ + q % Tile::kXColumns - Tile::kKernel / 2;
    if (Tile::kFlat) {
      const int p = j0_ + q;
      const int n = p / g_.Ty / g_.My;
      if (n >= g_.N) return nullptr;
      image += std::int64_t{n} * g_.M * g_.T * g_.Ci;
      m = p / g_.Ty % g_.My * g_.stride_m + block_.a - g_.Km / 2;
      t = p % g_.Ty * g_.stride_t + block_.b - g_.Kt / 2;
    }
    const bool inside = m >= 0 && m < g_.M && t >= 0 && t < g_.T;
    return inside ? image + (m * g_.T + t) * g_.Ci : nullptr;
  }

  const WeightGradientArguments& g_;
  const TransformX& transform_;
  WeightBlock block_;
  const float* dy_;  // the tile's image; of flat tiles the first one
  const float* x_;
  int i0_, j0_;  // its first pixel there; of a flat tile j0_ counts the pixels of all images
  Values values_[Tile::kStepItems];
  int left_[Tile::kStepItems];  // channels that exist from an item's first on; 0 outside the maps
};

/// A thread's sums, [b of the row][16 output channels][2][4] as WeightLayout says.
template <class Tile>
using WeightSums = float[Tile::kSums / 4][4];

/// sums += the products of a step's pixels, for row `a` of the kernel and 16 input channels from ci0 on.
template <class Tile>
__device__ __forceinline__ void add_products_bf16(WeightSums<Tile>& sums, const unsigned char* stage, int step, int a,
                                                  int ci0) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  unsigned dy[Tile::kTile / 16][4];
  DCASE_UNROLL for (int i = 0; i < Tile::kTile / 16; ++i) {
    ldmatrix_x4_trans(dy[i], stage + Tile::dy_row(lane, step, 16 * i));
  }
  DCASE_UNROLL for (int b = 0; b < Tile::kKernel; ++b) {
    unsigned x[4];
    ldmatrix_x4_trans(x, stage + Tile::x_row(lane, step, a, b, ci0));
    const unsigned halves[2][2] = {{x[0], x[1]}, {x[2], x[3]}};
    DCASE_UNROLL for (int i = 0; i < Tile::kTile / 16; ++i) {
      DCASE_UNROLL for (int j = 0; j < 2; ++j) mma_bf16(sums[Tile::four(b, i, j)], dy[i], halves[j]);
    }
  }
}

template <class Tile>
__device__ __forceinline__ void add_products_tf32(WeightSums<Tile>& sums, const unsigned char* stage, int step, int a,
                                                  int ci0) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const auto at = [&](int offset) { return *reinterpret_cast<const unsigned*>(stage + offset); };
  unsigned dy[Tile::kTile / 16][4];
  DCASE_UNROLL for (int i = 0; i < Tile::kTile / 16; ++i) {
    DCASE_UNROLL for (int r = 0; r < 4; ++r) {
      const MatrixPlace p = mma1688_a(lane, r);
      dy[i][r] = at(Tile::dy_offset(step * Tile::kStepPixels + p.column, 16 * i + p.row));
    }
  }
  DCASE_UNROLL for (int b = 0; b < Tile::kKernel; ++b) {
    unsigned x[2][2];
    DCASE_UNROLL for (int j = 0; j < 2; ++j) {
      DCASE_UNROLL for (int r = 0; r < 2; ++r) {
        const MatrixPlace p = mma1688_b(lane, r);
        x[j][r] = at(Tile::x_offset(step * Tile::kStepPixels + p.row, a, b, ci0 + 8 * j + p.column));
      }
    }
    DCASE_UNROLL for (int i = 0; i < Tile::kTile / 16; ++i) {
      DCASE_UNROLL for (int j = 0; j < 2; ++j) mma_tf32(sums[Tile::four(b, i, j)], dy[i], x[j]);
    }
  }
}

/// A lane has kTile / 8 output x 4 input channels; a pixel of x serves each place of the kernel's row in turn.
template <class Tile>
__device__ __forceinline__ void add_products_fp32(WeightSums<Tile>& sums, const unsigned char* stage, int step, int a,
                                                  int ci0) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int pixel0 = step * Tile::kStepPixels;
  float4 x[Tile::kKernel];
  const auto read_x = [&](int column) {
    x[column % Tile::kKernel] =
        *reinterpret_cast<const float4*>(stage + Tile::x_offset(pixel0, a, column, ci0 + lane % 4 * 4));
  };
  DCASE_UNROLL for (int column = 0; column < Tile::kKernel - 1; ++column) read_x(column);
  DCASE_UNROLL for (int p = 0; p < Tile::kStepPixels; ++p) {
    read_x(p + Tile::kKernel - 1);
    DCASE_UNROLL for (int i = 0; i < Tile::kTile / 16; ++i) {
      const float2 dy = *reinterpret_cast<const float2*>(stage + Tile::dy_offset(pixel0 + p, 16 * i + lane / 4 * 2));
      DCASE_UNROLL for (int b = 0; b < Tile::kKernel; ++b) {
        const float4 v = x[(p + b) % Tile::kKernel];
        DCASE_UNROLL for (int j = 0; j < 2; ++j) {
          float(&sum)[4] = sums[Tile::four(b, i, j)];
          const float d = j == 0 ? dy.x : dy.y;
          sum[0] = fmaf(d, v.x, sum[0]);
          sum[1] = fmaf(d, v.y, sum[1]);
          sum[2] = fmaf(d, v.z, sum[2]);
          sum[3] = fmaf(d, v.w, sum[3]);
        }
      }
    }
  }
}

/// A block has kTile x kTile channel pairs, for all nine places of a 3 x 3 kernel of stride 1 (kKernel 3) or for one
/// place of any kernel (kKernel 1), and one division of the pixels. A tile of dy and of x with its border is read once
/// for all places. Of two stages in shared memory one is computed on while the other is filled, an item of 16 bytes a
/// thread and step, which passes through registers and is rounded there. Bound by the products; with few channels by
/// reading the maps. Sums go to partial in the order of threads, so that all stores are contiguous.
/// Grid: (blocks of output channels x blocks of input channels x places, divisions).
template <class Tile, class TransformX>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kResident)
    conv2d_weight_gradient_tiled_kernel(WeightGradientArguments g, WeightLayout layout, TransformX transform) {
  SharedCarver carve;
  unsigned char* const stages = carve.take<unsigned char>(Tile::kSharedBytes);
  const int thread = static_cast<int>(threadIdx.x);
  const int warp = thread / 32;
  const int row = warp / Tile::kWarpsOfRow;
  const int warp_ci = warp % Tile::kWarpsOfRow * 16;
  const WeightBlock block = layout.block(static_cast<int>(blockIdx.x));
  const int begin = static_cast<int>(blockIdx.y) * g.split_tiles;
  const int end = begin + g.split_tiles < g.tiles ? begin + g.split_tiles : g.tiles;
  float* const out =
      g.partial + (std::int64_t{blockIdx.y} * gridDim.x + blockIdx.x) * Tile::kSums * Tile::kThreads + thread;

  WeightGradientReader<Tile, TransformX> reader(g, transform, block, begin);
  for (int step = 0; step < Tile::kSteps; ++step) {
    reader.fetch(step);
    reader.store(stages, step);
  }
  __syncthreads();  // the first tile is complete

  WeightSums<Tile> sums = {};
  for (int tile = begin; tile < end; ++tile) {
    const unsigned char* const stage = stages + (tile - begin) % 2 * Tile::kStageBytes;
    unsigned char* const next = stages + (tile - begin + 1) % 2 * Tile::kStageBytes;
    reader.next_tile();
    for (int step = 0; step < Tile::kSteps; ++step) {
      if (tile + 1 < end) reader.fetch(step);
      if constexpr (Tile::kOperands == ConvOperands::kBf16) {
        add_products_bf16<Tile>(sums, stage, step, row, warp_ci);
      } else if constexpr (Tile::kOperands == ConvOperands::kTf32) {
        add_products_tf32<Tile>(sums, stage, step, row, warp_ci);
      } else {
        add_products_fp32<Tile>(sums, stage, step, row, warp_ci);
      }
      if (tile + 1 < end) reader.store(next, step);
    }
    __syncthreads();  // all have read this tile; the next one is complete

    const int done = tile + 1 - begin;
    if (tile + 1 < end && done % Tile::kChainTiles != 0) continue;
    DCASE_UNROLL for (int s = 0; s < Tile::kSums; ++s) {
      float* const to = out + std::int64_t{s} * Tile::kThreads;
      *to = done <= Tile::kChainTiles ? sums[s / 4][s % 4] : *to + sums[s / 4][s % 4];
      sums[s / 4][s % 4] = 0;
    }
  }
}

// --- one input channel

inline constexpr int kOneThreads = 256;
inline constexpr int kOneRows = 4;
inline constexpr int kOneColumns = 128;
inline constexpr int kOnePixels = kOneRows * kOneColumns;  // of a tile
inline constexpr int kOneBatch = 4;                        // reads of dy under way in a thread

/// 3 x 3, stride 1, one input channel and up to 4 * kLanes output channels, a multiple of four. kLanes neighbouring
/// threads read a pixel of dy, four channels each, and add its products with the nine pixels of x around it, which
/// stand in shared memory. Bound by reading dy, once and contiguously. Grid: (1, divisions).
template <int kLanes>
__global__ void __launch_bounds__(kOneThreads) conv2d_weight_gradient_one_channel_kernel(WeightGradientArguments g) {
  constexpr int kAtOnce = kOneThreads / kLanes;  // pixels
  constexpr int kWarps = kOneThreads / 32;
  DCASE_SHARED(float, x, [kOneRows + 2][kOneColumns + 2]);
  DCASE_SHARED(float, warp_sums, [kWarps][kLanes * 4 * 9]);
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % 32;
  const int co = thread % kLanes * 4;
  const int begin = static_cast<int>(blockIdx.y) * g.split_tiles;
  const int end = begin + g.split_tiles < g.tiles ? begin + g.split_tiles : g.tiles;
  float sums[4][9] = {};
  for (int tile = begin; tile < end; ++tile) {
    const int n = tile / g.tiles_t / g.tiles_m;
    const int i0 = tile / g.tiles_t % g.tiles_m * kOneRows;
    const int j0 = tile % g.tiles_t * kOneColumns;
    for (int k = thread; k < (kOneRows + 2) * (kOneColumns + 2); k += kOneThreads) {
      const int m = i0 + k / (kOneColumns + 2) - 1;
      const int t = j0 + k % (kOneColumns + 2) - 1;
      const bool inside = m >= 0 && m < g.M && t >= 0 && t < g.T;
      x[k / (kOneColumns + 2)][k % (kOneColumns + 2)] = inside ? g.x[(std::int64_t{n} * g.M + m) * g.T + t] : 0.0F;
    }
    __syncthreads();  // x is complete
    const float* const image = g.dy + std::int64_t{n} * g.My * g.Ty * g.Co + co;
    for (int q0 = thread / kLanes; q0 < kOnePixels; q0 += kOneBatch * kAtOnce) {
      float4 dy[kOneBatch];
      DCASE_UNROLL for (int k = 0; k < kOneBatch; ++k) {
        const int q = q0 + k * kAtOnce;
        const int i = i0 + q / kOneColumns;
        const int j = j0 + q % kOneColumns;
        const bool inside = i < g.My && j < g.Ty && co < g.Co;
        dy[k] = inside ? *reinterpret_cast<const float4*>(image + (i * g.Ty + j) * g.Co) : float4{0, 0, 0, 0};
      }
      DCASE_UNROLL for (int k = 0; k < kOneBatch; ++k) {
        const int q = q0 + k * kAtOnce;
        DCASE_UNROLL for (int tap = 0; tap < 9; ++tap) {
          const float v = x[q / kOneColumns + tap / 3][q % kOneColumns + tap % 3];
          sums[0][tap] = fmaf(dy[k].x, v, sums[0][tap]);
          sums[1][tap] = fmaf(dy[k].y, v, sums[1][tap]);
          sums[2][tap] = fmaf(dy[k].z, v, sums[2][tap]);
          sums[3][tap] = fmaf(dy[k].w, v, sums[3][tap]);
        }
      }
    }
    __syncthreads();  // all have read x
  }
  // The threads of the same channels: within the warp, then over the warps.
  DCASE_UNROLL for (int k = 0; k < 4 * 9; ++k) {
    float sum = sums[k / 9][k % 9];
    DCASE_UNROLL for (int other = kLanes; other < 32; other *= 2) sum += __shfl_xor_sync(0xFFFFFFFFU, sum, other);
    if (lane < kLanes) warp_sums[thread / 32][co * 9 + k] = sum;
  }
  __syncthreads();  // the sums of all warps are there
  for (int k = thread; k < g.Co * 9; k += kOneThreads) {
    float sum = 0;
    for (int warp = 0; warp < kWarps; ++warp) sum += warp_sums[warp][k];
    g.partial[std::int64_t{blockIdx.y} * g.Co * 9 + k] = sum;
  }
}

// --- the sum of the divisions

/// Index in dw of a division's sum: its own, or as the tiled kernel dealt the weights out (-1 for none).
struct InOrder {
  __device__ __forceinline__ std::int64_t operator()(std::int64_t sum) const { return sum; }
};
struct AsDealt {
  WeightLayout layout;
  __device__ __forceinline__ std::int64_t operator()(std::int64_t sum) const { return layout.weight(sum); }
};

inline constexpr int kSplitColumns = 32;  // sums of a block: a warp reads 128 contiguous bytes
inline constexpr int kSplitRows = 16;     // divisions that a block reads at a time

/// dw[place(sum)] = sum over the divisions of partial[division][sum], or += with kAdd; in double, in a fixed order.
/// Bound by reading partial, once.
template <bool kAdd, class Place>
__global__ void __launch_bounds__(kSplitColumns* kSplitRows)
    conv2d_weight_gradient_sum_kernel(const float* partial, float* dw, std::int64_t sums, int splits, Place place) {
  DCASE_SHARED(double, rows, [kSplitRows][kSplitColumns]);
  const int column = static_cast<int>(threadIdx.x) % kSplitColumns;
  const int row = static_cast<int>(threadIdx.x) / kSplitColumns;
  const std::int64_t at = std::int64_t{blockIdx.x} * kSplitColumns + column;
  double sum = 0;
  if (at < sums) {
    for (int split = row; split < splits; split += kSplitRows) sum += static_cast<double>(partial[split * sums + at]);
  }
  rows[row][column] = sum;
  __syncthreads();  // the sums of all rows are there
  if (row != 0 || at >= sums) return;
  for (int other = 1; other < kSplitRows; ++other) sum += rows[other][column];
  const std::int64_t to = place(at);
  if (to < 0) return;
  dw[to] = kAdd ? dw[to] + static_cast<float>(sum) : static_cast<float>(sum);
}

}  // namespace dcase::cuda::weight_gradient
