#pragma once
/// Matrix product in plain double loops: the reference of tests.

#include "kernels/gemm/gemm.hpp"

namespace dcase::ref {

inline void gemm(const Gemm<double>& args) {
  const GemmSizes s = gemm_sizes(args);
  for (std::int64_t i = 0; i < s.m; ++i) {
    for (std::int64_t j = 0; j < s.n; ++j) {
      double sum = 0;
      for (std::int64_t l = 0; l < s.k; ++l) {
        sum += args.a[args.trans_a ? l * s.m + i : i * s.k + l] * args.b[args.trans_b ? j * s.k + l : l * s.n + j];
      }
      const double value = args.alpha * sum + (args.bias.present() ? args.bias[j] : 0);
      double& c = args.c[i * s.n + j];
      c = args.mode == GradMode::kAdd ? c + value : value;
    }
  }
}

}  // namespace dcase::ref
