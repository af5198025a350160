#pragma once
/// Joining two arrays on their last axis, and repeating frames; with their gradients.
///
/// Outputs overlap no input. Thread-safe on distinct outputs; Error(kArgument) on shapes that do not fit.

#include <cstdint>

#include "kernels/common/context.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

/// y[r] = (a[r], b[r]). R stands for all axes before the last: a [N,M,T,C] map is [N*M*T, C] here.
template <class Real>
struct Concat2Forward {
  View<const Real> a;  // [R,Ca]
  View<const Real> b;  // [R,Cb]
  View<Real> y;        // [R,Ca+Cb], overwritten
};

/// (da[r], db[r]) = dy[r]
template <class Real>
struct Concat2Backward {
  View<const Real> dy;  // [R,Ca+Cb]
  std::int64_t ca = 0;  // width of the first part, which tells it when da is absent
  View<Real> da = {};   // [R,Ca], or absent
  View<Real> db = {};   // [R,Cb], or absent
  GradMode da_mode = GradMode::kSet;
  GradMode db_mode = GradMode::kSet;
};

/// y[n, t * times + i] = x[n, t],  0 <= i < times
template <class Real>
struct RepeatTimeForward {
  View<const Real> x;  // [N,T,F]
  std::int64_t times = 1;
  View<Real> y;  // [N,T*times,F], overwritten
};

/// dx[n, t] = sum over i of dy[n, t * times + i]
template <class Real>
struct RepeatTimeBackward {
  View<const Real> dy;  // [N,T*times,F]
  std::int64_t times = 1;
  View<Real> dx;  // [N,T,F]
  GradMode dx_mode = GradMode::kSet;
};

namespace cpu {
template <class Real>
void concat2_forward(const Concat2Forward<Real>& a, const Context& context);  // float, double; so all below
template <class Real>
void concat2_backward(const Concat2Backward<Real>& a, const Context& context);
template <class Real>
void repeat_time_forward(const RepeatTimeForward<Real>& a, const Context& context);
template <class Real>
void repeat_time_backward(const RepeatTimeBackward<Real>& a, const Context& context);
}  // namespace cpu

/// Runs on context.device, as every operator below.
template <class Real>
void concat2_forward(const Concat2Forward<Real>& a, const Context& context) {
  require_cpu(context, "concat2_forward");
  cpu::concat2_forward(a, context);
}

template <class Real>
void concat2_backward(const Concat2Backward<Real>& a, const Context& context) {
  require_cpu(context, "concat2_backward");
  cpu::concat2_backward(a, context);
}

template <class Real>
void repeat_time_forward(const RepeatTimeForward<Real>& a, const Context& context) {
  require_cpu(context, "repeat_time_forward");
  cpu::repeat_time_forward(a, context);
}

template <class Real>
void repeat_time_backward(const RepeatTimeBackward<Real>& a, const Context& context) {
  require_cpu(context, "repeat_time_backward");
  cpu::repeat_time_backward(a, context);
}

}  // namespace dcase
