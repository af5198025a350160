#pragma once
/// Gradient descent with momentum, one step over a flat range of parameters; formula of torch.optim.SGD (no dampening).
///
/// Thread-safe on distinct ranges; elements are independent, so any split of the range gives the same bits.

#include "kernels/common/context.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

/// g' = grad_scale * g + weight_decay * p
/// momentum = 0:  p -= lr * g'
/// otherwise      b = momentum * b + g';   p -= lr * b,  or with nesterov p -= lr * (g' + momentum * b)
/// Views of any shape, all the same. Error(kArgument) on other shapes, a negative momentum, nesterov without momentum,
/// or a momentum without its buffer.
template <class Real>
struct SgdStep {
  View<const Real> g;  // gradient
  View<Real> p;        // parameters, updated
  View<Real> b = {};   // momentum buffer, updated; zeros before the first step. Absent when momentum = 0
  double lr = 1e-2;
  double momentum = 0;
  double weight_decay = 0;
  double grad_scale = 1;
  bool nesterov = false;
};

namespace cpu {
template <class Real>
void sgd_step(const SgdStep<Real>& a, const Context& context);  // float, double
}

namespace cuda {
void sgd_step(const SgdStep<float>& a, const Context& context);
}

/// Throws Error(kArgument) where the step breaks the contract.
template <class Real>
void check(const SgdStep<Real>& a) {
  const char* op = "sgd_step";
  const auto field_of = [&](const char* field, const auto& view) {
    DCASE_CHECK(same_shape(view, a.p), op, ": ", field, " has shape ", shape_string(view), ", p ", shape_string(a.p));
    DCASE_CHECK(view.data != nullptr || view.size() == 0, op, ": ", field, " is missing");
  };
  field_of("p", a.p);
  field_of("g", a.g);
  DCASE_CHECK(a.momentum >= 0, op, ": momentum is ", a.momentum);
  DCASE_CHECK(!a.nesterov || a.momentum > 0, op, ": nesterov needs a momentum");
  if (a.momentum > 0) field_of("b", a.b);
}

/// Runs on context.device.
template <class Real>
void sgd_step(const SgdStep<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::sgd_step(a, context);
  }
  require_cpu(context, "sgd_step");
  cpu::sgd_step(a, context);
}

/// Reads g, p (and b), writes p (and b).
template <class Real>
[[nodiscard]] Cost cost(const SgdStep<Real>& a) {
  const double n = static_cast<double>(a.p.size());
  return {.flops = 4 * n, .bytes = (a.momentum != 0 ? 5 : 3) * n * sizeof(Real)};
}

}  // namespace dcase
