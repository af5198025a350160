#pragma once
/// Optional weights of the items of a batch, as the losses take them.

#include <cstdint>

#include "kernels/common/view.hpp"

namespace dcase {

/// Weight of item n: 1 where the view is absent.
template <class Real>
[[nodiscard]] double item_weight(const View<const Real>& weight, std::int64_t n) {
  return weight.present() ? static_cast<double>(weight[n]) : 1.0;
}

/// Checks the weights of `items` items and returns their sum.
template <class Real>
[[nodiscard]] double sum_item_weights(const char* op, const View<const Real>& weight, std::int64_t items) {
  if (!weight.present()) return static_cast<double>(items);
  check_shape(op, "weight", weight, {items});
  double sum = 0;
  for (std::int64_t n = 0; n < items; ++n) {
    const double w = static_cast<double>(weight[n]);
    DCASE_CHECK(w >= 0, op, ": weight[", n, "] is ", w, ", expected >= 0");
    sum += w;
  }
  return sum;
}

}  // namespace dcase
