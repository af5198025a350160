#pragma once
/// The instruction-set variants of the GRU. Internal to kernels/gru, its tests and the benchmarks.

#include <cstdint>
#include <span>

#include "kernels/gru/gru.hpp"

namespace dcase::cpu {
namespace gru {

/// Frame of step s, and whether a state precedes it.
struct Order {
  std::int64_t T = 0;
  bool reverse = false;
  [[nodiscard]] std::int64_t frame(std::int64_t step) const { return reverse ? T - 1 - step : step; }
};

struct ForwardTask {
  std::int64_t T = 0, H = 0;
  Order order;
  const float* gates_x;  // [N,T,3H]: W x + b_ih, with b_hh added for r and z
  const float* panels;   // [ceil(H/W)][H][3][W]: U for the units of a panel, zeros beyond H
  const float* bias_u;   // [H]: b_hn
  float* y;              // [N,T,2H], at this direction's half: states are written every 2H
  float* saved;          // [N,T,4H] or null
  std::int64_t n_begin = 0, n_end = 0;
};

struct BackwardTask {
  std::int64_t T = 0, H = 0;
  Order order;
  const float* panels;  // [ceil(H/2W)][3H][2W]: U for the columns of a panel, zeros beyond H
  const float* y;       // [N,T,2H], at this direction's half
  const float* dy;      // [N,T,2H], at this direction's half
  const float* saved;   // [N,T,4H]
  float* dgates_x;      // [N,T,3H], overwritten: gradients of r, z, n before activation
  float* dgates_h;      // [N,T,3H], overwritten: gradients of r, z before activation, and of u
  float* carry;         // [n_end - n_begin][H]: gradient of the state, coming from the later step
  std::int64_t n_begin = 0, n_end = 0;
};

}  // namespace gru

struct GruVariant {
  const char* name;
  int width;            // W: floats in a vector
  bool (*supported)();  // by this machine
  void (*forward)(const gru::ForwardTask&);
  void (*backward)(const gru::BackwardTask&);
  void (*activate)(const float* x, std::int64_t count, float* sigmoid, float* tanh);  // the gates' functions, for tests
};

/// All variants of this build, the fastest first; the last one runs on every machine.
[[nodiscard]] std::span<const GruVariant> gru_variants();

/// By one of them, which the machine must support. Without the argument it is the first that does.
void gru_forward(const GruForward<float>& args, const Context& context, const GruVariant& variant);
void gru_backward(const GruBackward<float>& args, const Context& context, const GruVariant& variant);

}  // namespace dcase::cpu
