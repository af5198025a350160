#pragma once
/// Adam (Kingma and Ba 2015), one step over a flat range of parameters; formula and order of torch.optim.Adam.
///
/// Thread-safe on distinct ranges; elements are independent, so any split of the range gives the same bits.

#include <cmath>
#include <cstdint>

#include "kernels/common/context.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

/// g' = grad_scale * g + weight_decay * p
/// m = beta1 * m + (1 - beta1) * g',   v = beta2 * v + (1 - beta2) * g'^2
/// u = v, or with amsgrad u = vmax = max(vmax, v)
/// p -= lr / (1 - beta1^step) * m / (sqrt(u) / sqrt(1 - beta2^step) + eps)
/// Views of any shape, all the same. Error(kArgument) on other shapes, step < 1, or betas outside [0, 1).
template <class Real>
struct AdamStep {
  View<const Real> g;    // gradient
  View<Real> p;          // parameters, updated
  View<Real> m;          // first moment, updated; zeros before step 1
  View<Real> v;          // second moment, updated; zeros before step 1
  View<Real> vmax = {};  // present: amsgrad. Updated; zeros before step 1
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;  // added to the gradient (L2), as torch.optim.Adam, not AdamW
  double grad_scale = 1;    // for clipping and averaging without a pass of their own
  std::int64_t step = 1;    // 1 for the first update
};

namespace cpu {
template <class Real>
void adam_step(const AdamStep<Real>& a, const Context& context);  // float, double
}  // namespace cpu

namespace cuda {
void adam_step(const AdamStep<float>& a, const Context& context);
}  // namespace cuda

/// Runs on context.device.
template <class Real>
void adam_step(const AdamStep<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::adam_step(a, context);
  }
  require_cpu(context, "adam_step");
  cpu::adam_step(a, context);
}

/// Throws Error(kArgument) where the step breaks the contract.
template <class Real>
void check(const AdamStep<Real>& a) {
  const char* op = "adam_step";
  const auto field_of = [&](const char* field, const auto& view) {
    DCASE_CHECK(same_shape(view, a.p), op, ": ", field, " has shape ", shape_string(view), ", p ", shape_string(a.p));
    DCASE_CHECK(view.data != nullptr || view.size() == 0, op, ": ", field, " is missing");
  };
  field_of("p", a.p);
  field_of("g", a.g);
  field_of("m", a.m);
  field_of("v", a.v);
  if (a.vmax.present()) field_of("vmax", a.vmax);
  DCASE_CHECK(a.step >= 1, op, ": step is ", a.step, ", the first is 1");
  DCASE_CHECK(a.beta1 >= 0 && a.beta1 < 1 && a.beta2 >= 0 && a.beta2 < 1, op, ": betas are ", a.beta1, " and ", a.beta2,
              ", expected [0, 1)");
}

/// The factors of a step as the update uses them.
template <class Real>
struct AdamFactors {
  explicit AdamFactors(const AdamStep<Real>& a)
      : step_size(static_cast<Real>(a.lr / (1 - std::pow(a.beta1, static_cast<double>(a.step))))),
        root_correction(static_cast<Real>(std::sqrt(1 - std::pow(a.beta2, static_cast<double>(a.step))))),
        beta1(static_cast<Real>(a.beta1)),
        beta2(static_cast<Real>(a.beta2)),
        rest1(static_cast<Real>(1 - a.beta1)),
        rest2(static_cast<Real>(1 - a.beta2)),
        eps(static_cast<Real>(a.eps)),
        decay(static_cast<Real>(a.weight_decay)),
        grad_scale(static_cast<Real>(a.grad_scale)) {}

  Real step_size, root_correction, beta1, beta2;
  Real rest1, rest2;  // 1 - beta, taken in double: 1 - float(0.999) is off by 1e-5
  Real eps, decay, grad_scale;
};

/// Reads g, p, m, v, writes p, m, v (and vmax both ways).
template <class Real>
[[nodiscard]] Cost cost(const AdamStep<Real>& a) {
  const double n = static_cast<double>(a.p.size());
  return {.flops = 14 * n, .bytes = (a.vmax.present() ? 9 : 7) * n * sizeof(Real)};
}

}  // namespace dcase
