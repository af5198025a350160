#pragma once
/// Matrix product, row-major.

#include <cstdint>

#include "kernels/common/context.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

/// c = alpha * op(a) * op(b) + bias,  or  c += alpha * op(a) * op(b) + bias with mode kAdd
///
/// op transposes where trans_a or trans_b says so. An operand of rank above 2 counts as the matrix of its last axis: a
/// sequence [N,T,F] is [N*T,F]. So for y = x w^T + b with x [N,T,F], w [O,F]:
///
///     gemm<float>({.a = x, .b = w, .bias = b, .c = y, .trans_b = true}, context);                       // y
///     gemm<float>({.a = dy, .b = w, .c = dx, .mode = dx_mode}, context);                                // dx = dy w
///     gemm<float>({.a = dy, .b = x, .c = dw, .trans_a = true, .mode = dw_mode}, context);               // dw = dy^T x
///
/// k = 0 gives c = bias (or 0). Errors: kArgument for sizes that do not agree. c does not overlap the others.
/// Thread-safe. The order of summation depends on the sizes, the thread count and the instruction set alone.
template <class Real>
struct Gemm {
  View<const Real> a;          // [m,k]; [k,m] with trans_a
  View<const Real> b;          // [k,n]; [n,k] with trans_b
  View<const Real> bias = {};  // [n], optional, not scaled by alpha
  View<Real> c;                // [m,n], overwritten (kSet) or accumulated (kAdd)
  bool trans_a = false;
  bool trans_b = false;
  Real alpha = 1;
  GradMode mode = GradMode::kSet;
};

namespace cpu {
void gemm(const Gemm<float>& args, const Context& context);  // oneDNN matmul
}  // namespace cpu

namespace cuda {
/// On CUDA cores with Precision::kFp32, else on tensor cores. Sizes up to 2^31 - 1 each.
void gemm(const Gemm<float>& args, const Context& context);
}  // namespace cuda

/// Runs on context.device.
template <class Real>
void gemm(const Gemm<Real>& args, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::gemm(args, context);
  }
  require_cpu(context, "gemm");
  cpu::gemm(args, context);
}

/// Sizes of a product, read from the views and checked.
struct GemmSizes {
  std::int64_t m = 0;
  std::int64_t n = 0;
  std::int64_t k = 0;
};

template <class Real>
[[nodiscard]] GemmSizes gemm_sizes(const Gemm<Real>& args) {
  struct Matrix {
    std::int64_t rows, columns;
  };
  const auto matrix = [](const auto& view, const char* field) {
    DCASE_CHECK(view.rank >= 2, "gemm: ", field, " has shape ", shape_string(view), ", expected a matrix");
    Matrix result{1, view.dim(view.rank - 1)};
    for (int axis = 0; axis + 1 < view.rank; ++axis) result.rows *= view.dim(axis);
    DCASE_CHECK(view.present() || view.size() == 0, "gemm: ", field, " is missing");
    return result;
  };
  const Matrix a = matrix(args.a, "a");
  const Matrix b = matrix(args.b, "b");
  const Matrix c = matrix(args.c, "c");
  const GemmSizes sizes{.m = args.trans_a ? a.columns : a.rows,
                        .n = args.trans_b ? b.rows : b.columns,
                        .k = args.trans_a ? a.rows : a.columns};
  const std::int64_t b_k = args.trans_b ? b.columns : b.rows;
  DCASE_CHECK(b_k == sizes.k, "gemm: a ", shape_string(args.a), (args.trans_a ? "^T" : ""), " and b ",
              shape_string(args.b), (args.trans_b ? "^T" : ""), " do not agree: k is ", sizes.k, " and ", b_k);
  DCASE_CHECK(c.rows == sizes.m && c.columns == sizes.n, "gemm: c has shape ", shape_string(args.c),
              ", expected a matrix of ", sizes.m, " x ", sizes.n);
  if (args.bias.present()) check_shape("gemm", "bias", args.bias, {sizes.n});
  return sizes;
}

template <class Real>
[[nodiscard]] Cost cost(const Gemm<Real>& args) {
  const GemmSizes s = gemm_sizes(args);
  const auto m = static_cast<double>(s.m);
  const auto n = static_cast<double>(s.n);
  const auto k = static_cast<double>(s.k);
  const double c_passes = args.mode == GradMode::kAdd ? 2 : 1;
  return {.flops = 2 * m * n * k, .bytes = sizeof(Real) * (m * k + k * n + c_passes * m * n)};
}

}  // namespace dcase
