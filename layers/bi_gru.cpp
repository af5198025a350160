#include "layers/bi_gru.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "kernels/gru/gru.hpp"

namespace dcase {

BiGru::BiGru(const Scope& scope, std::int64_t inputs, std::int64_t hidden) : hidden_(hidden) {
  // As released: the loop that initialises the GRU covers the forward direction alone (golden/init_stats).
  const Initializer framework = Initializer::uniform(1 / std::sqrt(static_cast<double>(hidden)));
  const Initializer zero = Initializer::constant(0);
  const Initializer input = Initializer::uniform(std::sqrt(3 / static_cast<double>(inputs)));
  const Initializer recurrent = Initializer::gru_hidden(std::sqrt(3 / static_cast<double>(hidden)));
  for (const int d : {0, 1}) {
    const std::string suffix = d == 0 ? "_l0" : "_l0_reverse";
    directions_[d] = {
        .w_ih = scope.parameter("weight_ih" + suffix, {3 * hidden, inputs}, d == 0 ? input : framework),
        .w_hh = scope.parameter("weight_hh" + suffix, {3 * hidden, hidden}, d == 0 ? recurrent : framework),
        .b_ih = scope.parameter("bias_ih" + suffix, {3 * hidden}, d == 0 ? zero : framework),
        .b_hh = scope.parameter("bias_hh" + suffix, {3 * hidden}, d == 0 ? zero : framework)};
  }
}

Variable BiGru::forward(const Variable& x) const {
  const Tensor& in = x.value();
  DCASE_CHECK(in.rank() == 3, "gru: input has shape ", to_string(in.shape()), ", expected [N,T,F]");
  const std::int64_t N = in.dim(0);
  const std::int64_t T = in.dim(1);
  const std::int64_t H = hidden_;
  const auto& [a, b] = directions_;
  Tensor y({N, T, 2 * H}, in.backend());
  std::vector<Variable> inputs{x};
  for (const Direction& d : directions_) {
    inputs.insert(inputs.end(), {d.w_ih->variable, d.w_hh->variable, d.b_ih->variable, d.b_hh->variable});
  }
  Tensor gates;  // saved for backward
  const bool recorded = std::any_of(inputs.begin(), inputs.end(), [](const Variable& v) { return v.requires_grad(); });
  if (recorded) gates = Tensor({2, N, T, 4 * H}, in.backend());
  gru_forward<float>({.x = in,
                      .w_ih = {a.w_ih->value(), b.w_ih->value()},
                      .w_hh = {a.w_hh->value(), b.w_hh->value()},
                      .b_ih = {a.b_ih->value(), b.b_ih->value()},
                      .b_hh = {a.b_hh->value(), b.b_hh->value()},
                      .y = y,
                      .saved = {.gates = gates}},
                     in.context());
  return record("gru", y, inputs, [this, in, y, gates](Grads& g) {
    const auto& [f, r] = directions_;
    const Gradient dx = g.in(0);
    Gradient d[8];
    std::optional<GradMode> mode;  // of those that are wanted
    for (std::size_t i = 0; i < 8; ++i) {
      d[i] = g.in(i + 1);
      if (!d[i].view.present()) continue;
      DCASE_CHECK(d[i].mode == mode.value_or(d[i].mode),
                  "gru: gradients of some parameters were reset and of others not");
      mode = d[i].mode;
    }
    gru_backward<float>({.x = in,
                         .w_ih = {f.w_ih->value(), r.w_ih->value()},
                         .w_hh = {f.w_hh->value(), r.w_hh->value()},
                         .y = y,
                         .saved = {.gates = gates},
                         .dy = g.out(),
                         .dx = dx.view,
                         .dw_ih = {d[0].view, d[4].view},
                         .dw_hh = {d[1].view, d[5].view},
                         .db_ih = {d[2].view, d[6].view},
                         .db_hh = {d[3].view, d[7].view},
                         .dx_mode = dx.mode,
                         .dw_mode = mode.value_or(GradMode::kSet)},
                        in.context());
  });
}

}  // namespace dcase
