#include "kernels/softmax_xent/softmax_xent.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/common/item_weights.hpp"
#include "kernels/common/parallel.hpp"

// One thread: a batch has some hundreds of logits, and starting threads costs more than their exponentials. All
// arithmetic is double, whatever Real is.

namespace dcase::cpu {

namespace {

template <class Real>
double row_maximum(const Real* x, std::int64_t k_count) {
  // A NaN stays: the comparison lets it through, and the loss shows it.
  double maximum = static_cast<double>(x[0]);
  for (std::int64_t k = 1; k < k_count; ++k) {
    const double value = static_cast<double>(x[k]);
    maximum = value > maximum || std::isnan(value) ? value : maximum;
  }
  return maximum;
}

template <class Real>
double exponential_sum(const Real* x, std::int64_t k_count, double maximum) {
  double sum = 0;
  for (std::int64_t k = 0; k < k_count; ++k) sum += std::exp(static_cast<double>(x[k]) - maximum);
  return sum;
}

}  // namespace

template <class Real>
void softmax_forward(const SoftmaxForward<Real>& a, const Context&) {
  check(a);
  const std::int64_t k_count = a.x.dim(1);
  for (std::int64_t n = 0; n < a.x.dim(0); ++n) {
    const Real* x = a.x.data + n * k_count;
    Real* y = a.y.data + n * k_count;
    const double maximum = row_maximum(x, k_count);
    const double sum = exponential_sum(x, k_count, maximum);
    for (std::int64_t k = 0; k < k_count; ++k) {
      y[k] = static_cast<Real>(std::exp(static_cast<double>(x[k]) - maximum) / sum);
    }
  }
}

template <class Real>
void softmax_xent(const SoftmaxXent<Real>& a, const Context&) {
  check(a);
  const std::int64_t n_count = a.logits.dim(0);
  const std::int64_t k_count = a.logits.dim(1);
  const double total_weight = sum_item_weights("softmax_xent", a.weight, n_count);

  double loss = 0;
  for (std::int64_t n = 0; n < n_count; ++n) {
    const double w = item_weight(a.weight, n);
    const Real* x = a.logits.data + n * k_count;
    const Real* t = a.target.data + n * k_count;
    if (w == 0) {
      // Masked: whatever stands in its logits and labels, even NaN, counts for nothing.
      for (std::int64_t k = 0; a.dlogits.present() && k < k_count; ++k) {
        put_gradient(a.dlogits[n * k_count + k], Real(0), a.dlogits_mode);
      }
      continue;
    }
    const double maximum = row_maximum(x, k_count);
    const double log_sum = maximum + std::log(exponential_sum(x, k_count, maximum));
    double entropy = 0;
    double target_sum = 0;
    for (std::int64_t k = 0; k < k_count; ++k) {
      entropy += static_cast<double>(t[k]) * (log_sum - static_cast<double>(x[k]));
      target_sum += static_cast<double>(t[k]);
    }
    loss += w * entropy;
    if (!a.dlogits.present()) continue;
    const double factor = a.grad_scale * w / total_weight;
    for (std::int64_t k = 0; k < k_count; ++k) {
      const double softmax = std::exp(static_cast<double>(x[k]) - log_sum);
      const double gradient = factor * (softmax * target_sum - static_cast<double>(t[k]));
      put_gradient(a.dlogits[n * k_count + k], static_cast<Real>(gradient), a.dlogits_mode);
    }
  }
  a.loss[0] = total_weight > 0 ? loss / total_weight : 0;
}

template void softmax_forward(const SoftmaxForward<float>&, const Context&);
template void softmax_forward(const SoftmaxForward<double>&, const Context&);
template void softmax_xent(const SoftmaxXent<float>&, const Context&);
template void softmax_xent(const SoftmaxXent<double>&, const Context&);

}  // namespace dcase::cpu
