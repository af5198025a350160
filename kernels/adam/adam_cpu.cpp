#include "kernels/adam/adam.hpp"

#include <cmath>

#include "kernels/common/parallel.hpp"

namespace dcase::cpu {

namespace {

template <bool kAmsgrad, class Real>
void update(const AdamStep<Real>& a) {
  const AdamFactors<Real> f(a);
  for_chunks(a.p.size(), kChunkElements, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    const Real* g = a.g.data;
    Real* p = a.p.data;
    Real* m = a.m.data;
    Real* v = a.v.data;
    Real* vmax = a.vmax.data;
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const Real gradient = f.grad_scale * g[i] + f.decay * p[i];
      m[i] = f.beta1 * m[i] + f.rest1 * gradient;
      v[i] = f.beta2 * v[i] + f.rest2 * gradient * gradient;
      Real second = v[i];
      if constexpr (kAmsgrad) {
        second = vmax[i] > second ? vmax[i] : second;
        vmax[i] = second;
      }
      p[i] -= f.step_size * m[i] / (std::sqrt(second) / f.root_correction + f.eps);
    }
  });
}

}  // namespace

template <class Real>
void adam_step(const AdamStep<Real>& a, const Context&) {
  check(a);
  if (a.vmax.present()) {
    update<true>(a);
  } else {
    update<false>(a);
  }
}

template void adam_step(const AdamStep<float>&, const Context&);
template void adam_step(const AdamStep<double>&, const Context&);

}  // namespace dcase::cpu
