#include "kernels/mixup/mixup.hpp"

#include "kernels/mixup/mixup_kernels.cuh"

namespace dcase::cuda {

void mixup(const Mixup<float>& a, const Context& context) {
  check(a);
  if (a.x.size() == 0) return;
  const std::int64_t items = a.x.dim(0);
  DCASE_CHECK(items <= 65535, "mixup: ", items, " items, at most 65535");
  const std::int64_t width = a.x.size() / items;
  const bool vector = width % 4 == 0 && aligned16(a.x.data, a.y.data);
  const std::int64_t blocks = std::max<std::int64_t>(1, kMostBlocks / items);
  launch(vector ? mixup_kernel<4> : mixup_kernel<1>,
         {.grid = {static_cast<unsigned>(
                       std::min<std::int64_t>(blocks, strided_blocks(width, kLaneThreads * (vector ? 4 : 1)))),
                   static_cast<unsigned>(items)},
          .block = kLaneThreads,
          .stream = context.stream,
          .name = "mixup"},
         a.x.data, a.perm.data, a.y.data, width, static_cast<float>(a.lam), static_cast<float>(1 - a.lam));
}

}  // namespace dcase::cuda
