#pragma once
#include "layers/module.hpp"

namespace dcase {

/// One bidirectional GRU layer, [N,T,F] -> [N,T,2H] (kernels/gru has the formula; gates r, z, n; zero initial state).
/// State: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, then the same with `_reverse`.
class BiGru {
 public:
  BiGru(const Scope& scope, std::int64_t inputs, std::int64_t hidden);

  [[nodiscard]] Variable forward(const Variable& x) const;

 private:
  struct Direction {
    const Parameter *w_ih, *w_hh, *b_ih, *b_hh;
  };
  Direction directions_[2];
  std::int64_t hidden_;
};

}  // namespace dcase
