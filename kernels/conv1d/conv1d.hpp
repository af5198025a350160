#pragma once
/// One-dimensional convolution on sequences: conv2d on maps of one row.
///
///     y[n,t,co] = sum over ci,k of  w[co,ci,k] * x[n, t*stride + k - K/2, ci]      zeros outside, no bias

#include "kernels/conv2d/conv2d.hpp"

namespace dcase {

template <class Real>
struct Conv1dForward {
  View<const Real> x;  // [N,T,Ci]
  View<const Real> w;  // [Co,Ci,K], canonical order
  View<Real> y;        // [N,Ty,Co], overwritten; Ty = (T + 2*(K/2) - K)/stride + 1
  std::int64_t stride = 1;
  Conv2dPack* pack = nullptr;  // optional, see Conv2dPack
  std::uint64_t version = 0;
};

/// An absent dx or dw is not computed.
template <class Real>
struct Conv1dBackward {
  View<const Real> x;   // [N,T,Ci]; may be absent when dw is
  View<const Real> w;   // [Co,Ci,K]; may be absent when dx is
  View<const Real> dy;  // [N,Ty,Co]
  View<Real> dx = {};   // as x, by dx_mode
  View<Real> dw = {};   // [Co,Ci,K], by dw_mode
  std::int64_t stride = 1;
  Conv2dPack* pack = nullptr;
  std::uint64_t version = 0;
  GradMode dx_mode = GradMode::kSet;
  GradMode dw_mode = GradMode::kSet;
};

/// [N,T,C] as the map [N,1,1,T,C]; an absent view stays absent.
template <class T>
[[nodiscard]] View<T> sequence_as_map(const char* field, const View<T>& view) {
  if (!view.present()) return {};
  DCASE_CHECK(view.rank == 3, "conv1d: ", field, " has shape ", shape_string(view), ", expected [N,T,C]");
  return {view.data, {view.dim(0), 1, 1, view.dim(1), view.dim(2)}};
}

/// [Co,Ci,K] as [Co,Ci,1,K]; an absent view stays absent.
template <class T>
[[nodiscard]] View<T> kernel_as_2d(const char* field, const View<T>& view) {
  if (!view.present()) return {};
  DCASE_CHECK(view.rank == 3, "conv1d: ", field, " has shape ", shape_string(view), ", expected [Co,Ci,K]");
  return {view.data, {view.dim(0), view.dim(1), 1, view.dim(2)}};
}

/// Runs on context.device. Errors as conv2d_forward.
template <class Real>
void conv1d_forward(const Conv1dForward<Real>& a, const Context& context) {
  conv2d_forward<Real>({.x = sequence_as_map("x", a.x),
                        .w = kernel_as_2d("w", a.w),
                        .y = sequence_as_map("y", a.y),
                        .stride_t = a.stride,
                        .pack = a.pack,
                        .version = a.version},
                       context);
}

/// Runs on context.device. Errors as conv2d_backward.
template <class Real>
void conv1d_backward(const Conv1dBackward<Real>& a, const Context& context) {
  conv2d_backward<Real>({.x = sequence_as_map("x", a.x),
                         .w = kernel_as_2d("w", a.w),
                         .dy = sequence_as_map("dy", a.dy),
                         .dx = sequence_as_map("dx", a.dx),
                         .dw = kernel_as_2d("dw", a.dw),
                         .stride_t = a.stride,
                         .pack = a.pack,
                         .version = a.version,
                         .dx_mode = a.dx_mode,
                         .dw_mode = a.dw_mode},
                        context);
}

}  // namespace dcase
