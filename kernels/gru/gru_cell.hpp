#pragma once
/// The recurrence of one direction of a GRU, for the sources gru_cell_<instruction set>.cpp.
///
/// The sequences of a batch are independent, so a task takes one direction and a range of sequences through all frames.
/// The recurrent matrix is packed into panels whose width is that of the vectors; a tile of sequences then reads each
/// panel once and keeps its sums in registers until the gates are done. Every sum runs over k in order whatever the
/// tile, so results depend on the instruction set alone.

#include <cstdint>

#include "kernels/common/simd.hpp"
#include "kernels/gru/gru_variants.hpp"

namespace dcase::cpu::gru {

/// Units [j, j + W) of R sequences from n on, at one step.
template <int W, int R>
DCASE_INLINE void forward_tile(const ForwardTask& a, std::int64_t step, std::int64_t j, std::int64_t n) {
  using V = simd::Float<W>;
  const std::int64_t H = a.H;
  const std::int64_t t = a.order.frame(step);
  V sum[R][3] = {};
  if (step > 0) {
    const float* h[R];
    for (int r = 0; r < R; ++r) h[r] = a.y + ((n + r) * a.T + a.order.frame(step - 1)) * 2 * H;
    const float* panel = a.panels + j * H * 3;
    for (std::int64_t k = 0; k < H; ++k, panel += 3 * W) {
      const V u_r = simd::load<W>(panel);
      const V u_z = simd::load<W>(panel + W);
      const V u_n = simd::load<W>(panel + 2 * W);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const float state = h[r][k];
        sum[r][0] += u_r * state;
        sum[r][1] += u_z * state;
        sum[r][2] += u_n * state;
      }
    }
  }
  const int count = static_cast<int>(H - j < W ? H - j : W);
  const V bias_u = simd::load<W>(a.bias_u + j, count);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const std::int64_t row = (n + r) * a.T + t;
    const float* const x = a.gates_x + row * 3 * H + j;
    const V gate_r = simd::sigmoid<W>(simd::load<W>(x, count) + sum[r][0]);
    const V gate_z = simd::sigmoid<W>(simd::load<W>(x + H, count) + sum[r][1]);
    const V u = bias_u + sum[r][2];
    const V gate_n = simd::tanh<W>(simd::load<W>(x + 2 * H, count) + gate_r * u);
    V state = {};
    if (step > 0) state = simd::load<W>(a.y + ((n + r) * a.T + a.order.frame(step - 1)) * 2 * H + j, count);
    simd::store<W>(a.y + row * 2 * H + j, gate_n + gate_z * (state - gate_n), count);
    if (a.saved != nullptr) {
      float* const saved = a.saved + row * 4 * H + j;
      simd::store<W>(saved, gate_r, count);
      simd::store<W>(saved + H, gate_z, count);
      simd::store<W>(saved + 2 * H, gate_n, count);
      simd::store<W>(saved + 3 * H, u, count);
    }
  }
}

/// R is the widest tile whose 3*R sums, operands and broadcast fit the registers.
template <int W, int R>
DCASE_INLINE void forward_rows(const ForwardTask& a) {
  for (std::int64_t step = 0; step < a.T; ++step) {
    for (std::int64_t j = 0; j < a.H; j += W) {
      std::int64_t n = a.n_begin;
      for (; n + R <= a.n_end; n += R) forward_tile<W, R>(a, step, j, n);
      if constexpr (R > 4)
        for (; n + 4 <= a.n_end; n += 4) forward_tile<W, 4>(a, step, j, n);
      for (; n < a.n_end; ++n) forward_tile<W, 1>(a, step, j, n);
    }
  }
}

/// One sequence at one frame: from the gradient of the state to those of the gates; leaves dh * z in the carry.
DCASE_INLINE void backward_gates(const BackwardTask& a, std::int64_t step, std::int64_t n) {
  const std::int64_t H = a.H;
  const std::int64_t row = n * a.T + a.order.frame(step);
  const float* __restrict saved = a.saved + row * 4 * H;
  const float* __restrict dy = a.dy + row * 2 * H;
  float* __restrict dx = a.dgates_x + row * 3 * H;
  float* __restrict dh_gates = a.dgates_h + row * 3 * H;
  float* __restrict carry = a.carry + (n - a.n_begin) * H;
  const float* previous = step > 0 ? a.y + (n * a.T + a.order.frame(step - 1)) * 2 * H : nullptr;
  for (std::int64_t j = 0; j < H; ++j) {
    const float r = saved[j];
    const float z = saved[H + j];
    const float c = saved[2 * H + j];
    const float u = saved[3 * H + j];
    const float h = previous != nullptr ? previous[j] : 0.0F;
    const float dh = dy[j] + carry[j];
    const float dn = dh * (1.0F - z) * (1.0F - c * c);
    const float dz = dh * (h - c) * z * (1.0F - z);
    const float dr = dn * u * r * (1.0F - r);
    dx[j] = dr;
    dx[H + j] = dz;
    dx[2 * H + j] = dn;
    dh_gates[j] = dr;
    dh_gates[H + j] = dz;
    dh_gates[2 * H + j] = dn * r;
    carry[j] = dh * z;
  }
}

/// carry += dgates_h U for columns [k, k + 2W) of R sequences from n on.
template <int W, int R>
DCASE_INLINE void backward_tile(const BackwardTask& a, std::int64_t step, std::int64_t k, std::int64_t n) {
  using V = simd::Float<W>;
  const std::int64_t H = a.H;
  V sum[R][2] = {};
  const float* d[R];
  for (int r = 0; r < R; ++r) d[r] = a.dgates_h + ((n + r) * a.T + a.order.frame(step)) * 3 * H;
  const float* panel = a.panels + k * 3 * H;
  for (std::int64_t g = 0; g < 3 * H; ++g, panel += 2 * W) {
    const V u_0 = simd::load<W>(panel);
    const V u_1 = simd::load<W>(panel + W);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const float gradient = d[r][g];
      sum[r][0] += u_0 * gradient;
      sum[r][1] += u_1 * gradient;
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    for (int half = 0; half < 2; ++half) {
      const std::int64_t left = H - k - half * W;
      if (left <= 0) continue;
      const int count = static_cast<int>(left < W ? left : W);
      float* const carry = a.carry + (n + r - a.n_begin) * H + k + half * W;
      simd::store<W>(carry, simd::load<W>(carry, count) + sum[r][half], count);
    }
  }
}

template <int W, int R>
DCASE_INLINE void backward_rows(const BackwardTask& a) {
  for (std::int64_t i = 0; i < (a.n_end - a.n_begin) * a.H; ++i) a.carry[i] = 0;
  for (std::int64_t step = a.T - 1; step >= 0; --step) {
    for (std::int64_t n = a.n_begin; n < a.n_end; ++n) backward_gates(a, step, n);
    if (step == 0) break;
    for (std::int64_t k = 0; k < a.H; k += 2 * W) {
      std::int64_t n = a.n_begin;
      for (; n + R <= a.n_end; n += R) backward_tile<W, R>(a, step, k, n);
      if constexpr (R > 4)
        for (; n + 4 <= a.n_end; n += 4) backward_tile<W, 4>(a, step, k, n);
      for (; n < a.n_end; ++n) backward_tile<W, 1>(a, step, k, n);
    }
  }
}

/// The gates' functions alone, for tests.
template <int W>
DCASE_INLINE void activate(const float* x, std::int64_t count, float* sigmoid, float* tanh) {
  for (std::int64_t i = 0; i < count; i += W) {
    const int width = static_cast<int>(count - i < W ? count - i : W);
    const simd::Float<W> v = simd::load<W>(x + i, width);
    simd::store<W>(sigmoid + i, simd::sigmoid<W>(v), width);
    simd::store<W>(tanh + i, simd::tanh<W>(v), width);
  }
}

}  // namespace dcase::cpu::gru
