#pragma once
// In float, with the recurrent weights in registers for all steps: 3 H^2 floats, for H = 128 three quarters of a
// multiprocessor's register file. A step then reads only the state, from shared memory, where the simple kernel streams
// all weights from L2. Bound by the products, 3 H^2 of them on 128 CUDA cores a step, and by the latency of a step.
//
// A block takes one sequence in one direction. Warp w owns units 16w to 16w + 15. Eight lanes share four units: all
// three gates of them, for every eighth group of four summands each. So a warp reads the state as one contiguous
// stretch and a unit's partial sums stand in eight lanes; sum_to_owner brings them to two lanes, which both do the
// gates' arithmetic. Sums have the same order on every device.
//
// kDepth is H rounded up to a size that the kernel is compiled for; weights and states beyond H are zero.

#include "kernels/gru/gru_layout.hpp"
#include "kernels/gru/gru_steps.cuh"

namespace dcase::cuda {

/// v[u][s] summed over the eight lanes that share four units; each pair of lanes receives the sums of its own unit.
/// Half of the values changes lanes in each of two rounds, the last one makes the pair equal.
template <int kSums>
__device__ __forceinline__ void sum_to_owner(const float (&v)[4][kSums], int part, float (&sum)[kSums]) {
  constexpr unsigned kAll = 0xFFFFFFFFU;
  const bool upper = part >= 4;
  const bool odd = part % 4 >= 2;
  DCASE_UNROLL for (int s = 0; s < kSums; ++s) {
    float a = upper ? v[2][s] : v[0][s];
    float b = upper ? v[3][s] : v[1][s];
    a += __shfl_xor_sync(kAll, upper ? v[0][s] : v[2][s], 4);
    b += __shfl_xor_sync(kAll, upper ? v[1][s] : v[3][s], 4);
    sum[s] = (odd ? b : a) + __shfl_xor_sync(kAll, odd ? a : b, 2);
    sum[s] += __shfl_xor_sync(kAll, sum[s], 1);
  }
}

/// w[row, column .. column + 3] of [rows, H]; zeros outside.
__device__ __forceinline__ float4 gru_weights(const float* w, int row, int rows, int column, int H, int vector) {
  if (row >= rows) return {};
  const float* const from = w + row * H + column;
  if (vector != 0 && column < H) return *reinterpret_cast<const float4*>(from);
  return {column < H ? from[0] : 0.0F, column + 1 < H ? from[1] : 0.0F, column + 2 < H ? from[2] : 0.0F,
          column + 3 < H ? from[3] : 0.0F};
}

/// Grid: (N, direction). `vector`: rows of the weights may be read 16 bytes at a time.
template <int kDepth>
__global__ void __launch_bounds__(2 * kDepth) gru_forward_registers_kernel(GruForwardSteps a, int vector) {
  constexpr int kGroups = kDepth / 32;  // groups of four summands of a lane
  DCASE_SHARED(float4, states, [2][kDepth / 4]);
  const int thread = static_cast<int>(threadIdx.x);
  const GruLane lane = gru_lane(thread);
  const int n = static_cast<int>(blockIdx.x);
  const int d = static_cast<int>(blockIdx.y);
  const GruUnit at = {d, n, lane.unit};
  const bool inside = lane.unit < a.H;
  const bool stores = lane.part % 2 == 0;  // of the two that own the unit
  float4 w[3][4][kGroups];
  DCASE_UNROLL for (int gate = 0; gate < 3; ++gate) {
    DCASE_UNROLL for (int u = 0; u < 4; ++u) {
      DCASE_UNROLL for (int i = 0; i < kGroups; ++i) {
        w[gate][u][i] = gru_weights(recurrent_weights(a, d) + std::int64_t{gate} * a.H * a.H, lane.first + u, a.H,
                                    lane.summand(i), a.H, vector);
      }
    }
  }
  float bias[3] = {};
  float x[3] = {};  // of the coming step
  if (inside) {
    DCASE_UNROLL for (int gate = 0; gate < 3; ++gate) bias[gate] =
        (d == 0 ? a.b_hh[0] : a.b_hh[1])[gate * a.H + lane.unit];
    if (a.T > 0) gru_load(a, at, 0, x);
  }
  for (int i = thread; i < 2 * kDepth / 4; i += static_cast<int>(blockDim.x)) {
    states[i / (kDepth / 4)][i % (kDepth / 4)] = {};
  }
  __syncthreads();  // the state before the first step is there, and zeros beyond H
  float h = 0;
  for (int step = 0; step < a.T; ++step) {
    float partial[4][3] = {};
    DCASE_UNROLL for (int i = 0; i < kGroups; ++i) {
      const float4 state = states[step % 2][lane.summand(i) / 4];
      DCASE_UNROLL for (int u = 0; u < 4; ++u) {
        DCASE_UNROLL for (int gate = 0; gate < 3; ++gate) {
          const float4& row = w[gate][u][i];
          partial[u][gate] = fmaf(row.x, state.x, partial[u][gate]);
          partial[u][gate] = fmaf(row.y, state.y, partial[u][gate]);
          partial[u][gate] = fmaf(row.z, state.z, partial[u][gate]);
          partial[u][gate] = fmaf(row.w, state.w, partial[u][gate]);
        }
      }
    }
    float sum[3];
    sum_to_owner(partial, lane.part, sum);
    const GruGates g = gru_gates(x, sum[0] + bias[0], sum[1] + bias[1], sum[2] + bias[2]);
    h = gru_state(g, h);
    if (inside && stores) gru_store(a, at, step, g, h);
    if (step + 1 == a.T) break;
    if (inside) gru_load(a, at, step + 1, x);  // during the barrier and the product
    if (stores) reinterpret_cast<float*>(states[(step + 1) % 2])[lane.unit] = h;
    __syncthreads();  // the next state is complete, and this one read
  }
  if (inside && stores) gru_finish(a, at, h);
}

/// Grid: (N, direction). The same with the transposed weights: units are columns, summands the 3H gates.
template <int kDepth>
__global__ void __launch_bounds__(2 * kDepth) gru_backward_registers_kernel(GruBackwardSteps a, int vector) {
  constexpr int kGroups = kDepth / 32;
  DCASE_SHARED(float4, dgates, [2][3][kDepth / 4]);  // of r, z, u
  const int thread = static_cast<int>(threadIdx.x);
  const GruLane lane = gru_lane(thread);
  const int n = static_cast<int>(blockIdx.x);
  const int d = static_cast<int>(blockIdx.y);
  const GruUnit at = {d, n, lane.unit};
  const bool inside = lane.unit < a.H;
  const bool stores = lane.part % 2 == 0;  // of the two that own the unit
  float4 w[3][kGroups][4];                 // of a gate's row, the four units
  DCASE_UNROLL for (int gate = 0; gate < 3; ++gate) {
    DCASE_UNROLL for (int i = 0; i < kGroups; ++i) {
      DCASE_UNROLL for (int q = 0; q < 4; ++q) {
        w[gate][i][q] = gru_weights(recurrent_weights(a, d) + std::int64_t{gate} * a.H * a.H, lane.summand(i) + q, a.H,
                                    lane.first, a.H, vector);
      }
    }
  }
  for (int i = thread; i < 2 * 3 * kDepth / 4; i += static_cast<int>(blockDim.x)) {
    dgates[i / (3 * kDepth / 4)][i / (kDepth / 4) % 3][i % (kDepth / 4)] = {};
  }
  __syncthreads();      // zeros beyond H are there
  GruTrace trace = {};  // of the coming step
  if (inside) trace = gru_load(a, at, a.T - 1);
  float carry = 0;  // gradient from the step behind
  for (int step = a.T - 1;; --step) {
    const GruGradients g = gru_gradients(trace, trace.dy + carry);
    if (inside && stores) gru_store(a, at, step, g, trace.before);
    if (step == 0) return;
    if (inside) trace = gru_load(a, at, step - 1);  // during the barrier and the product
    if (stores) {
      float* const to = reinterpret_cast<float*>(dgates[step % 2]) + lane.unit;
      to[0] = g.r;
      to[kDepth] = g.z;
      to[2 * kDepth] = g.u;
    }
    __syncthreads();  // the gradients of all gates are there; those of two steps ago have been read
    float partial[4][1] = {};
    DCASE_UNROLL for (int gate = 0; gate < 3; ++gate) {
      DCASE_UNROLL for (int i = 0; i < kGroups; ++i) {
        const float4 gradient = dgates[step % 2][gate][lane.summand(i) / 4];
        const float q[4] = {gradient.x, gradient.y, gradient.z, gradient.w};
        DCASE_UNROLL for (int k = 0; k < 4; ++k) {
          const float4& row = w[gate][i][k];
          partial[0][0] = fmaf(row.x, q[k], partial[0][0]);
          partial[1][0] = fmaf(row.y, q[k], partial[1][0]);
          partial[2][0] = fmaf(row.z, q[k], partial[2][0]);
          partial[3][0] = fmaf(row.w, q[k], partial[3][0]);
        }
      }
    }
    float sum[1];
    sum_to_owner(partial, lane.part, sum);
    carry = g.before + sum[0];
  }
}

}  // namespace dcase::cuda
