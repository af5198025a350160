#pragma once
/// GRU in plain double loops, formula by formula: the reference of tests.

#include <cmath>
#include <vector>

#include "kernels/gru/gru.hpp"

namespace dcase::ref {

/// saved is needed here (backward reads it).
inline void gru_forward(const GruForward<double>& a) {
  const std::int64_t N = a.x.dim(0);
  const std::int64_t T = a.x.dim(1);
  const std::int64_t F = a.x.dim(2);
  const std::int64_t H = a.w_hh[0].dim(1);
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  for (int d = 0; d < 2; ++d) {
    for (std::int64_t n = 0; n < N; ++n) {
      std::vector<double> h(static_cast<std::size_t>(H), 0.0);
      for (std::int64_t s = 0; s < T; ++s) {
        const std::int64_t t = d == 0 ? s : T - 1 - s;
        const auto x_part = [&](std::int64_t row) {
          double sum = a.b_ih[d][row];
          for (std::int64_t f = 0; f < F; ++f) sum += a.w_ih[d][row * F + f] * a.x[(n * T + t) * F + f];
          return sum;
        };
        const auto h_part = [&](std::int64_t row) {
          double sum = a.b_hh[d][row];
          for (std::int64_t k = 0; k < H; ++k) sum += a.w_hh[d][row * H + k] * h[static_cast<std::size_t>(k)];
          return sum;
        };
        std::vector<double> next(h.size());
        for (std::int64_t j = 0; j < H; ++j) {
          const double r = sigmoid(x_part(j) + h_part(j));
          const double z = sigmoid(x_part(H + j) + h_part(H + j));
          const double u = h_part(2 * H + j);
          const double c = std::tanh(x_part(2 * H + j) + r * u);
          next[static_cast<std::size_t>(j)] = (1 - z) * c + z * h[static_cast<std::size_t>(j)];
          double* const saved = a.saved.gates.data + ((d * N + n) * T + t) * 4 * H + j;
          saved[0] = r;
          saved[H] = z;
          saved[2 * H] = c;
          saved[3 * H] = u;
        }
        h = next;
        for (std::int64_t j = 0; j < H; ++j) a.y[(n * T + t) * 2 * H + d * H + j] = h[static_cast<std::size_t>(j)];
      }
      if (!a.hn.present()) continue;
      for (std::int64_t j = 0; j < H; ++j) a.hn[(d * N + n) * H + j] = h[static_cast<std::size_t>(j)];
    }
  }
}

/// All gradients are needed here.
inline void gru_backward(const GruBackward<double>& a) {
  const std::int64_t N = a.x.dim(0);
  const std::int64_t T = a.x.dim(1);
  const std::int64_t F = a.x.dim(2);
  const std::int64_t H = a.w_hh[0].dim(1);
  const auto clear = [](const View<double>& v) {
    for (std::int64_t i = 0; i < v.size(); ++i) v[i] = 0;
  };
  if (a.dx_mode == GradMode::kSet) clear(a.dx);
  for (int d = 0; d < 2; ++d) {
    if (a.dw_mode == GradMode::kSet) {
      for (const View<double>& v : {a.dw_ih[d], a.dw_hh[d], a.db_ih[d], a.db_hh[d]}) clear(v);
    }
    for (std::int64_t n = 0; n < N; ++n) {
      std::vector<double> carry(static_cast<std::size_t>(H), 0.0);
      for (std::int64_t s = T - 1; s >= 0; --s) {
        const std::int64_t t = d == 0 ? s : T - 1 - s;
        const std::int64_t before = d == 0 ? t - 1 : t + 1;
        const auto state = [&](std::int64_t k) { return s == 0 ? 0.0 : a.y[(n * T + before) * 2 * H + d * H + k]; };
        std::vector<double> next(carry.size(), 0.0);
        for (std::int64_t j = 0; j < H; ++j) {
          const double* const saved = a.saved.gates.data + ((d * N + n) * T + t) * 4 * H + j;
          const double r = saved[0];
          const double z = saved[H];
          const double c = saved[2 * H];
          const double u = saved[3 * H];
          const double dh = a.dy[(n * T + t) * 2 * H + d * H + j] + carry[static_cast<std::size_t>(j)];
          const double dn = dh * (1 - z) * (1 - c * c);
          const double gates_x[3] = {dn * u * r * (1 - r), dh * (state(j) - c) * z * (1 - z), dn};
          const double gates_h[3] = {gates_x[0], gates_x[1], dn * r};
          next[static_cast<std::size_t>(j)] += dh * z;
          for (int gate = 0; gate < 3; ++gate) {
            const std::int64_t row = gate * H + j;
            a.db_ih[d][row] += gates_x[gate];
            a.db_hh[d][row] += gates_h[gate];
            for (std::int64_t f = 0; f < F; ++f) {
              a.dw_ih[d][row * F + f] += gates_x[gate] * a.x[(n * T + t) * F + f];
              a.dx[(n * T + t) * F + f] += gates_x[gate] * a.w_ih[d][row * F + f];
            }
            for (std::int64_t k = 0; k < H; ++k) {
              a.dw_hh[d][row * H + k] += gates_h[gate] * state(k);
              next[static_cast<std::size_t>(k)] += gates_h[gate] * a.w_hh[d][row * H + k];
            }
          }
        }
        carry = next;
      }
    }
  }
}

}  // namespace dcase::ref
