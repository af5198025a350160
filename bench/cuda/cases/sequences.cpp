// The recurrent layers: T of a crop, of a training recording and of a window of 60 s, both widths.

#include <cmath>

#include "bench/cuda/case.hpp"
#include "kernels/gru/gru.hpp"

namespace dcase::bench::gpu {
namespace {

struct Sizes {
  std::int64_t N, T, F, H;
};

// The arguments of both passes; gates and y are those of a forward call.
struct Layer {
  Tensor x, y, gates, dy, dx, hn;
  Tensor w_ih[2], w_hh[2], b_ih[2], b_hh[2];
  Tensor dw_ih[2], dw_hh[2], db_ih[2], db_hh[2];
};

std::shared_ptr<Layer> make_layer(const Sizes& z, const Setting& s) {
  auto a = std::make_shared<Layer>();
  const Shape states{z.N, z.T, 2 * z.H};
  const float deviation = 1 / std::sqrt(3 * static_cast<float>(z.H));
  a->x = on_device(s, "x", {z.N, z.T, z.F});
  a->y = Tensor(states, s.backend);
  a->gates = Tensor({2, z.N, z.T, 4 * z.H}, s.backend);
  a->hn = Tensor({2, z.N, z.H}, s.backend);
  a->dy = on_device(s, "dy", states);
  a->dx = a->x.like();
  for (int d = 0; d < 2; ++d) {
    a->w_ih[d] = on_device(s, concat("w_ih", d), {3 * z.H, z.F}, deviation);
    a->w_hh[d] = on_device(s, concat("w_hh", d), {3 * z.H, z.H}, deviation);
    a->b_ih[d] = on_device(s, concat("b_ih", d), {3 * z.H}, deviation);
    a->b_hh[d] = on_device(s, concat("b_hh", d), {3 * z.H}, deviation);
    a->dw_ih[d] = a->w_ih[d].like();
    a->dw_hh[d] = a->w_hh[d].like();
    a->db_ih[d] = a->b_ih[d].like();
    a->db_hh[d] = a->b_hh[d].like();
  }
  return a;
}

GruForward<float> forward_arguments(const Layer& a) {
  return {.x = a.x,
          .w_ih = {a.w_ih[0], a.w_ih[1]},
          .w_hh = {a.w_hh[0], a.w_hh[1]},
          .b_ih = {a.b_ih[0], a.b_ih[1]},
          .b_hh = {a.b_hh[0], a.b_hh[1]},
          .y = a.y,
          .hn = a.hn,
          .saved = {.gates = a.gates}};
}

Prepared forward(const Sizes& z, const Setting& s) {
  const auto a = make_layer(z, s);
  const GruForward<float> args = forward_arguments(*a);
  return by_table(cuda::gru_forward_variants(), args, s, {a->y, a->hn, a->gates}, cost(args), a);
}

Prepared backward(const Sizes& z, const Setting& s) {
  const auto a = make_layer(z, s);
  gru_forward(forward_arguments(*a), s.context);
  const GruBackward<float> args{.x = a->x,
                                .w_ih = {a->w_ih[0], a->w_ih[1]},
                                .w_hh = {a->w_hh[0], a->w_hh[1]},
                                .y = a->y,
                                .saved = {.gates = a->gates},
                                .dy = a->dy,
                                .dx = a->dx,
                                .dw_ih = {a->dw_ih[0], a->dw_ih[1]},
                                .dw_hh = {a->dw_hh[0], a->dw_hh[1]},
                                .db_ih = {a->db_ih[0], a->db_ih[1]},
                                .db_hh = {a->db_hh[0], a->db_hh[1]}};
  return by_table(cuda::gru_backward_variants(), args, s,
                  {a->dx, a->dw_ih[0], a->dw_ih[1], a->dw_hh[0], a->dw_hh[1], a->db_ih[0], a->db_hh[1]}, cost(args), a);
}

}  // namespace

void add_sequences(std::vector<DeviceCase>& cases, bool tiny) {
  for (const std::int64_t width : {128, 256}) {
    for (const auto& [items, frames] : {std::pair{32, 6}, {24, 37}, {24, 75}}) {
      Sizes z{.N = items, .T = frames, .F = 512, .H = width};
      if (tiny) z = {.N = 2, .T = std::min<std::int64_t>(frames / 6 + 1, 4), .F = 24, .H = width == 128 ? 20 : 136};
      const std::string suffix = concat("/h", width, "/", items, "x", frames);
      const std::string shape = concat("[", z.N, ",", z.T, ",", z.F, "], H ", z.H, ", both directions");
      cases.push_back({"gru_forward" + suffix, shape, [z](const Setting& s) { return forward(z, s); }});
      cases.push_back({"gru_backward" + suffix, shape, [z](const Setting& s) { return backward(z, s); }});
    }
  }
}

}  // namespace dcase::bench::gpu
