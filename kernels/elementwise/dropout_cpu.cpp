#include "kernels/elementwise/dropout.hpp"

#include "kernels/common/parallel.hpp"

namespace dcase::cpu {

namespace {

/// out = mask(key) * in / (1 - p): forward and backward are the same operator.
template <class Real>
void apply_mask(const char* op, View<const Real> in, View<Real> out, double p, const RandomKey& key, GradMode mode) {
  DCASE_CHECK(p >= 0 && p < 1, op, ": p is ", p, ", expected 0 <= p < 1");
  DCASE_CHECK(same_shape(in, out), op, ": input ", shape_string(in), " and output ", shape_string(out), " differ");
  DCASE_CHECK(out.size() == 0 || (in.data != nullptr && out.data != nullptr), op, ": a view is missing");
  const Real factor = static_cast<Real>(1 / (1 - p));
  for_chunks(out.size(), kChunkElements, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const bool keep = p == 0 || static_cast<double>(uniform_float(key, static_cast<std::uint64_t>(i))) >= p;
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
