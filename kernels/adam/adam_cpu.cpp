#include "kernels/adam/adam.hpp"

#include <cmath>

#include "kernels/common/parallel.hpp"

namespace dcase::cpu {

namespace {

template <bool kAmsgrad, class Real>
void update(const AdamStep<Real>& a) {
  const double correction1 = 1 - std::pow(a.beta1, static_cast<double>(a.step));
  const double correction2 = 1 - std::pow(a.beta2, static_cast<double>(a.step));
  const Real step_size = static_cast<Real>(a.lr / correction1);
  const Real root_correction = static_cast<Real>(std::sqrt(correction2));
  const Real beta1 = static_cast<Real>(a.beta1);
  const Real beta2 = static_cast<Real>(a.beta2);
  const Real rest1 = static_cast<Real>(1 - a.beta1);  // taken in double: 1 - float(0.999) is off by 1e-5
  const Real rest2 = static_cast<Real>(1 - a.beta2);
  const Real eps = static_cast<Real>(a.eps);
  const Real decay = static_cast<Real>(a.weight_decay);
  const Real grad_scale = static_cast<Real>(a.grad_scale);
  for_chunks(a.p.size(), kChunkElements, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    const Real* g = a.g.data;
    Real* p = a.p.data;
    Real* m = a.m.data;
    Real* v = a.v.data;
    Real* vmax = a.vmax.data;
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const Real gradient = grad_scale * g[i] + decay * p[i];
      m[i] = beta1 * m[i] + rest1 * gradient;
      v[i] = beta2 * v[i] + rest2 * gradient * gradient;
      Real second = v[i];
      if constexpr (kAmsgrad) {
        second = vmax[i] > second ? vmax[i] : second;
        vmax[i] = second;
      }
      p[i] -= step_size * m[i] / (std::sqrt(second) / root_correction + eps);
    }
  });
}

}  // namespace

template <class Real>
void adam_step(const AdamStep<Real>& a, const Context&) {
  const char* op = "adam_step";
  const auto check = [&](const char* field, const auto& view) {
    DCASE_CHECK(same_shape(view, a.p), op, ": ", field, " has shape ", shape_string(view), ", p ", shape_string(a.p));
    DCASE_CHECK(view.data != nullptr || view.size() == 0, op, ": ", field, " is missing");
  };
  check("p", a.p);
  check("g", a.g);
  check("m", a.m);
  check("v", a.v);
  if (a.vmax.present()) check("vmax", a.vmax);
  DCASE_CHECK(a.step >= 1, op, ": step is ", a.step, ", the first is 1");
  DCASE_CHECK(a.beta1 >= 0 && a.beta1 < 1 && a.beta2 >= 0 && a.beta2 < 1, op, ": betas are ", a.beta1, " and ", a.beta2,
              ", expected [0, 1)");
  if (a.vmax.present()) {
    update<true>(a);
  } else {
    update<false>(a);
  }
}

template void adam_step(const AdamStep<float>&, const Context&);
template void adam_step(const AdamStep<double>&, const Context&);

}  // namespace dcase::cpu
