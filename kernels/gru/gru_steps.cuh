#pragma once
// The recurrence as all kernels of the GRU see it: what they are given, and the work of one hidden unit of one sequence
// at one frame. The kernels differ in who owns which units, where the weights live and how the state is exchanged.
//
// A step s of direction d is frame s (d = 0) or T - 1 - s (d = 1).

#include "kernels/common/context.hpp"
#include "kernels/common/ptx.cuh"

namespace dcase::cuda {

struct GruForwardSteps {
  const float* gates_x;  // [2,N,T,3H]: W x + b_ih
  const float* w_hh[2];  // [3H,H]
  const float* b_hh[2];  // [3H]
  float* y;              // [N,T,2H]
  float* hn;             // [2,N,H] or nullptr
  float* gates;          // [2,N,T,4H] or nullptr
  int N, T, H;
};

struct GruBackwardSteps {
  const float* w_hh[2];  // [3H,H]
  const float* y;        // [N,T,2H]
  const float* gates;    // [2,N,T,4H]
  const float* dy;       // [N,T,2H]
  float* dgates_x;       // [2,N,T,3H]: gradients of r, z, n before activation
  float* dgates_h;       // [2,N,T,3H]: gradients of r, z before activation, and of u
  float* previous;       // [2,N,T,H] or nullptr: the state before each frame
  int N, T, H;
};

// Launchers of the kernels beside the simple ones; gru_cuda.cu has the table. takes_ says whether a kernel computes
// layers of H units.
[[nodiscard]] bool takes_gru_registers(std::int64_t H, const Context& context);
void gru_forward_registers(const GruForwardSteps& a, const Context& context);
void gru_backward_registers(const GruBackwardSteps& a, const Context& context);
[[nodiscard]] bool takes_gru_mma(std::int64_t H, const Context& context);
void gru_forward_mma(const GruForwardSteps& a, const Context& context);
void gru_backward_mma(const GruBackwardSteps& a, const Context& context);

/// Neither kernel parameters nor registers can be indexed by a variable without a copy in local memory.
template <class Steps>
__device__ __forceinline__ const float* recurrent_weights(const Steps& a, int d) {
  return d == 0 ? a.w_hh[0] : a.w_hh[1];
}

/// Frame of a step.
template <class Steps>
__device__ __forceinline__ int gru_frame(const Steps& a, int d, int step) {
  return d == 0 ? step : a.T - 1 - step;
}

/// A hidden unit of a sequence in one direction.
struct GruUnit {
  int d, n, unit;

  /// Its place in `column` and on of [N,T,columns], at a frame.
  template <class T, class Steps>
  __device__ __forceinline__ T* in(T* array, const Steps& a, int frame, int columns, int column) const {
    return array + (std::int64_t{n} * a.T + frame) * columns + column + unit;
  }
  /// The same for [2,N,T,columns].
  template <class T, class Steps>
  __device__ __forceinline__ T* in_own(T* array, const Steps& a, int frame, int columns, int column) const {
    return in(array + d * (std::int64_t{a.N} * a.T) * columns, a, frame, columns, column);
  }
};

__device__ __forceinline__ float gru_sigmoid(float x) { return fast_divide(1.0F, 1.0F + fast_exp(-x)); }

/// x of the three gates.
__device__ __forceinline__ void gru_load(const GruForwardSteps& a, const GruUnit& at, int step, float (&x)[3]) {
  const int frame = gru_frame(a, at.d, step);
  DCASE_UNROLL for (int gate = 0; gate < 3; ++gate) x[gate] = *at.in_own(a.gates_x, a, frame, 3 * a.H, gate * a.H);
}

struct GruGates {
  float r, z, n, u;
};

/// From the projections of the frame and of the state before it, bias included, to the gates. tanhf is 1 - 2 / (e^2x +
/// 1) but for small x, where that would lose the digits of x, a polynomial.
__device__ __forceinline__ GruGates gru_gates(const float (&x)[3], float r, float z, float u) {
  GruGates g = {gru_sigmoid(x[0] + r), gru_sigmoid(x[1] + z), 0.0F, u};
  g.n = tanhf(x[2] + g.r * u);
  return g;
}
__device__ __forceinline__ float gru_state(const GruGates& g, float before) { return g.n + g.z * (before - g.n); }

__device__ __forceinline__ void gru_store(const GruForwardSteps& a, const GruUnit& at, int step, const GruGates& g,
                                          float state) {
  const int frame = gru_frame(a, at.d, step);
  *at.in(a.y, a, frame, 2 * a.H, at.d * a.H) = state;
  if (a.gates == nullptr) return;
  *at.in_own(a.gates, a, frame, 4 * a.H, 0) = g.r;
  *at.in_own(a.gates, a, frame, 4 * a.H, a.H) = g.z;
  *at.in_own(a.gates, a, frame, 4 * a.H, 2 * a.H) = g.n;
  *at.in_own(a.gates, a, frame, 4 * a.H, 3 * a.H) = g.u;
}

/// The last state.
__device__ __forceinline__ void gru_finish(const GruForwardSteps& a, const GruUnit& at, float state) {
  if (a.hn == nullptr) return;
  a.hn[(std::int64_t{at.d} * a.N + at.n) * a.H + at.unit] = state;
}

/// What backward reads of a unit at a step.
struct GruTrace {
  GruGates gates;
  float before;  // the state before the step
  float dy;
};

__device__ __forceinline__ GruTrace gru_load(const GruBackwardSteps& a, const GruUnit& at, int step) {
  const int frame = gru_frame(a, at.d, step);
  const int columns = 4 * a.H;
  GruTrace trace = {{*at.in_own(a.gates, a, frame, columns, 0), *at.in_own(a.gates, a, frame, columns, a.H),
                     *at.in_own(a.gates, a, frame, columns, 2 * a.H), *at.in_own(a.gates, a, frame, columns, 3 * a.H)},
                    0.0F,
                    *at.in(a.dy, a, frame, 2 * a.H, at.d * a.H)};
  if (step > 0) trace.before = *at.in(a.y, a, gru_frame(a, at.d, step - 1), 2 * a.H, at.d * a.H);
  return trace;
}

/// Of the state of the step before: the part that z passes on.
struct GruGradients {
  float r, z, n, u;  // of the gates before activation, and of u
  float before;
};

/// dh is the gradient of the state of this step.
__device__ __forceinline__ GruGradients gru_gradients(const GruTrace& t, float dh) {
  const GruGates& g = t.gates;
  GruGradients d = {};
  d.n = dh * (1.0F - g.z) * (1.0F - g.n * g.n);
  d.z = dh * (t.before - g.n) * g.z * (1.0F - g.z);
  d.r = d.n * g.u * g.r * (1.0F - g.r);
  d.u = d.n * g.r;
  d.before = dh * g.z;
  return d;
}

__device__ __forceinline__ void gru_store(const GruBackwardSteps& a, const GruUnit& at, int step, const GruGradients& g,
                                          float before) {
  const int frame = gru_frame(a, at.d, step);
  const int columns = 3 * a.H;
  *at.in_own(a.dgates_x, a, frame, columns, 0) = g.r;
  *at.in_own(a.dgates_x, a, frame, columns, a.H) = g.z;
  *at.in_own(a.dgates_x, a, frame, columns, 2 * a.H) = g.n;
  *at.in_own(a.dgates_h, a, frame, columns, 0) = g.r;
  *at.in_own(a.dgates_h, a, frame, columns, a.H) = g.z;
  *at.in_own(a.dgates_h, a, frame, columns, 2 * a.H) = g.u;
  if (a.previous != nullptr) *at.in_own(a.previous, a, frame, a.H, 0) = before;
}

}  // namespace dcase::cuda
