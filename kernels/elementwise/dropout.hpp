#pragma once
/// Dropout (Srivastava et al. 2014), inverted. The mask is a function of (key, element index): backward recomputes it
/// from the same key and nothing is saved. The index is that of the row-major element, so pass canonical layouts.
///
/// Thread-safe on distinct outputs; the same bits for every number of threads and on every device.

#include <cmath>
#include <cstdint>

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

namespace cuda {
void dropout_forward(const DropoutForward<float>& a, const Context& context);
void dropout_backward(const DropoutBackward<float>& a, const Context& context);
}  // namespace cuda

/// The mask in integers, the same on every device: element i stays where the upper 24 bits of philox(key, i)[0] are at
/// least this, which is uniform_float(key, i) >= p. Throws Error(kArgument) unless 0 <= p < 1.
[[nodiscard]] inline std::uint32_t dropout_threshold(const char* op, double p) {
  DCASE_CHECK(p >= 0 && p < 1, op, ": p is ", p, ", expected 0 <= p < 1");
  return static_cast<std::uint32_t>(std::ceil(p * 0x1p24));
}

/// Runs on context.device.
template <class Real>
void dropout_forward(const DropoutForward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::dropout_forward(a, context);
  }
  require_cpu(context, "dropout_forward");
  cpu::dropout_forward(a, context);
}

/// Runs on context.device.
template <class Real>
void dropout_backward(const DropoutBackward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::dropout_backward(a, context);
  }
  require_cpu(context, "dropout_backward");
  cpu::dropout_backward(a, context);
}

}  // namespace dcase
