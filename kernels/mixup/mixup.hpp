#pragma once
/// Mix-up of the items of a batch (Zhang et al. 2018), for inputs and for labels.
///
/// Thread-safe on distinct outputs; the same bits for every number of threads.

#include <cstdint>

#include "kernels/common/context.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

/// y[n] = lam * x[n] + (1 - lam) * x[perm[n]]
/// Error(kArgument) on wrong shapes and on an index outside [0, N).
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

/// Runs on context.device.
template <class Real>
void mixup(const Mixup<Real>& a, const Context& context) {
  require_cpu(context, "mixup");
  cpu::mixup(a, context);
}

}  // namespace dcase
