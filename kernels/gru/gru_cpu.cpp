#include <omp.h>

#include <algorithm>
#include <iterator>
#include <span>

#include "kernels/common/onednn.hpp"
#include "kernels/gemm/gemm.hpp"
#include "kernels/gru/gru.hpp"
#include "kernels/gru/gru_variants.hpp"

namespace dcase::cpu {
namespace gru {

// gru_cell_<instruction set>.cpp
void forward_avx512(const ForwardTask& task);
void backward_avx512(const BackwardTask& task);
void activate_avx512(const float* x, std::int64_t count, float* sigmoid, float* tanh);
void forward_avx2(const ForwardTask& task);
void backward_avx2(const BackwardTask& task);
void activate_avx2(const float* x, std::int64_t count, float* sigmoid, float* tanh);
void forward_generic(const ForwardTask& task);
void backward_generic(const BackwardTask& task);
void activate_generic(const float* x, std::int64_t count, float* sigmoid, float* tanh);

}  // namespace gru

namespace {

constexpr GruVariant kVariants[] = {
#if defined(DCASE_X86_VARIANTS)
    {"avx512", 16, [] { return onednn::isa() >= onednn::Isa::kAvx512; }, gru::forward_avx512, gru::backward_avx512,
     gru::activate_avx512},
    {"avx2", 8, [] { return onednn::isa() >= onednn::Isa::kAvx2; }, gru::forward_avx2, gru::backward_avx2,
     gru::activate_avx2},
#endif
    {"generic", 4, [] { return true; }, gru::forward_generic, gru::backward_generic, gru::activate_generic},
};

const GruVariant& best_variant() {
  return *std::find_if(std::begin(kVariants), std::end(kVariants), [](const GruVariant& v) { return v.supported(); });
}

/// Floats of the packed panels.
std::int64_t forward_panels_size(std::int64_t H, int W) { return (H + W - 1) / W * H * 3 * W; }
std::int64_t backward_panels_size(std::int64_t H, int W) { return (H + 2 * W - 1) / (2 * W) * 3 * H * 2 * W; }

void pack_forward(const float* u, std::int64_t H, int W, float* panels) {
  for (std::int64_t j0 = 0; j0 < H; j0 += W) {
    for (std::int64_t k = 0; k < H; ++k) {
      for (int gate = 0; gate < 3; ++gate) {
        for (std::int64_t j = j0; j < j0 + W; ++j) *panels++ = j < H ? u[(gate * H + j) * H + k] : 0.0F;
      }
    }
  }
}

void pack_backward(const float* u, std::int64_t H, int W, float* panels) {
  for (std::int64_t k0 = 0; k0 < H; k0 += 2 * W) {
    for (std::int64_t g = 0; g < 3 * H; ++g) {
      for (std::int64_t k = k0; k < k0 + 2 * W; ++k) *panels++ = k < H ? u[g * H + k] : 0.0F;
    }
  }
}

/// Calls body(direction, first sequence, end) for tasks that fill the threads: both directions side by side, and as few
/// pieces of the batch as possible, since each piece reads the recurrent matrices once a frame.
template <class Body>
void for_each_task(std::int64_t N, const Body& body) {
  const std::int64_t pieces =
      std::clamp<std::int64_t>((omp_get_max_threads() + 1) / 2, 1, std::max<std::int64_t>(N, 1));
#pragma omp parallel for schedule(static, 1)
  for (std::int64_t task = 0; task < 2 * pieces; ++task) {
    const std::int64_t piece = task / 2;
    body(static_cast<int>(task % 2), N * piece / pieces, N * (piece + 1) / pieces);
  }
}

/// sums[j] = or += sum over rows of matrix[rows,columns]. Each column is summed by one thread, rows in order.
void sum_rows(const float* matrix, std::int64_t rows, std::int64_t columns, GradMode mode, float* sums) {
  constexpr std::int64_t kColumns = 16;  // a cache line
#pragma omp parallel for schedule(static)
  for (std::int64_t j0 = 0; j0 < columns; j0 += kColumns) {
    const std::int64_t width = std::min(kColumns, columns - j0);
    double total[kColumns] = {};
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < width; ++j) total[j] += static_cast<double>(matrix[i * columns + j0 + j]);
    }
    for (std::int64_t j = 0; j < width; ++j) {
      const auto value = static_cast<float>(total[j]);
      sums[j0 + j] = mode == GradMode::kAdd ? sums[j0 + j] + value : value;
    }
  }
}

}  // namespace

std::span<const GruVariant> gru_variants() { return kVariants; }

void gru_forward(const GruForward<float>& args, const Context& context) { gru_forward(args, context, best_variant()); }
void gru_backward(const GruBackward<float>& args, const Context& context) {
  gru_backward(args, context, best_variant());
}

void gru_forward(const GruForward<float>& a, const Context& context, const GruVariant& variant) {
  const GruSizes sizes = gru_sizes(a);
  const std::int64_t N = sizes.N;
  const std::int64_t T = sizes.T;
  const std::int64_t H = sizes.H;
  if (a.hn.present() && T == 0) std::fill_n(a.hn.data, a.hn.size(), 0.0F);
  if (N == 0 || T == 0) return;

  const std::int64_t panels_size = forward_panels_size(H, variant.width);
  const Scratch<float> bias(context, 3 * H);
  const Scratch<float> gates_x(context, 2 * N * T * 3 * H);  // [2,N,T,3H]
  const Scratch<float> panels(context, 2 * panels_size);
  for (int d = 0; d < 2; ++d) {
    // b_hh joins where it is not multiplied by r.
    for (std::int64_t j = 0; j < 3 * H; ++j) bias[j] = a.b_ih[d][j] + (j < 2 * H ? a.b_hh[d][j] : 0.0F);
    gemm({.a = a.x,
          .b = a.w_ih[d],
          .bias = View<const float>(bias.data(), {3 * H}),
          .c = View<float>(gates_x.data() + d * N * T * 3 * H, {N * T, 3 * H}),
          .trans_b = true},
         context);
    pack_forward(a.w_hh[d].data, H, variant.width, panels.data() + d * panels_size);
  }
  for_each_task(N, [&](int d, std::int64_t n_begin, std::int64_t n_end) {
    variant.forward({.T = T,
                     .H = H,
                     .order = {.T = T, .reverse = d == 1},
                     .gates_x = gates_x.data() + d * N * T * 3 * H,
                     .panels = panels.data() + d * panels_size,
                     .bias_u = a.b_hh[d].data + 2 * H,
                     .y = a.y.data + d * H,
                     .saved = a.saved.gates.present() ? a.saved.gates.data + d * N * T * 4 * H : nullptr,
                     .n_begin = n_begin,
                     .n_end = n_end});
  });
  if (!a.hn.present()) return;
  for (int d = 0; d < 2; ++d) {
    for (std::int64_t n = 0; n < N; ++n) {
      const std::int64_t last = d == 0 ? T - 1 : 0;
      std::copy_n(a.y.data + (n * T + last) * 2 * H + d * H, H, a.hn.data + (d * N + n) * H);
    }
  }
}

void gru_backward(const GruBackward<float>& a, const Context& context, const GruVariant& variant) {
  const GruSizes sizes = gru_sizes(a);
  const std::int64_t N = sizes.N;
  const std::int64_t T = sizes.T;
  const std::int64_t H = sizes.H;
  const std::int64_t rows = N * T;
  const Scratch<float> dgates_x(context, 2 * rows * 3 * H);  // [2,N,T,3H]
  const Scratch<float> dgates_h(context, 2 * rows * 3 * H);  // [2,N,T,3H]
  if (rows > 0) {
    const std::int64_t panels_size = backward_panels_size(H, variant.width);
    const Scratch<float> panels(context, 2 * panels_size);
    const Scratch<float> carry(context, 2 * N * H);  // [2,N,H]
    for (int d = 0; d < 2; ++d) {
      pack_backward(a.w_hh[d].data, H, variant.width, panels.data() + d * panels_size);
    }
    for_each_task(N, [&](int d, std::int64_t n_begin, std::int64_t n_end) {
      variant.backward({.T = T,
                        .H = H,
                        .order = {.T = T, .reverse = d == 1},
                        .panels = panels.data() + d * panels_size,
                        .y = a.y.data + d * H,
                        .dy = a.dy.data + d * H,
                        .saved = a.saved.gates.data + d * N * T * 4 * H,
                        .dgates_x = dgates_x.data() + d * N * T * 3 * H,
                        .dgates_h = dgates_h.data() + d * N * T * 3 * H,
                        .carry = carry.data() + (d * N + n_begin) * H,
                        .n_begin = n_begin,
                        .n_end = n_end});
    });
  }

  // Products over no rows (N or T is 0) give zero gradients.
  const Scratch<float> previous(context, rows * H);  // [N,T,H]: the state before each frame
  for (int d = 0; d < 2; ++d) {
    const View<const float> dx_gates(dgates_x.data() + d * rows * 3 * H, {rows, 3 * H});
    const View<const float> dh_gates(dgates_h.data() + d * rows * 3 * H, {rows, 3 * H});
    if (a.dx.present()) {
      gemm({.a = dx_gates, .b = a.w_ih[d], .c = a.dx, .mode = d == 0 ? a.dx_mode : GradMode::kAdd}, context);
    }
    if (a.dw_ih[d].present()) {
      gemm({.a = dx_gates, .b = a.x, .c = a.dw_ih[d], .trans_a = true, .mode = a.dw_mode}, context);
    }
    if (a.dw_hh[d].present()) {
      const std::int64_t offset = d == 0 ? -1 : 1;
#pragma omp parallel for schedule(static)
      for (std::int64_t row = 0; row < rows; ++row) {
        float* const state = previous.data() + row * H;
        const std::int64_t t = row % T + offset;
        if (t < 0 || t >= T) {
          std::fill_n(state, H, 0.0F);
        } else {
          std::copy_n(a.y.data + (row + offset) * 2 * H + d * H, H, state);
        }
      }
      gemm({.a = dh_gates,
            .b = View<const float>(previous.data(), {rows, H}),
            .c = a.dw_hh[d],
            .trans_a = true,
            .mode = a.dw_mode},
           context);
    }
    if (a.db_ih[d].present()) sum_rows(dx_gates.data, rows, 3 * H, a.dw_mode, a.db_ih[d].data);
    if (a.db_hh[d].present()) sum_rows(dh_gates.data, rows, 3 * H, a.dw_mode, a.db_hh[d].data);
  }
}

}  // namespace dcase::cpu
