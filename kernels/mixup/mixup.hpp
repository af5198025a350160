#pragma once
/// Mix-up of the items of a batch (Zhang et al. 2018), for inputs and for labels.
///
/// Thread-safe on distinct outputs; the same bits for every number of threads.

#include <cstdint>

#include "kernels/common/context.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

/// y[n] = lam * x[n] + (1 - lam) * x[perm[n]]
/// `perm` is in memory of context.device, as all views. Error(kArgument) on wrong shapes and, on the CPU, on an index
/// outside [0, N). CUDA cannot look at indices before it starts: an item with such an index becomes NaN. N <= 65535
/// there.
template <class Real>
struct Mixup {
  View<const Real> x;             // [N,...]
  View<const std::int64_t> perm;  // [N]
  double lam = 1;
  View<Real> y;  // as x, overwritten; overlaps x in nothing, since items are read by others
};

namespace cpu {
template <class Real>
void mixup(const Mixup<Real>& a, const Context& context);  // float, double
}

namespace cuda {
void mixup(const Mixup<float>& a, const Context& context);
}

/// Throws Error(kArgument) where the shapes break the contract.
template <class Real>
void check(const Mixup<Real>& a) {
  DCASE_CHECK(a.x.rank >= 1 && same_shape(a.x, a.y), "mixup: x has shape ", shape_string(a.x), ", y ",
              shape_string(a.y));
  check_shape("mixup", "perm", a.perm, {a.x.dim(0)});
  DCASE_CHECK(a.x.size() == 0 || (a.x.present() && a.y.present()), "mixup: a view is missing");
}

/// Runs on context.device.
template <class Real>
void mixup(const Mixup<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::mixup(a, context);
  }
  require_cpu(context, "mixup");
  cpu::mixup(a, context);
}

}  // namespace dcase
