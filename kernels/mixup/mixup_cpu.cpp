#include "kernels/mixup/mixup.hpp"

#include "kernels/common/parallel.hpp"

namespace dcase::cpu {

template <class Real>
void mixup(const Mixup<Real>& a, const Context&) {
  check(a);
  const std::int64_t items = a.x.dim(0);
  for (std::int64_t n = 0; n < items; ++n) {
    DCASE_CHECK(a.perm[n] >= 0 && a.perm[n] < items, "mixup: perm[", n, "] is ", a.perm[n], ", the batch has ", items,
                " items");
  }
  if (a.x.size() == 0) return;
  const std::int64_t width = a.x.size() / items;
  const std::int64_t chunks = ceil_div(width, kChunkElements);
  for_chunks(items * chunks, 1, [&](std::int64_t task, std::int64_t, std::int64_t) {
    const std::int64_t n = task / chunks;
    const std::int64_t begin = task % chunks * kChunkElements;
    const std::int64_t end = std::min(width, begin + kChunkElements);
    const Real lam = static_cast<Real>(a.lam);
    const Real rest = static_cast<Real>(1 - a.lam);
    const Real* first = a.x.data + n * width;
    const Real* second = a.x.data + a.perm[n] * width;
    Real* y = a.y.data + n * width;
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) y[i] = lam * first[i] + rest * second[i];
  });
}

template void mixup(const Mixup<float>&, const Context&);
template void mixup(const Mixup<double>&, const Context&);

}  // namespace dcase::cpu
