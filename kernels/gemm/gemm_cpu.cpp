#include <algorithm>

#include "kernels/common/onednn.hpp"
#include "kernels/gemm/gemm.hpp"

namespace dcase::cpu {
namespace {

/// c = or += bias, in every row.
void add_bias(const Gemm<float>& args, const GemmSizes& s, bool accumulate) {
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < s.m; ++i) {
    float* const row = args.c.data + i * s.n;
    if (!accumulate) std::fill_n(row, s.n, 0.0F);
    if (args.bias.present())
      for (std::int64_t j = 0; j < s.n; ++j) row[j] += args.bias[j];
  }
}

}  // namespace

void gemm(const Gemm<float>& args, const Context& context) {
  const GemmSizes s = gemm_sizes(args);
  if (s.m == 0 || s.n == 0) return;
  const bool accumulate = args.mode == GradMode::kAdd;
  if (s.k == 0) return add_bias(args, s, accumulate);
  // oneDNN adds its bias before it scales; ours is not scaled.
  const bool fuse_bias = args.bias.present() && args.alpha == 1.0F;
  onednn::multiply({.m = s.m,
                    .n = s.n,
                    .k = s.k,
                    .a = args.a.data,
                    .b = args.b.data,
                    .bias = fuse_bias ? args.bias.data : nullptr,
                    .c = args.c.data,
                    .trans_a = args.trans_a,
                    .trans_b = args.trans_b,
                    .accumulate = accumulate,
                    .alpha = args.alpha},
                   context);
  if (args.bias.present() && !fuse_bias) add_bias(args, s, true);
}

}  // namespace dcase::cpu
