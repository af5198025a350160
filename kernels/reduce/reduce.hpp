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

/// Runs on context.device, as every operator below.
template <class Real>
void mean_forward(const MeanForward<Real>& a, const Context& context) {
  require_cpu(context, "mean_forward");
  cpu::mean_forward(a, context);
}

template <class Real>
void mean_backward(const MeanBackward<Real>& a, const Context& context) {
  require_cpu(context, "mean_backward");
  cpu::mean_backward(a, context);
}

template <class Real>
void column_sum(const ColumnSum<Real>& a, const Context& context) {
  require_cpu(context, "column_sum");
  cpu::column_sum(a, context);
}

/// Sum of x^2 over a view of any shape (0 when it is empty). Infinity or NaN in x shows in the result.
template <class Real>
[[nodiscard]] double squared_norm(View<const Real> x, const Context& context) {
  require_cpu(context, "squared_norm");
  return cpu::squared_norm<Real>(x, context);
}

/// Index of the first element that is NaN or infinite, or -1. View of any shape.
template <class Real>
[[nodiscard]] std::int64_t first_not_finite(View<const Real> x, const Context& context) {
  require_cpu(context, "first_not_finite");
  return cpu::first_not_finite<Real>(x, context);
}

}  // namespace dcase
