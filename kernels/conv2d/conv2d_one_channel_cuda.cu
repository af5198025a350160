#include <limits>

#include "kernels/common/launch.hpp"
#include "kernels/conv2d/conv2d_one_channel_kernels.cuh"
#include "kernels/conv2d/conv2d_task.hpp"

namespace dcase::cuda {
namespace {

OneChannelGrid one_channel_grid(const ConvTask& task) {
  return {.tiles_m = (task.My + kOneChannelTile - 1) / kOneChannelTile,
          .tiles_t = (task.Ty + kOneChannelTile - 1) / kOneChannelTile};
}

}  // namespace

bool conv2d_one_channel_takes(const ConvTask& task) {
  return is_3x3_of_stride_1(task) && task.Ci == 1 && task.Co >= 4 && task.Co % 4 == 0 &&
         task.Co <= 4 * kOneChannelThreads && task.in_scale == nullptr && task.below == nullptr &&
         is_aligned(task.y, 16);
}

std::int64_t conv2d_one_channel_tiles(const ConvTask& task) {
  const OneChannelGrid grid = one_channel_grid(task);
  return task.N * grid.tiles_m * grid.tiles_t;
}

void conv2d_one_channel(const ConvTask& task, const Context& context) {
  const std::int64_t blocks = conv2d_one_channel_tiles(task);
  if (blocks == 0) return;
  DCASE_CHECK(blocks <= std::numeric_limits<int>::max(), "conv2d: ", blocks, " tiles, at most 2147483647");
  with_epilogue(task, [&](auto epilogue) {
    launch(conv2d_one_channel_kernel<epilogue()>,
           {.grid = static_cast<unsigned>(blocks),
            .block = kOneChannelThreads,
            .stream = context.stream,
            .name = "conv2d_one_channel"},
           task, one_channel_grid(task));
  });
}

}  // namespace dcase::cuda
