#pragma once
/// What a call of the GRU reads and writes, for its tests on every backend.

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "kernels/gru/gru.hpp"
#include "tests/support/compare.hpp"

namespace dcase::test {

struct GruCase {
  std::int64_t N, T, F, H;
  GradMode dx_mode = GradMode::kSet;
  GradMode dw_mode = GradMode::kSet;
};

/// A gradient buffer of each parameter, two directions.
template <class Real>
struct GruParameters {
  GruParameters(const GruCase& c, const char* name, double size)
      : w_ih{{3 * c.H, c.F}, {3 * c.H, c.F}},
        w_hh{{3 * c.H, c.H}, {3 * c.H, c.H}},
        b_ih{{3 * c.H}, {3 * c.H}},
        b_hh{{3 * c.H}, {3 * c.H}} {
    if (size == 0) return;
    for (int d = 0; d < 2; ++d) {
      const std::string key = concat(name, d);
      w_ih[d].fill_uniform((key + "w_ih").c_str(), -size, size);
      w_hh[d].fill_uniform((key + "w_hh").c_str(), -size, size);
      b_ih[d].fill_uniform((key + "b_ih").c_str(), -size, size);
      b_hh[d].fill_uniform((key + "b_hh").c_str(), -size, size);
    }
  }
  Buffer<Real> w_ih[2], w_hh[2], b_ih[2], b_hh[2];
};

template <class Real>
struct GruArrays {
  explicit GruArrays(const GruCase& c)
      : x({c.N, c.T, c.F}),
        y({c.N, c.T, 2 * c.H}),
        hn({2, c.N, c.H}),
        gates({2, c.N, c.T, 4 * c.H}),
        dy({c.N, c.T, 2 * c.H}),
        dx({c.N, c.T, c.F}),
        weights(c, "weights", 1.5 / std::sqrt(static_cast<double>(c.H))),
        gradients(c, "gradients", c.dw_mode == GradMode::kAdd ? 1 : 0) {
    x.fill_uniform("x", -2, 2);
    dy.fill_uniform("dy");
    if (c.dx_mode == GradMode::kAdd) dx.fill_uniform("dx");
    forward = {.x = x.view(),
               .w_ih = {weights.w_ih[0].view(), weights.w_ih[1].view()},
               .w_hh = {weights.w_hh[0].view(), weights.w_hh[1].view()},
               .b_ih = {weights.b_ih[0].view(), weights.b_ih[1].view()},
               .b_hh = {weights.b_hh[0].view(), weights.b_hh[1].view()},
               .y = y.view(),
               .hn = hn.view(),
               .saved = {gates.view()}};
    backward = {.x = x.view(),
                .w_ih = {weights.w_ih[0].view(), weights.w_ih[1].view()},
                .w_hh = {weights.w_hh[0].view(), weights.w_hh[1].view()},
                .y = y.view(),
                .saved = {gates.view()},
                .dy = dy.view(),
                .dx = dx.view(),
                .dw_ih = {gradients.w_ih[0].view(), gradients.w_ih[1].view()},
                .dw_hh = {gradients.w_hh[0].view(), gradients.w_hh[1].view()},
                .db_ih = {gradients.b_ih[0].view(), gradients.b_ih[1].view()},
                .db_hh = {gradients.b_hh[0].view(), gradients.b_hh[1].view()},
                .dx_mode = c.dx_mode,
                .dw_mode = c.dw_mode};
  }
  Buffer<Real> x, y, hn, gates, dy, dx;
  GruParameters<Real> weights, gradients;
  GruForward<Real> forward;
  GruBackward<Real> backward;

  /// Everything that forward and backward write.
  [[nodiscard]] std::vector<std::pair<std::string, Buffer<Real>*>> outputs() {
    std::vector<std::pair<std::string, Buffer<Real>*>> all = {{"y", &y}, {"hn", &hn}, {"gates", &gates}, {"dx", &dx}};
    for (int d = 0; d < 2; ++d) {
      all.emplace_back(concat("dw_ih", d), &gradients.w_ih[d]);
      all.emplace_back(concat("dw_hh", d), &gradients.w_hh[d]);
      all.emplace_back(concat("db_ih", d), &gradients.b_ih[d]);
      all.emplace_back(concat("db_hh", d), &gradients.b_hh[d]);
    }
    return all;
  }
};

}  // namespace dcase::test
