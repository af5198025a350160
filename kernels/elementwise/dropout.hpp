#pragma once
/// Dropout (Srivastava et al. 2014), inverted. The mask is a function of (key, element index): backward recomputes it
/// from the same key and nothing is saved. The index is that of the row-major element, so pass canonical layouts.
///
/// Thread-safe on distinct outputs; the same bits for every number of threads and on every device.

#include "kernels/common/context.hpp"
#include "kernels/common/philox.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

/// y[i] = uniform_float(key, i) >= p ? x[i] / (1 - p) : 0.  p = 0 is the identity.
/// Error(kArgument) unless 0 <= p < 1 and the shapes are equal.
template <class Real>
struct DropoutForward {
  View<const Real> x;  // any shape
  double p = 0;
  RandomKey key;
  View<Real> y;  // as x, overwritten; may be x itself
};

/// dx[i] = uniform_float(key, i) >= p ? dy[i] / (1 - p) : 0, with the p and key of forward
template <class Real>
struct DropoutBackward {
  View<const Real> dy;  // any shape
  double p = 0;
  RandomKey key;
  View<Real> dx;  // as dy; may be dy itself
  GradMode dx_mode = GradMode::kSet;
};

namespace cpu {
template <class Real>
void dropout_forward(const DropoutForward<Real>& a, const Context& context);  // float, double
template <class Real>
void dropout_backward(const DropoutBackward<Real>& a, const Context& context);  // float, double
}  // namespace cpu

/// Runs on context.device.
template <class Real>
void dropout_forward(const DropoutForward<Real>& a, const Context& context) {
  require_cpu(context, "dropout_forward");
  cpu::dropout_forward(a, context);
}

/// Runs on context.device.
template <class Real>
void dropout_backward(const DropoutBackward<Real>& a, const Context& context) {
  require_cpu(context, "dropout_backward");
  cpu::dropout_backward(a, context);
}

}  // namespace dcase
