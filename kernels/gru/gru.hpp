#pragma once
/// Bidirectional GRU layer. For each direction d (0 forward in time, 1 backward in time), with the previous state h
/// (zero at the start; for d = 1 "previous" is the later frame) and gate order r, z, n:
///
///     r  = sigmoid(W_r x + b_ir + U_r h + b_hr)
///     z  = sigmoid(W_z x + b_iz + U_z h + b_hz)
///     u  = U_n h + b_hn
///     n  = tanh(W_n x + b_in + r*u)
///     h' = (1 - z)*n + z*h
///
/// W is w_ih[d], U is w_hh[d]. Any N, T, F, H from 1 on. As torch.nn.GRU(bidirectional=True, batch_first=True).

#include <cstdint>
#include <span>

#include "kernels/common/context.hpp"
#include "kernels/common/variant.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

/// What backward needs besides x, y and the weights.
template <class Real>
struct GruSaved {
  View<Real> gates = {};  // [2,N,T,4*H]: r, z, n, u of each direction and frame
};

/// Errors: kArgument for sizes that do not agree. Thread-safe. Results do not depend on the thread count, apart from
/// the matrix products (see gemm). No sequences or no frames (N or T = 0) are allowed; hn is then zero.
template <class Real>
struct GruForward {
  View<const Real> x;         // [N,T,F]
  View<const Real> w_ih[2];   // [3*H,F] each; index 1 is the reverse direction
  View<const Real> w_hh[2];   // [3*H,H]
  View<const Real> b_ih[2];   // [3*H]
  View<const Real> b_hh[2];   // [3*H]
  View<Real> y;               // [N,T,2*H], overwritten: forward state, then reverse state
  View<Real> hn = {};         // [2,N,H], optional, overwritten: last state of each direction (frame T-1; frame 0)
  GruSaved<Real> saved = {};  // optional, overwritten
};

/// Gradients of the loss whose gradient in y is dy. Each of the absent ones is not computed.
template <class Real>
struct GruBackward {
  View<const Real> x;          // [N,T,F]
  View<const Real> w_ih[2];    // [3*H,F]
  View<const Real> w_hh[2];    // [3*H,H]
  View<const Real> y;          // [N,T,2*H], of the forward call
  GruSaved<const Real> saved;  // of the forward call
  View<const Real> dy;         // [N,T,2*H]
  View<Real> dx = {};          // [N,T,F], by dx_mode
  View<Real> dw_ih[2] = {};    // [3*H,F], by dw_mode
  View<Real> dw_hh[2] = {};    // [3*H,H], by dw_mode
  View<Real> db_ih[2] = {};    // [3*H], by dw_mode
  View<Real> db_hh[2] = {};    // [3*H], by dw_mode
  GradMode dx_mode = GradMode::kSet;
  GradMode dw_mode = GradMode::kSet;  // of all eight parameter gradients
};

namespace cpu {
void gru_forward(const GruForward<float>& args, const Context& context);
void gru_backward(const GruBackward<float>& args, const Context& context);
}  // namespace cpu

/// The products outside the recurrence are gemm's, in the context's precision. Inside it, kBf16 rounds the state (and
/// backward the gradients of the gates) and the recurrent weights to bf16 where they are multiplied, if H is at most
/// 128, or 256 on a device with clusters (compute capability 9, if the build has code for it); kFp32, kTf32 and wider
/// layers multiply in float. The state itself, gates, gradients and sums are float in every precision. Results depend
/// on the sizes, the precision and the kind of device alone. H is at most 3072.
namespace cuda {
void gru_forward(const GruForward<float>& args, const Context& context);
void gru_backward(const GruBackward<float>& args, const Context& context);
[[nodiscard]] std::span<const Variant<GruForward<float>>> gru_forward_variants();
[[nodiscard]] std::span<const Variant<GruBackward<float>>> gru_backward_variants();
}  // namespace cuda

/// Runs on context.device.
template <class Real>
void gru_forward(const GruForward<Real>& args, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::gru_forward(args, context);
  }
  require_cpu(context, "gru_forward");
  cpu::gru_forward(args, context);
}
template <class Real>
void gru_backward(const GruBackward<Real>& args, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::gru_backward(args, context);
  }
  require_cpu(context, "gru_backward");
  cpu::gru_backward(args, context);
}

/// Sizes of a layer, read from the views and checked.
struct GruSizes {
  std::int64_t N = 0, T = 0, F = 0, H = 0;
};

/// What both passes have in common.
template <class Args>
[[nodiscard]] GruSizes gru_common_sizes(const char* op, const Args& a) {
  DCASE_CHECK(a.x.rank == 3, op, ": x has shape ", shape_string(a.x), ", expected [N,T,F]");
  DCASE_CHECK(a.w_hh[0].rank == 2, op, ": w_hh[0] has shape ", shape_string(a.w_hh[0]), ", expected [3*H,H]");
  const GruSizes s{.N = a.x.dim(0), .T = a.x.dim(1), .F = a.x.dim(2), .H = a.w_hh[0].dim(1)};
  DCASE_CHECK(s.F >= 1 && s.H >= 1, op, ": F = ", s.F, " and H = ", s.H, ", expected at least 1");
  check_shape(op, "x", a.x, {s.N, s.T, s.F});
  for (int d = 0; d < 2; ++d) {
    check_shape(op, d == 0 ? "w_ih[0]" : "w_ih[1]", a.w_ih[d], {3 * s.H, s.F});
    check_shape(op, d == 0 ? "w_hh[0]" : "w_hh[1]", a.w_hh[d], {3 * s.H, s.H});
  }
  check_shape(op, "y", a.y, {s.N, s.T, 2 * s.H});
  return s;
}

template <class Real>
[[nodiscard]] GruSizes gru_sizes(const GruForward<Real>& a) {
  constexpr const char* kOp = "gru_forward";
  const GruSizes s = gru_common_sizes(kOp, a);
  for (int d = 0; d < 2; ++d) {
    check_shape(kOp, d == 0 ? "b_ih[0]" : "b_ih[1]", a.b_ih[d], {3 * s.H});
    check_shape(kOp, d == 0 ? "b_hh[0]" : "b_hh[1]", a.b_hh[d], {3 * s.H});
  }
  if (a.hn.present()) check_shape(kOp, "hn", a.hn, {2, s.N, s.H});
  if (a.saved.gates.present()) check_shape(kOp, "saved.gates", a.saved.gates, {2, s.N, s.T, 4 * s.H});
  return s;
}

template <class Real>
[[nodiscard]] GruSizes gru_sizes(const GruBackward<Real>& a) {
  constexpr const char* kOp = "gru_backward";
  const GruSizes s = gru_common_sizes(kOp, a);
  check_shape(kOp, "saved.gates", a.saved.gates, {2, s.N, s.T, 4 * s.H});
  check_shape(kOp, "dy", a.dy, {s.N, s.T, 2 * s.H});
  if (a.dx.present()) check_shape(kOp, "dx", a.dx, {s.N, s.T, s.F});
  for (int d = 0; d < 2; ++d) {
    if (a.dw_ih[d].present()) check_shape(kOp, d == 0 ? "dw_ih[0]" : "dw_ih[1]", a.dw_ih[d], {3 * s.H, s.F});
    if (a.dw_hh[d].present()) check_shape(kOp, d == 0 ? "dw_hh[0]" : "dw_hh[1]", a.dw_hh[d], {3 * s.H, s.H});
    if (a.db_ih[d].present()) check_shape(kOp, d == 0 ? "db_ih[0]" : "db_ih[1]", a.db_ih[d], {3 * s.H});
    if (a.db_hh[d].present()) check_shape(kOp, d == 0 ? "db_hh[0]" : "db_hh[1]", a.db_hh[d], {3 * s.H});
  }
  return s;
}

/// Both directions: input projection and recurrence.
template <class Real>
[[nodiscard]] Cost cost(const GruForward<Real>& args) {
  const auto frames = static_cast<double>(args.x.dim(0) * args.x.dim(1));
  const auto F = static_cast<double>(args.x.dim(2));
  const auto H = static_cast<double>(args.y.dim(2)) / 2;
  const double saved = args.saved.gates.present() ? 8 * H : 0;
  return {.flops = frames * 2 * (2 * 3 * H * (F + H) + 20 * H),
          .bytes = sizeof(Real) * (frames * (F + 2 * H + saved) + 2 * 3 * H * (F + H + 2))};
}

/// Both directions: dx, the weight gradients and the recurrence, whether or not all are asked for.
template <class Real>
[[nodiscard]] Cost cost(const GruBackward<Real>& args) {
  const auto frames = static_cast<double>(args.x.dim(0) * args.x.dim(1));
  const auto F = static_cast<double>(args.x.dim(2));
  const auto H = static_cast<double>(args.y.dim(2)) / 2;
  return {.flops = frames * 2 * (2 * 2 * 3 * H * (F + H) + 30 * H),
          .bytes = sizeof(Real) * (frames * (2 * F + 4 * H + 8 * H) + 2 * 2 * 3 * H * (F + H + 2))};
}

}  // namespace dcase
