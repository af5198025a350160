#pragma once
/// Sums and means over an axis or over everything, in double and in a fixed order: the same bits for every number of
/// threads. Thread-safe on distinct outputs; Error(kArgument) on shapes that do not fit.

#include <cstdint>

#include "kernels/common/context.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

/// y[o,i] = sum over r of x[o,r,i] / R. The global mean of a map [N,M,T,C] is [N,M*T,C] here, the mean over mel rows
/// [N,M,T*C], the mean over time [N,T,F]. R >= 1.
template <class Real>
struct MeanForward {
  View<const Real> x;  // [O,R,I]
  View<Real> y;        // [O,I], overwritten
};

/// dx[o,r,i] = dy[o,i] / R
template <class Real>
struct MeanBackward {
  View<const Real> dy;  // [O,I]
  View<Real> dx;        // [O,R,I]
  GradMode dx_mode = GradMode::kSet;
};

/// y[c] = sum over r of x[r,c]: the gradient of a bias
template <class Real>
struct ColumnSum {
  View<const Real> x;  // [R,C]
  View<Real> y;        // [C]
  GradMode mode = GradMode::kSet;
};

namespace cpu {
template <class Real>
void mean_forward(const MeanForward<Real>& a, const Context& context);  // float, double; so all below
template <class Real>
void mean_backward(const MeanBackward<Real>& a, const Context& context);
template <class Real>
void column_sum(const ColumnSum<Real>& a, const Context& context);
template <class Real>
[[nodiscard]] double squared_norm(View<const Real> x, const Context& context);
template <class Real>
[[nodiscard]] std::int64_t first_not_finite(View<const Real> x, const Context& context);
}  // namespace cpu

/// The last two wait for the stream: their results are on the host.
namespace cuda {
void mean_forward(const MeanForward<float>& a, const Context& context);
void mean_backward(const MeanBackward<float>& a, const Context& context);
void column_sum(const ColumnSum<float>& a, const Context& context);
[[nodiscard]] double squared_norm(View<const float> x, const Context& context);
[[nodiscard]] std::int64_t first_not_finite(View<const float> x, const Context& context);
}  // namespace cuda

/// Throw Error(kArgument) where a call breaks the contract.
template <class Real>
void check(const MeanForward<Real>& a) {
  const char* op = "mean_forward";
  DCASE_CHECK(a.x.rank == 3, op, ": x has shape ", shape_string(a.x), ", expected [O,R,I]");
  check_shape(op, "x", a.x, {a.x.dim(0), a.x.dim(1), a.x.dim(2)});
  check_shape(op, "y", a.y, {a.x.dim(0), a.x.dim(2)});
  DCASE_CHECK(a.x.dim(1) >= 1 || a.y.size() == 0, op, ": x ", shape_string(a.x),
              " has no elements to take the mean of");
}

template <class Real>
void check(const MeanBackward<Real>& a) {
  const char* op = "mean_backward";
  DCASE_CHECK(a.dx.rank == 3, op, ": dx has shape ", shape_string(a.dx), ", expected [O,R,I]");
  check_shape(op, "dx", a.dx, {a.dx.dim(0), a.dx.dim(1), a.dx.dim(2)});
  check_shape(op, "dy", a.dy, {a.dx.dim(0), a.dx.dim(2)});
}

template <class Real>
void check(const ColumnSum<Real>& a) {
  const char* op = "column_sum";
  DCASE_CHECK(a.x.rank == 2, op, ": x has shape ", shape_string(a.x), ", expected [R,C]");
  check_shape(op, "x", a.x, {a.x.dim(0), a.x.dim(1)});
  check_shape(op, "y", a.y, {a.x.dim(1)});
}

/// Runs on context.device, as every operator below.
template <class Real>
void mean_forward(const MeanForward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::mean_forward(a, context);
  }
  require_cpu(context, "mean_forward");
  cpu::mean_forward(a, context);
}

template <class Real>
void mean_backward(const MeanBackward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::mean_backward(a, context);
  }
  require_cpu(context, "mean_backward");
  cpu::mean_backward(a, context);
}

template <class Real>
void column_sum(const ColumnSum<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::column_sum(a, context);
  }
  require_cpu(context, "column_sum");
  cpu::column_sum(a, context);
}

/// Sum of x^2 over a view of any shape (0 when it is empty). Infinity or NaN in x shows in the result.
template <class Real>
[[nodiscard]] double squared_norm(View<const Real> x, const Context& context) {
  DCASE_CHECK(x.present() || x.size() == 0, "squared_norm: x is missing");
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::squared_norm(x, context);
  }
  require_cpu(context, "squared_norm");
  return cpu::squared_norm<Real>(x, context);
}

/// Index of the first element that is NaN or infinite, or -1. View of any shape.
template <class Real>
[[nodiscard]] std::int64_t first_not_finite(View<const Real> x, const Context& context) {
  DCASE_CHECK(x.present() || x.size() == 0, "first_not_finite: x is missing");
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::first_not_finite(x, context);
  }
  require_cpu(context, "first_not_finite");
  return cpu::first_not_finite<Real>(x, context);
}

}  // namespace dcase
