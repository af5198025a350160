#pragma once
/// Adam (Kingma and Ba 2015), one step over a flat range of parameters; formula and order of torch.optim.Adam.
///
/// Thread-safe on distinct ranges; elements are independent, so any split of the range gives the same bits.

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
}

/// Runs on context.device.
template <class Real>
void adam_step(const AdamStep<Real>& a, const Context& context) {
  require_cpu(context, "adam_step");
  cpu::adam_step(a, context);
}

/// Reads g, p, m, v, writes p, m, v (and vmax both ways).
template <class Real>
[[nodiscard]] Cost cost(const AdamStep<Real>& a) {
  const double n = static_cast<double>(a.p.size());
  return {.flops = 14 * n, .bytes = (a.vmax.present() ? 9 : 7) * n * sizeof(Real)};
}

}  // namespace dcase
