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

/// repeat_time_backward adds in float.
namespace cuda {
void concat2_forward(const Concat2Forward<float>& a, const Context& context);
void concat2_backward(const Concat2Backward<float>& a, const Context& context);
void repeat_time_forward(const RepeatTimeForward<float>& a, const Context& context);
void repeat_time_backward(const RepeatTimeBackward<float>& a, const Context& context);
}  // namespace cuda

/// Throw Error(kArgument) where a call breaks the contract.
template <class Real>
void check(const Concat2Forward<Real>& a) {
  const char* op = "concat2_forward";
  DCASE_CHECK(a.a.rank == 2 && a.b.rank == 2, op, ": a ", shape_string(a.a), " and b ", shape_string(a.b),
              " are not [R,C]");
  const std::int64_t rows = a.a.dim(0);
  check_shape(op, "a", a.a, {rows, a.a.dim(1)});
  check_shape(op, "b", a.b, {rows, a.b.dim(1)});
  check_shape(op, "y", a.y, {rows, a.a.dim(1) + a.b.dim(1)});
}

template <class Real>
void check(const Concat2Backward<Real>& a) {
  const char* op = "concat2_backward";
  DCASE_CHECK(a.dy.rank == 2, op, ": dy has shape ", shape_string(a.dy), ", expected [R,Ca+Cb]");
  const std::int64_t rows = a.dy.dim(0);
  const std::int64_t width = a.dy.dim(1);
  check_shape(op, "dy", a.dy, {rows, width});
  DCASE_CHECK(a.ca >= 0 && a.ca <= width, op, ": ca is ", a.ca, ", dy has ", width, " columns");
  if (a.da.present()) check_shape(op, "da", a.da, {rows, a.ca});
  if (a.db.present()) check_shape(op, "db", a.db, {rows, width - a.ca});
}

template <class Real>
void check(const RepeatTimeForward<Real>& a) {
  const char* op = "repeat_time_forward";
  DCASE_CHECK(a.x.rank == 3, op, ": x has shape ", shape_string(a.x), ", expected [N,T,F]");
  DCASE_CHECK(a.times >= 1, op, ": times is ", a.times);
  check_shape(op, "x", a.x, {a.x.dim(0), a.x.dim(1), a.x.dim(2)});
  check_shape(op, "y", a.y, {a.x.dim(0), a.x.dim(1) * a.times, a.x.dim(2)});
}

template <class Real>
void check(const RepeatTimeBackward<Real>& a) {
  const char* op = "repeat_time_backward";
  DCASE_CHECK(a.dx.rank == 3, op, ": dx has shape ", shape_string(a.dx), ", expected [N,T,F]");
  DCASE_CHECK(a.times >= 1, op, ": times is ", a.times);
  check_shape(op, "dx", a.dx, {a.dx.dim(0), a.dx.dim(1), a.dx.dim(2)});
  check_shape(op, "dy", a.dy, {a.dx.dim(0), a.dx.dim(1) * a.times, a.dx.dim(2)});
}

/// Runs on context.device, as every operator below.
template <class Real>
void concat2_forward(const Concat2Forward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::concat2_forward(a, context);
  }
  require_cpu(context, "concat2_forward");
  cpu::concat2_forward(a, context);
}

template <class Real>
void concat2_backward(const Concat2Backward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::concat2_backward(a, context);
  }
  require_cpu(context, "concat2_backward");
  cpu::concat2_backward(a, context);
}

template <class Real>
void repeat_time_forward(const RepeatTimeForward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::repeat_time_forward(a, context);
  }
  require_cpu(context, "repeat_time_forward");
  cpu::repeat_time_forward(a, context);
}

template <class Real>
void repeat_time_backward(const RepeatTimeBackward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::repeat_time_backward(a, context);
  }
  require_cpu(context, "repeat_time_backward");
  cpu::repeat_time_backward(a, context);
}

}  // namespace dcase
