#pragma once
/// Copies a map into another grouping of its channels: channels-last [N,1,M,T,C] <-> blocked [N,C/16,M,T,16].
///
/// Thread-safe on distinct outputs; Error(kArgument) where positions or channels differ.

#include "kernels/common/context.hpp"
#include "kernels/common/map.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

/// y = x in y's grouping; with kAdd y += x, which makes it its own gradient: the roles of x and y change places.
template <class Real>
struct ReorderMap {
  View<const Real> x;  // [N,G,M,T,B]
  View<Real> y;        // [N,G',M,T,B'], G'*B' = G*B; overlaps x in nothing
  GradMode mode = GradMode::kSet;
};

namespace cpu {
template <class Real>
void reorder_map(const ReorderMap<Real>& a, const Context& context);  // float, double
}

/// Maps of up to 2^31 - 1 positions.
namespace cuda {
void reorder_map(const ReorderMap<float>& a, const Context& context);
}

/// Throws Error(kArgument) where the call breaks the contract.
template <class Real>
void check(const ReorderMap<Real>& a) {
  check_pooled("reorder_map", "x", a.x, "y", a.y, 1, 1);
}

/// Runs on context.device.
template <class Real>
void reorder_map(const ReorderMap<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::reorder_map(a, context);
  }
  require_cpu(context, "reorder_map");
  cpu::reorder_map(a, context);
}

}  // namespace dcase
