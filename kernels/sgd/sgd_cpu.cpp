#include "kernels/sgd/sgd.hpp"

#include "kernels/common/parallel.hpp"

namespace dcase::cpu {

template <class Real>
void sgd_step(const SgdStep<Real>& a, const Context&) {
  check(a);
  const Real lr = static_cast<Real>(a.lr);
  const Real momentum = static_cast<Real>(a.momentum);
  const Real decay = static_cast<Real>(a.weight_decay);
  const Real grad_scale = static_cast<Real>(a.grad_scale);
  const bool nesterov = a.nesterov;
  for_chunks(a.p.size(), kChunkElements, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    const Real* g = a.g.data;
    Real* p = a.p.data;
    Real* b = a.b.data;
    if (a.momentum == 0) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) p[i] -= lr * (grad_scale * g[i] + decay * p[i]);
      return;
    }
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const Real gradient = grad_scale * g[i] + decay * p[i];
      b[i] = momentum * b[i] + gradient;
      p[i] -= lr * (nesterov ? gradient + momentum * b[i] : b[i]);
    }
  });
}

template void sgd_step(const SgdStep<float>&, const Context&);
template void sgd_step(const SgdStep<double>&, const Context&);

}  // namespace dcase::cpu
