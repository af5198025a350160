#pragma once
// On tensor cores, with the recurrent weights as fragments in registers for all steps. Eight sequences make the width
// of an instruction, sixteen units its height, so a block takes eight sequences in one direction, and warp w units 16w
// to 16w + 15 of all three gates: what a thread has of the three sums belongs to the same four (unit, sequence), whose
// gates it computes without another exchange. The state stays in float in the thread that owns it; a bf16 copy goes to
// all warps through shared memory, twice there, so that one barrier a step is enough.
//
// Bound by the latency of a step: product, gates, barrier. Eight sequences a block fill few multiprocessors, which is
// no loss, since the steps of a sequence cannot run side by side.
//
// Up to 128 units the weights (3 H^2 bf16) fit one block. For more, the four blocks of a cluster have a quarter of the
// units each and write their part of the state into the shared memory of all four.
//
// kDepth is H rounded up to a size that the kernel is compiled for; weights and states beyond H are zero.

#include "kernels/common/bf16.cuh"
#include "kernels/gru/gru_layout.hpp"
#include "kernels/gru/gru_steps.cuh"

namespace dcase::cuda {

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
// There are no clusters here, and the launcher starts none.
__device__ __forceinline__ void cluster_sync() {}
template <class T>
__device__ __forceinline__ T* cluster_map(T* shared, unsigned) {
  return shared;
}
#endif

/// Fragments of the weights for 16 units: 16 x 16 each, 3 * depth summands.
constexpr int gru_fragments(int depth) { return 3 * depth / 16; }
/// Those in registers. A block of a cluster has 48 of four registers, and reads half of them from shared memory at each
/// step: all, with the rest that a thread needs, would be more than its 255 registers.
constexpr int gru_register_fragments(int depth, int blocks) {
  return blocks == 1 ? gru_fragments(depth) : gru_fragments(depth) / 2;
}

/// Shared memory of a block of `threads`: two tiles of [8][columns], and the fragments that are not in registers.
constexpr std::size_t gru_mma_shared(int depth, int blocks, int columns, int threads) {
  return 2 * sizeof(__nv_bfloat16) * gru_tile_size(columns) +
         sizeof(uint4) * (gru_fragments(depth) - gru_register_fragments(depth, blocks)) * threads;
}

inline constexpr int kGruPackThreads = 128;

/// The weights in bf16 as the steps' kernels load them, a lane's registers of a fragment behind one another:
/// [2][depth/16 tiles of units][gate][depth/16][lane]. A thread makes one lane's part. kTransposed: for the backward
/// pass, whose units are columns of the weights. Bound by latency; it lets every block load whole lines, half the
/// bytes.
template <bool kTransposed>
__global__ void __launch_bounds__(kGruPackThreads)
    gru_pack_kernel(const float* w_forward, const float* w_reverse, uint4* packed, int H, int depth) {
  const int steps = depth / 16;
  const int thread = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (thread >= 2 * steps * gru_fragments(depth) * 32) return;
  const int lane = thread % 32;
  const int step = thread / 32 % steps;
  const int gate = thread / 32 / steps % 3;
  const int tile = thread / 32 / gru_fragments(depth) % steps;
  const float* const w = (thread / 32 / gru_fragments(depth) < steps ? w_forward : w_reverse) + gate * H * H;
  unsigned words[4];
  DCASE_UNROLL for (int r = 0; r < 4; ++r) {
    float pair[2];
    DCASE_UNROLL for (int i = 0; i < 2; ++i) {
      const MatrixPlace p = mma16816_a(lane, 2 * r + i);
      const int unit = 16 * tile + p.row;
      const int k = 16 * step + p.column;
      pair[i] = unit < H && k < H ? w[kTransposed ? k * H + unit : unit * H + k] : 0.0F;
    }
    words[r] = to_bf16_pair(pair[0], pair[1]);
  }
  packed[thread] = {words[0], words[1], words[2], words[3]};
}

/// A thread's fragments of the weights. Those in shared memory are the thread's own, too.
template <int kDepth, int kBlocks>
struct GruFragments {
  static constexpr int kInRegisters = gru_register_fragments(kDepth, kBlocks);
  uint4 registers[kInRegisters];
  uint4* others;  // [fragment][thread]

  __device__ __forceinline__ void load(const uint4* packed, int d, int unit0, int lane, SharedCarver& carve) {
    others = carve.take<uint4>((gru_fragments(kDepth) - kInRegisters) * blockDim.x);
    const uint4* const from = packed + (d * (kDepth / 16) + unit0 / 16) * gru_fragments(kDepth) * 32 + lane;
    DCASE_UNROLL for (int i = 0; i < kInRegisters; ++i) registers[i] = from[i * 32];
    for (int i = kInRegisters; i < gru_fragments(kDepth); ++i) other(i) = from[i * 32];
  }
  __device__ __forceinline__ void multiply(float (&sum)[4], int i, const unsigned (&b)[2]) const {
    const uint4 v = i < kInRegisters ? registers[i] : other(i);
    const unsigned fragment[4] = {v.x, v.y, v.z, v.w};
    mma_bf16(sum, fragment, b);
  }

 private:
  __device__ __forceinline__ uint4& other(int i) const {
    return others[(i - kInRegisters) * static_cast<int>(blockDim.x) + static_cast<int>(threadIdx.x)];
  }
};

/// What a thread owns: four (unit, sequence), as the accumulators of an instruction have them.
struct GruMmaLane {
  int lane, d, unit0, n0;
  __device__ __forceinline__ GruUnit at(int i) const {
    const MatrixPlace p = mma16n8_c(lane, i);
    return {d, n0 + p.column, unit0 + p.row};
  }
  template <class Steps>
  __device__ __forceinline__ bool inside(const Steps& a, int i) const {
    return at(i).unit < a.H && at(i).n < a.N;
  }
};

template <int kDepth, int kBlocks>
__device__ __forceinline__ GruMmaLane gru_mma_lane() {
  const int thread = static_cast<int>(threadIdx.x);
  const int block = static_cast<int>(blockIdx.x);
  return {thread % 32, static_cast<int>(blockIdx.y), block % kBlocks * (kDepth / kBlocks) + thread / 32 * 16,
          block / kBlocks * kGruSequences};
}

__device__ __forceinline__ void gru_clear(__nv_bfloat16* tiles, int size) {
  for (int i = static_cast<int>(threadIdx.x); i < size; i += static_cast<int>(blockDim.x)) {
    tiles[i] = __float2bfloat16_rn(0.0F);
  }
}

/// Grid: (ceil(N / 8) * kBlocks, direction).
template <int kDepth, int kBlocks>
__global__ void __launch_bounds__(2 * kDepth / kBlocks) gru_forward_mma_kernel(GruForwardSteps a, const uint4* packed) {
  constexpr int kSteps = kDepth / 16;  // instructions along the sum
  SharedCarver carve;
  __nv_bfloat16* const tiles = carve.take<__nv_bfloat16>(2 * gru_tile_size(kDepth));
  const GruMmaLane own = gru_mma_lane<kDepth, kBlocks>();
  GruFragments<kDepth, kBlocks> w;
  w.load(packed, own.d, own.unit0, own.lane, carve);
  float bias[3][2] = {};  // of the two units
  float x[4][3] = {};     // of the coming step
  DCASE_UNROLL for (int gate = 0; gate < 3; ++gate) {
    DCASE_UNROLL for (int i = 0; i < 2; ++i) {
      const int unit = own.at(2 * i).unit;
      if (unit < a.H) bias[gate][i] = (own.d == 0 ? a.b_hh[0] : a.b_hh[1])[gate * a.H + unit];
    }
  }
  const auto load = [&](int step) {
    DCASE_UNROLL for (int i = 0; i < 4; ++i) {
      if (own.inside(a, i)) gru_load(a, own.at(i), step, x[i]);
    }
  };
  if (a.T > 0) load(0);
  gru_clear(tiles, 2 * gru_tile_size(kDepth));
  // The state before the first step is there, and zeros beyond H.
  if constexpr (kBlocks == 1) __syncthreads();
  if constexpr (kBlocks > 1) cluster_sync();

  float h[4] = {};
  for (int step = 0; step < a.T; ++step) {
    const __nv_bfloat16* const tile = tiles + step % 2 * gru_tile_size(kDepth);
    float sum[2][3][4] = {};
    DCASE_UNROLL for (int gate = 0; gate < 3; ++gate) {
      DCASE_UNROLL for (int i = 0; i < 4; ++i) sum[0][gate][i] = bias[gate][i / 2];
    }
    DCASE_UNROLL for (int s = 0; s < kSteps; s += 2) {
      unsigned b[4];
      ldmatrix_x4(b, tile + gru_tile_row_of(kDepth, own.lane, 16 * s));
      const unsigned even[2] = {b[0], b[1]};
      const unsigned odd[2] = {b[2], b[3]};
      DCASE_UNROLL for (int gate = 0; gate < 3; ++gate) w.multiply(sum[0][gate], gate * kSteps + s, even);
      DCASE_UNROLL for (int gate = 0; gate < 3; ++gate) w.multiply(sum[1][gate], gate * kSteps + s + 1, odd);
    }
    DCASE_UNROLL for (int i = 0; i < 4; ++i) {
      const GruGates g =
          gru_gates(x[i], sum[0][0][i] + sum[1][0][i], sum[0][1][i] + sum[1][1][i], sum[0][2][i] + sum[1][2][i]);
      h[i] = gru_state(g, h[i]);
      if (own.inside(a, i)) gru_store(a, own.at(i), step, g, h[i]);
    }
    if (step + 1 == a.T) break;
    load(step + 1);  // on its way during the barrier and the product
    const int next = (step + 1) % 2 * gru_tile_size(kDepth);
    DCASE_UNROLL for (int block = 0; block < kBlocks; ++block) {
      __nv_bfloat16* const to = kBlocks == 1 ? tiles : cluster_map(tiles, block);
      DCASE_UNROLL for (int i = 0; i < 4; ++i) {
        to[next + gru_tile_at(kDepth, own.at(i).n - own.n0, own.at(i).unit)] = __float2bfloat16_rn(h[i]);
      }
    }
    // The next state is complete, and this one read.
    if constexpr (kBlocks == 1) __syncthreads();
    if constexpr (kBlocks > 1) cluster_sync();
  }
  DCASE_UNROLL for (int i = 0; i < 4; ++i) {
    if (own.inside(a, i)) gru_finish(a, own.at(i), h[i]);
  }
}

/// Grid: (ceil(N / 8) * kBlocks, direction). The same with the transposed weights: heights are columns of the weights,
/// summands the 3H gates, of which the tile [8][3 * kDepth] has the gradients.
template <int kDepth, int kBlocks>
__global__ void __launch_bounds__(2 * kDepth / kBlocks)
    gru_backward_mma_kernel(GruBackwardSteps a, const uint4* packed) {
  constexpr int kSteps = kDepth / 16;
  constexpr int kColumns = 3 * kDepth;
  SharedCarver carve;
  __nv_bfloat16* const tiles = carve.take<__nv_bfloat16>(2 * gru_tile_size(kColumns));
  const GruMmaLane own = gru_mma_lane<kDepth, kBlocks>();
  GruFragments<kDepth, kBlocks> w;
  w.load(packed, own.d, own.unit0, own.lane, carve);
  GruTrace trace[4] = {};  // of the coming step
  const auto load = [&](int step) {
    DCASE_UNROLL for (int i = 0; i < 4; ++i) {
      if (own.inside(a, i)) trace[i] = gru_load(a, own.at(i), step);
    }
  };
  load(a.T - 1);
  gru_clear(tiles, 2 * gru_tile_size(kColumns));
  // Zeros beyond H are there.
  if constexpr (kBlocks == 1) __syncthreads();
  if constexpr (kBlocks > 1) cluster_sync();

  float carry[4] = {};  // gradient from the step behind
  for (int step = a.T - 1;; --step) {
    const int tile = step % 2 * gru_tile_size(kColumns);
    float dgates[3][4];
    DCASE_UNROLL for (int i = 0; i < 4; ++i) {
      const GruGradients g = gru_gradients(trace[i], trace[i].dy + carry[i]);
      if (own.inside(a, i)) gru_store(a, own.at(i), step, g, trace[i].before);
      carry[i] = g.before;
      dgates[0][i] = g.r;
      dgates[1][i] = g.z;
      dgates[2][i] = g.u;
    }
    if (step == 0) return;
    load(step - 1);  // on its way during the barrier and the product
    DCASE_UNROLL for (int block = 0; block < kBlocks; ++block) {
      __nv_bfloat16* const to = kBlocks == 1 ? tiles : cluster_map(tiles, block);
      DCASE_UNROLL for (int gate = 0; gate < 3; ++gate) {
        DCASE_UNROLL for (int i = 0; i < 4; ++i) {
          to[tile + gru_tile_at(kColumns, own.at(i).n - own.n0, gate * kDepth + own.at(i).unit)] =
              __float2bfloat16_rn(dgates[gate][i]);
        }
      }
    }
    // The gradients of all gates are there; those of two steps behind have been read.
    if constexpr (kBlocks == 1) __syncthreads();
    if constexpr (kBlocks > 1) cluster_sync();
    float sum[2][4] = {};
    DCASE_UNROLL for (int s = 0; s < 3 * kSteps; s += 2) {
      unsigned b[4];
      ldmatrix_x4(b, tiles + tile + gru_tile_row_of(kColumns, own.lane, 16 * s));
      const unsigned even[2] = {b[0], b[1]};
      const unsigned odd[2] = {b[2], b[3]};
      w.multiply(sum[0], s, even);
      w.multiply(sum[1], s + 1, odd);
    }
    DCASE_UNROLL for (int i = 0; i < 4; ++i) carry[i] += sum[0][i] + sum[1][i];
  }
}

}  // namespace dcase::cuda
