#include "kernels/elementwise/dropout.hpp"

#include "kernels/common/parallel.hpp"
#include "kernels/elementwise/checks.hpp"

namespace dcase::cpu {

namespace {

/// out = mask(key) * in / (1 - p): forward and backward are the same operator.
template <class Real>
void apply_mask(const char* op, View<const Real> in, View<Real> out, double p, const RandomKey& key, GradMode mode) {
  const std::uint32_t threshold = dropout_threshold(op, p);
  check_same(op, "input", in, "output", out);
  check_same(op, "output", out, "input", in);
  const Real factor = static_cast<Real>(1 / (1 - p));
  for_chunks(out.size(), kChunkElements, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const bool keep = philox(key, static_cast<std::uint64_t>(i))[0] >> 8U >= threshold;
      put_gradient(out[i], keep ? in[i] * factor : Real(0), mode);
    }
  });
}

}  // namespace

template <class Real>
void dropout_forward(const DropoutForward<Real>& a, const Context&) {
  apply_mask("dropout_forward", a.x, a.y, a.p, a.key, GradMode::kSet);
}

template <class Real>
void dropout_backward(const DropoutBackward<Real>& a, const Context&) {
  apply_mask("dropout_backward", a.dy, a.dx, a.p, a.key, a.dx_mode);
}

template void dropout_forward(const DropoutForward<float>&, const Context&);
template void dropout_forward(const DropoutForward<double>&, const Context&);
template void dropout_backward(const DropoutBackward<float>&, const Context&);
template void dropout_backward(const DropoutBackward<double>&, const Context&);

}  // namespace dcase::cpu
