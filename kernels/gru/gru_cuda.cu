#include <algorithm>
#include <limits>

#include "kernels/common/launch.hpp"
#include "kernels/gemm/gemm.hpp"
#include "kernels/gru/gru.hpp"
#include "kernels/gru/gru_kernels.cuh"
#include "kernels/reduce/reduce.hpp"

namespace dcase::cuda {
namespace {

// The simple kernels keep 4 H floats in the shared memory that every device has without asking.
constexpr std::int64_t kLargestHidden = 3072;

void check_limits(const char* op, const GruSizes& s) {
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  DCASE_CHECK(s.H <= kLargestHidden, op, ": H is ", s.H, ", at most ", kLargestHidden);
  DCASE_CHECK(s.N <= kMost && s.T <= kMost, op, ": N is ", s.N, " and T is ", s.T, ", at most ", kMost);
}

void forward_simple(const GruForwardSteps& a, const Context& context) {
  launch(gru_forward_simple_kernel,
         {.grid = {static_cast<unsigned>(a.N), 2},
          .block = static_cast<unsigned>(std::min(32 * a.H, kGruSimpleThreads)),
          .smem = 2 * sizeof(float) * static_cast<std::size_t>(a.H),
          .stream = context.stream,
          .name = "gru_forward_simple"},
         a);
}

void backward_simple(const GruBackwardSteps& a, const Context& context) {
  launch(gru_backward_simple_kernel,
         {.grid = {static_cast<unsigned>(a.N), 2},
          .block = static_cast<unsigned>(std::min((a.H + 31) / 32 * 32, kGruSimpleThreads)),
          .smem = 4 * sizeof(float) * static_cast<std::size_t>(a.H),
          .stream = context.stream,
          .name = "gru_backward_simple"},
         a);
}

// The input projections, then kSteps: all steps of both directions in one launch.
template <void (*kSteps)(const GruForwardSteps&, const Context&)>
void forward(const GruForward<float>& a, const Context& context) {
  const GruSizes s = gru_sizes(a);
  if (s.N == 0) return;
  const std::int64_t rows = s.N * s.T;
  const Scratch<float> gates_x(context, 2 * rows * 3 * s.H);  // [2,N,T,3H]
  for (int d = 0; d < 2; ++d) {
    gemm({.a = a.x,
          .b = a.w_ih[d],
          .bias = a.b_ih[d],
          .c = View<float>(gates_x.data() + d * rows * 3 * s.H, {rows, 3 * s.H}),
          .trans_b = true},
         context);
  }
  kSteps({.gates_x = gates_x.data(),
          .w_hh = {a.w_hh[0].data, a.w_hh[1].data},
          .b_hh = {a.b_hh[0].data, a.b_hh[1].data},
          .y = a.y.data,
          .hn = a.hn.data,
          .gates = a.saved.gates.data,
          .N = static_cast<int>(s.N),
          .T = static_cast<int>(s.T),
          .H = static_cast<int>(s.H)},
         context);
}

// kSteps leaves the gradients of the gates at every frame; what else is asked for are products and sums over them.
template <void (*kSteps)(const GruBackwardSteps&, const Context&)>
void backward(const GruBackward<float>& a, const Context& context) {
  const GruSizes s = gru_sizes(a);
  const std::int64_t rows = s.N * s.T;
  const bool with_states = a.dw_hh[0].present() || a.dw_hh[1].present();
  const Scratch<float> dgates_x(context, 2 * rows * 3 * s.H);                // [2,N,T,3H]
  const Scratch<float> dgates_h(context, 2 * rows * 3 * s.H);                // [2,N,T,3H]
  const Scratch<float> previous(context, with_states ? 2 * rows * s.H : 0);  // [2,N,T,H]
  if (rows > 0) {
    kSteps({.w_hh = {a.w_hh[0].data, a.w_hh[1].data},
            .y = a.y.data,
            .gates = a.saved.gates.data,
            .dy = a.dy.data,
            .dgates_x = dgates_x.data(),
            .dgates_h = dgates_h.data(),
            .previous = previous.data(),
            .N = static_cast<int>(s.N),
            .T = static_cast<int>(s.T),
            .H = static_cast<int>(s.H)},
           context);
  }
  // Products over no rows (N or T is 0) give zero gradients.
  for (int d = 0; d < 2; ++d) {
    const View<const float> dx_gates(dgates_x.data() + d * rows * 3 * s.H, {rows, 3 * s.H});
    const View<const float> dh_gates(dgates_h.data() + d * rows * 3 * s.H, {rows, 3 * s.H});
    const View<const float> states(previous.data() + (with_states ? d * rows * s.H : 0), {rows, s.H});
    if (a.dx.present()) {
      gemm({.a = dx_gates, .b = a.w_ih[d], .c = a.dx, .mode = d == 0 ? a.dx_mode : GradMode::kAdd}, context);
    }
    if (a.dw_ih[d].present()) {
      gemm({.a = dx_gates, .b = a.x, .c = a.dw_ih[d], .trans_a = true, .mode = a.dw_mode}, context);
    }
    if (a.dw_hh[d].present()) {
      gemm({.a = dh_gates, .b = states, .c = a.dw_hh[d], .trans_a = true, .mode = a.dw_mode}, context);
    }
    if (a.db_ih[d].present()) column_sum({.x = dx_gates, .y = a.db_ih[d], .mode = a.dw_mode}, context);
    if (a.db_hh[d].present()) column_sum({.x = dh_gates, .y = a.db_hh[d], .mode = a.dw_mode}, context);
  }
}

template <class Args, bool (*kTakes)(std::int64_t, const Context&)>
bool takes(const Args& a, const Context& context) {
  return kTakes(a.w_hh[0].dim(1), context);
}
bool takes_all(std::int64_t, const Context&) { return true; }

using Forward = GruForward<float>;
using Backward = GruBackward<float>;

constexpr Variant<Forward> kForward[] = {
    {"mma", takes<Forward, takes_gru_mma>, forward<gru_forward_mma>},
    {"registers", takes<Forward, takes_gru_registers>, forward<gru_forward_registers>},
    {"simple", takes<Forward, takes_all>, forward<forward_simple>},
};
constexpr Variant<Backward> kBackward[] = {
    {"mma", takes<Backward, takes_gru_mma>, backward<gru_backward_mma>},
    {"registers", takes<Backward, takes_gru_registers>, backward<gru_backward_registers>},
    {"simple", takes<Backward, takes_all>, backward<backward_simple>},
};

}  // namespace

std::span<const Variant<GruForward<float>>> gru_forward_variants() { return kForward; }
std::span<const Variant<GruBackward<float>>> gru_backward_variants() { return kBackward; }

void gru_forward(const GruForward<float>& a, const Context& context) {
  check_limits("gru_forward", gru_sizes(a));
  choose_variant(gru_forward_variants(), a, context).run(a, context);
}

void gru_backward(const GruBackward<float>& a, const Context& context) {
  check_limits("gru_backward", gru_sizes(a));
  choose_variant(gru_backward_variants(), a, context).run(a, context);
}

}  // namespace dcase::cuda
