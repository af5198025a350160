#include "kernels/elementwise/reorder.hpp"

#include "kernels/pool2d/pool2d.hpp"

namespace dcase::cuda {

// A copy between groupings is the gradient of a pool over single positions: y (+)= x * 1, which is exact.
void reorder_map(const ReorderMap<float>& a, const Context& context) {
  check(a);
  avg_pool_backward({.dy = a.x, .dx = a.y, .dx_mode = a.mode}, context);
}

}  // namespace dcase::cuda
