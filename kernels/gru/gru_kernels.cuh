#pragma once
// The first rung: any size, in float. A block takes one sequence in one direction through all frames; the recurrent
// weights come from L2 at every step, which bounds it: 12 H^2 bytes a step and block. The kernels beside it
// (gru_registers_kernels.cuh, gru_mma_kernels.cuh) keep them in registers.

#include "kernels/gru/gru_steps.cuh"

namespace dcase::cuda {

inline constexpr int kGruSimpleThreads = 1024;  // at most

/// Grid: (N, direction). A warp takes a hidden unit: its lanes read the three rows of weights as contiguous stretches,
/// add in steps of 32 and then pairwise. The state stands in shared memory twice, of this step and of the next.
__global__ void __launch_bounds__(kGruSimpleThreads) gru_forward_simple_kernel(GruForwardSteps a) {
  SharedCarver carve;
  float* const states = carve.take<float>(2 * static_cast<std::size_t>(a.H));  // [2][H]
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % 32;
  const int threads = static_cast<int>(blockDim.x);
  const int n = static_cast<int>(blockIdx.x);
  const int d = static_cast<int>(blockIdx.y);
  const float* const w = recurrent_weights(a, d);
  const float* const b = d == 0 ? a.b_hh[0] : a.b_hh[1];
  for (int unit = thread; unit < a.H; unit += threads) states[unit] = 0;
  __syncthreads();  // the state before the first step is there
  for (int step = 0; step < a.T; ++step) {
    const float* const state = states + step % 2 * a.H;
    float* const next = states + (step + 1) % 2 * a.H;
    for (int unit = thread / 32; unit < a.H; unit += threads / 32) {
      const GruUnit at = {d, n, unit};
      float x[3];
      gru_load(a, at, step, x);
      float sum[3] = {};
      for (int k = lane; k < a.H; k += 32) {
        DCASE_UNROLL for (int gate = 0; gate < 3; ++gate) {
          sum[gate] += w[(std::int64_t{gate} * a.H + unit) * a.H + k] * state[k];
        }
      }
      DCASE_UNROLL for (int gate = 0; gate < 3; ++gate) {
        for (int other = 16; other > 0; other /= 2) sum[gate] += __shfl_xor_sync(0xFFFFFFFFU, sum[gate], other);
      }
      if (lane != 0) continue;
      const GruGates g = gru_gates(x, sum[0] + b[unit], sum[1] + b[a.H + unit], sum[2] + b[2 * a.H + unit]);
      next[unit] = gru_state(g, state[unit]);
      gru_store(a, at, step, g, next[unit]);
    }
    __syncthreads();  // the next state is complete, and this one read
  }
  for (int unit = thread; unit < a.H; unit += threads) {
    gru_finish(a, {d, n, unit}, states[a.T % 2 * a.H + unit]);
  }
}

/// Grid: (N, direction). A thread takes a hidden unit: the gradients of its gates, then, when those of all units stand
/// in shared memory, its sum over them, along a column of the weights, of which neighbouring threads read neighbours.
__global__ void __launch_bounds__(kGruSimpleThreads) gru_backward_simple_kernel(GruBackwardSteps a) {
  SharedCarver carve;
  float* const carry = carve.take<float>(4 * static_cast<std::size_t>(a.H));  // [H]: gradient from the step behind
  float* const dgates = carry + a.H;                                          // [3H]: of r, z, u
  const int thread = static_cast<int>(threadIdx.x);
  const int threads = static_cast<int>(blockDim.x);
  const int n = static_cast<int>(blockIdx.x);
  const int d = static_cast<int>(blockIdx.y);
  const float* const w = recurrent_weights(a, d);
  for (int unit = thread; unit < a.H; unit += threads) carry[unit] = 0;  // a thread's own, here and below
  for (int step = a.T - 1; step >= 0; --step) {
    for (int unit = thread; unit < a.H; unit += threads) {
      const GruUnit at = {d, n, unit};
      const GruTrace trace = gru_load(a, at, step);
      const GruGradients g = gru_gradients(trace, trace.dy + carry[unit]);
      gru_store(a, at, step, g, trace.before);
      carry[unit] = g.before;
      dgates[unit] = g.r;
      dgates[a.H + unit] = g.z;
      dgates[2 * a.H + unit] = g.u;
    }
    __syncthreads();  // the gradients of all gates are there
    for (int unit = thread; unit < a.H; unit += threads) {
      float sum[3] = {};
      for (int k = 0; k < a.H; ++k) {
        DCASE_UNROLL for (int gate = 0; gate < 3; ++gate) {
          sum[gate] += dgates[gate * a.H + k] * w[(std::int64_t{gate} * a.H + k) * a.H + unit];
        }
      }
      carry[unit] += sum[0] + sum[1] + sum[2];
    }
    __syncthreads();  // and have been read
  }
}

}  // namespace dcase::cuda
