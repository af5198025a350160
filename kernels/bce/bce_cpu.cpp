#include "kernels/bce/bce.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/common/item_weights.hpp"
#include "kernels/common/parallel.hpp"

namespace dcase::cpu {

namespace {

/// A value and its derivative with respect to x.
template <class Real>
struct Term {
  double loss;
  Real slope;
};

/// Both clamps put the argument first that may be NaN: std::max then returns it, and the loss shows it.
template <class Real>
Term<Real> probability_term(Real p, Real t) {
  const Real log_p = std::max(std::log(p), Real(-100));
  const Real log_q = std::max(std::log1p(-p), Real(-100));
  const Real slope = (p - t) / std::max((Real(1) - p) * p, static_cast<Real>(1e-12));
  return {static_cast<double>((t - Real(1)) * log_q - t * log_p), slope};
}

template <class Real>
Term<Real> logit_term(Real x, Real t) {
  const Real small = std::exp(-std::abs(x));  // in (0, 1]: nothing overflows
  const Real sigmoid = (x >= 0 ? Real(1) : small) / (Real(1) + small);
  const Real positive = x < 0 ? Real(0) : x;
  return {static_cast<double>(positive - x * t) + static_cast<double>(std::log1p(small)), sigmoid - t};
}

/// Mean of term(x, t) over `used` leading elements of each item, weighted by item, and its gradient. Items are rows
/// of `x_width` and `target_width` elements. One item a task, items added in order.
template <class Args, class Real, class Function>
void weighted_mean(const Args& a, std::int64_t items, std::int64_t x_width, std::int64_t target_width,
                   std::int64_t used, double total_weight, const Context& context, Real* dx, const Function& term) {
  const double count = total_weight * static_cast<double>(used);
  const double sum = chunked_sum(items, 1, context, [&](std::int64_t n, std::int64_t) {
    const double w = item_weight(a.weight, n);
    const Real* x = a.x.data + n * x_width;
    const Real* t = a.target.data + n * target_width;
    Real* gradient = dx == nullptr ? nullptr : dx + n * x_width;
    // Masked items count for nothing, whatever stands in them.
    const std::int64_t counted = w == 0 ? 0 : used;
    // Zero count means counted = 0 for every item, so the quotient is not used then.
    const Real factor = static_cast<Real>(a.grad_scale * w / count);
    double item_sum = 0;
    for (std::int64_t i = 0; i < counted; ++i) {
      const Term<Real> value = term(x[i], t[i]);
      item_sum += value.loss;
      if (gradient != nullptr) put_gradient(gradient[i], factor * value.slope, a.dx_mode);
    }
    for (std::int64_t i = counted; gradient != nullptr && i < x_width; ++i) {
      put_gradient(gradient[i], Real(0), a.dx_mode);
    }
    return counted == 0 ? 0.0 : w * item_sum;
  });
  a.loss[0] = count > 0 ? sum / count : 0;
}

}  // namespace

template <class Real>
void bce(const Bce<Real>& a, const Context& context) {
  check(a);
  const std::int64_t n = a.x.dim(0);
  const std::int64_t k = a.x.dim(2);
  const double total_weight = sum_item_weights("bce", a.weight, n);
  weighted_mean(a, n, a.x.dim(1) * k, a.target.dim(1) * k, std::min(a.x.dim(1), a.target.dim(1)) * k, total_weight,
                context, a.dx.data, [](Real p, Real t) { return probability_term(p, t); });
}

template <class Real>
void bce_logits(const BceLogits<Real>& a, const Context& context) {
  check(a);
  const std::int64_t n = a.x.dim(0);
  const std::int64_t k = a.x.dim(1);
  const double total_weight = sum_item_weights("bce_logits", a.weight, n);
  weighted_mean(a, n, k, k, k, total_weight, context, a.dx.data, [](Real x, Real t) { return logit_term(x, t); });
}

template void bce(const Bce<float>&, const Context&);
template void bce(const Bce<double>&, const Context&);
template void bce_logits(const BceLogits<float>&, const Context&);
template void bce_logits(const BceLogits<double>&, const Context&);

}  // namespace dcase::cpu
