#pragma once
// Two rungs. gemm_simple_kernel computes in float on CUDA cores and takes any layout: the fallback and the oracle on
// the device. gemm_mma_kernel computes on tensor cores, in tf32 or bf16 with float sums, and copies its tiles with
// cp.async while it computes on earlier ones.

#include "kernels/common/bf16.cuh"
#include "kernels/common/ptx.cuh"

namespace dcase::cuda {

/// c[m,n] = alpha * sum over k of a[m,k] * b[k,n] + bias[n], or += with kAdd. Row-major with leading dimensions; a and
/// b may be stored transposed: a(m,k) is a[k * lda + m] with kTransA, b(k,n) is b[n * ldb + k] with kTransB.
struct GemmArguments {
  const float* a;
  const float* b;
  const float* bias;  // or nullptr
  float* c;
  int m, n, k;
  int lda, ldb, ldc;
  float alpha;
  int vector_a, vector_b;  // whether rows of a and b may be copied 16 bytes at a time
};

inline constexpr int kSimpleTile = 32;      // rows and columns of c of a block
inline constexpr int kSimpleThreads = 256;  // 8 rows of 32; a thread has four elements of one column

/// A block owns a 32 x 32 tile of c and walks along k in steps of 32 through shared memory. Bound by shared memory:
/// five reads for four products. Sums run over k in order.
template <bool kTransA, bool kTransB, bool kAdd>
__global__ void __launch_bounds__(kSimpleThreads) gemm_simple_kernel(GemmArguments g) {
  DCASE_SHARED(float, tile_a, [kSimpleTile][kSimpleTile + 1]);  // [m][k]; the odd pitch spreads columns over banks
  DCASE_SHARED(float, tile_b, [kSimpleTile][kSimpleTile + 1]);  // [k][n]
  const int column = static_cast<int>(threadIdx.x) % kSimpleTile;
  const int row = static_cast<int>(threadIdx.x) / kSimpleTile;  // 0..7
  const int m0 = static_cast<int>(blockIdx.y) * kSimpleTile;
  const int n0 = static_cast<int>(blockIdx.x) * kSimpleTile;
  float sum[4] = {};
  for (int k0 = 0; k0 < g.k; k0 += kSimpleTile) {
    DCASE_UNROLL for (int i = 0; i < 4; ++i) {
      const int r = row + 8 * i;
      // Neighbouring threads read neighbouring addresses, whichever way the operand is stored.
      const int am = m0 + (kTransA ? column : r);
      const int ak = k0 + (kTransA ? r : column);
      const float a =
          am < g.m && ak < g.k ? g.a[kTransA ? std::int64_t{ak} * g.lda + am : std::int64_t{am} * g.lda + ak] : 0.0F;
      (kTransA ? tile_a[column][r] : tile_a[r][column]) = a;
      const int bk = k0 + (kTransB ? column : r);
      const int bn = n0 + (kTransB ? r : column);
      const float b =
          bk < g.k && bn < g.n ? g.b[kTransB ? std::int64_t{bn} * g.ldb + bk : std::int64_t{bk} * g.ldb + bn] : 0.0F;
      (kTransB ? tile_b[column][r] : tile_b[r][column]) = b;
    }
    __syncthreads();  // the tiles are complete
    for (int k = 0; k < kSimpleTile; ++k) {
      const float b = tile_b[k][column];
      DCASE_UNROLL for (int i = 0; i < 4; ++i) sum[i] += tile_a[row + 8 * i][k] * b;
    }
    __syncthreads();  // all have read them
  }
  const int n = n0 + column;
  if (n >= g.n) return;
  const float bias = g.bias != nullptr ? g.bias[n] : 0.0F;
  DCASE_UNROLL for (int i = 0; i < 4; ++i) {
    const int m = m0 + row + 8 * i;
    if (m >= g.m) continue;
    float* const c = g.c + std::int64_t{m} * g.ldc + n;
    const float value = g.alpha * sum[i] + bias;
    *c = kAdd ? *c + value : value;
  }
}

// --- tensor cores

enum class GemmOperands { kTf32, kBf16 };

inline constexpr int kMmaTile = 64;      // rows and columns of c of a block
inline constexpr int kMmaDepth = 32;     // of k in a stage
inline constexpr int kMmaStages = 3;     // tiles in shared memory: one in use, two on their way
inline constexpr int kMmaThreads = 128;  // four warps, each 32 x 32 of c
// Pitches in floats: multiples of 4 for the copies, and the lanes of a fragment fall into 32 different banks:
// [rows][k] is read at (lane / 4) rows and (lane % 4) columns, [k][rows] the other way round.
inline constexpr int kPitchAlongK = kMmaDepth + 4;
inline constexpr int kPitchAlongRows = kMmaTile + 8;
inline constexpr int kTileFloats =
    kMmaTile * kPitchAlongK > kMmaDepth* kPitchAlongRows ? kMmaTile* kPitchAlongK : kMmaDepth* kPitchAlongRows;
inline constexpr int kMmaSharedBytes = kMmaStages * 2 * kTileFloats * static_cast<int>(sizeof(float));

/// An operand's tile in shared memory, [64 rows of c's side] x [32 of k].
template <bool kAlongRows>
struct GemmTile {
  /// Starts the copies of the tile at (row0, k0); what lies outside the matrix becomes zero.
  __device__ __forceinline__ static void load(float* tile, const float* matrix, int rows, int depth, int pitch,
                                              int row0, int k0, int vector) {
    const int thread = static_cast<int>(threadIdx.x);
    constexpr int kLines = kAlongRows ? kMmaDepth : kMmaTile;   // contiguous stretches
    constexpr int kLength = kAlongRows ? kMmaTile : kMmaDepth;  // floats of one
    constexpr int kPitch = kAlongRows ? kPitchAlongRows : kPitchAlongK;
    const int line0 = kAlongRows ? k0 : row0;
    const int lines = kAlongRows ? depth : rows;
    const int first0 = kAlongRows ? row0 : k0;
    const int length = kAlongRows ? rows : depth;
    if (vector != 0) {
      for (int i = thread; i < kLines * kLength / 4; i += kMmaThreads) {
        const int line = i / (kLength / 4);
        const int first = i % (kLength / 4) * 4;
        const int left = line0 + line < lines ? length - (first0 + first) : 0;  // floats that exist from here on
        const unsigned valid = left >= 4 ? 16U : left > 0 ? static_cast<unsigned>(left) * 4 : 0U;
        const float* const from = valid > 0 ? matrix + std::int64_t{line0 + line} * pitch + first0 + first : matrix;
        copy_async_16(tile + line * kPitch + first, from, valid);
      }
    } else {
      for (int i = thread; i < kLines * kLength; i += kMmaThreads) {
        const int line = i / kLength;
        const int first = i % kLength;
        const bool inside = line0 + line < lines && first0 + first < length;
        const float* const from = inside ? matrix + std::int64_t{line0 + line} * pitch + first0 + first : matrix;
        copy_async_4(tile + line * kPitch + first, from, inside ? 4U : 0U);
      }
    }
  }
  __device__ __forceinline__ static float at(const float* tile, int row, int k) {
    return kAlongRows ? tile[k * kPitchAlongRows + row] : tile[row * kPitchAlongK + k];
  }
};

/// A block owns a 64 x 64 tile of c; three stages of a and b tiles are in flight in shared memory as floats and are
/// rounded when they become fragments. Sums run over k in steps of the instruction's depth, in order.
template <GemmOperands kOperands, bool kTransA, bool kTransB, bool kAdd>
__global__ void __launch_bounds__(kMmaThreads) gemm_mma_kernel(GemmArguments g) {
  using TileA = GemmTile<kTransA>;
  using TileB = GemmTile<!kTransB>;
  constexpr int kStep = kOperands == GemmOperands::kBf16 ? 16 : 8;  // k of one instruction
  SharedCarver carve;
  float* const tiles_a = carve.take<float>(kMmaStages * kTileFloats);
  float* const tiles_b = carve.take<float>(kMmaStages * kTileFloats);
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int m0 = static_cast<int>(blockIdx.y) * kMmaTile;
  const int n0 = static_cast<int>(blockIdx.x) * kMmaTile;
  const int warp_m = warp / 2 * 32;
  const int warp_n = warp % 2 * 32;
  const int steps = (g.k + kMmaDepth - 1) / kMmaDepth;

  const auto load = [&](int step) {
    if (step < steps) {
      const int stage = step % kMmaStages;
      TileA::load(tiles_a + stage * kTileFloats, g.a, g.m, g.k, g.lda, m0, step * kMmaDepth, g.vector_a);
      TileB::load(tiles_b + stage * kTileFloats, g.b, g.n, g.k, g.ldb, n0, step * kMmaDepth, g.vector_b);
    }
    copy_async_commit();  // also where nothing was asked for, so that the groups count the steps
  };

  float c[2][4][4] = {};  // [16 rows][8 columns][register] of the warp's 32 x 32
  load(0);
  load(1);
  for (int step = 0; step < steps; ++step) {
    copy_async_wait<1>();  // this step's tiles are there, for this thread
    __syncthreads();       // and for all; nobody still reads the stage that is overwritten next
    load(step + 2);
    const float* const tile_a = tiles_a + step % kMmaStages * kTileFloats;
    const float* const tile_b = tiles_b + step % kMmaStages * kTileFloats;
    DCASE_UNROLL for (int k = 0; k < kMmaDepth; k += kStep) {
      unsigned a[2][4];
      unsigned b[4][2];
      DCASE_UNROLL for (int i = 0; i < 2; ++i) {
        DCASE_UNROLL for (int r = 0; r < 4; ++r) {
          if (kOperands == GemmOperands::kBf16) {
            const MatrixPlace p = mma16816_a(lane, 2 * r);
            const int row = warp_m + 16 * i + p.row;
            a[i][r] = to_bf16_pair(TileA::at(tile_a, row, k + p.column), TileA::at(tile_a, row, k + p.column + 1));
          } else {
            const MatrixPlace p = mma1688_a(lane, r);
            a[i][r] = to_tf32(TileA::at(tile_a, warp_m + 16 * i + p.row, k + p.column));
          }
        }
      }
      DCASE_UNROLL for (int j = 0; j < 4; ++j) {
        DCASE_UNROLL for (int r = 0; r < 2; ++r) {
          if (kOperands == GemmOperands::kBf16) {
            const MatrixPlace p = mma16816_b(lane, 2 * r);
            const int row = warp_n + 8 * j + p.column;
            b[j][r] = to_bf16_pair(TileB::at(tile_b, row, k + p.row), TileB::at(tile_b, row, k + p.row + 1));
          } else {
            const MatrixPlace p = mma1688_b(lane, r);
            b[j][r] = to_tf32(TileB::at(tile_b, warp_n + 8 * j + p.column, k + p.row));
          }
        }
      }
      DCASE_UNROLL for (int i = 0; i < 2; ++i) {
        DCASE_UNROLL for (int j = 0; j < 4; ++j) {
          if (kOperands == GemmOperands::kBf16) {
            mma_bf16(c[i][j], a[i], b[j]);
          } else {
            mma_tf32(c[i][j], a[i], b[j]);
          }
        }
      }
    }
  }
  copy_async_wait<0>();  // the last groups are empty, but a thread does not end with copies open

  DCASE_UNROLL for (int i = 0; i < 2; ++i) {
    DCASE_UNROLL for (int j = 0; j < 4; ++j) {
      DCASE_UNROLL for (int r = 0; r < 4; ++r) {
        const MatrixPlace p = mma16n8_c(lane, r);
        const int m = m0 + warp_m + 16 * i + p.row;
        const int n = n0 + warp_n + 8 * j + p.column;
        if (m >= g.m || n >= g.n) continue;
        float* const out = g.c + std::int64_t{m} * g.ldc + n;
        const float value = g.alpha * c[i][j][r] + (g.bias != nullptr ? g.bias[n] : 0.0F);
        *out = kAdd ? *out + value : value;
      }
    }
  }
}

}  // namespace dcase::cuda
