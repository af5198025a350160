#include <limits>

#include "kernels/common/launch.hpp"
#include "kernels/conv2d/conv2d_halo_kernels.cuh"
#include "kernels/conv2d/conv2d_task.hpp"

namespace dcase::cuda {
namespace {

HaloGrid halo_grid(const ConvTask& task) {
  return {.tiles_m = (task.My + kHaloTile - 1) / kHaloTile,
          .tiles_t = (task.Ty + kHaloTile - 1) / kHaloTile,
          .columns = (task.Co + kHaloColumns - 1) / kHaloColumns};
}

}  // namespace

bool conv2d_halo_takes(const ConvTask& task) {
  return is_3x3_of_stride_1(task) && task.Ci >= 8 && task.Co >= 8 && task.Ci % 4 == 0 && task.Co % 2 == 0 &&
         is_aligned(task.x, 16) && is_aligned(task.y, 8) && is_aligned(task.below, 8);
}

std::int64_t conv2d_halo_tiles(const ConvTask& task) {
  const HaloGrid grid = halo_grid(task);
  return task.N * grid.tiles_m * grid.tiles_t;
}

template <Precision kPrecision>
void conv2d_halo(const ConvTask& task, const Context& context) {
  constexpr bool kBf16 = kPrecision == Precision::kBf16;
  const HaloGrid grid = halo_grid(task);
  const std::int64_t blocks = conv2d_halo_tiles(task) * grid.columns;
  if (blocks == 0) return;
  DCASE_CHECK(blocks <= std::numeric_limits<int>::max(), "conv2d: ", blocks, " tiles, at most 2147483647");
  const int stage = kHaloChunks * halo_elements(kPrecision);  // channels
  const int chunks = (task.Ci + stage - 1) / stage * kHaloChunks;
  const int columns = grid.columns * kHaloColumns;
  const Scratch<unsigned char> memory(context, std::int64_t{9} * chunks * columns * 16);
  const WeightImage image{
      .data = memory.data(), .chunks = chunks, .columns = columns, .elements = halo_elements(kPrecision)};
  make_weight_image(task, kPrecision, image, context);
  with_options(task, [&](auto prologue, auto epilogue) {
    launch(conv2d_halo_kernel<kPrecision, prologue(), epilogue()>,
           {.grid = static_cast<unsigned>(blocks),
            .block = kHaloThreads,
            .smem = kHaloSharedBytes,
            .stream = context.stream,
            .name = kBf16 ? "conv2d_halo_bf16" : "conv2d_halo_tf32"},
           task, image, grid);
  });
}
template void conv2d_halo<Precision::kTf32>(const ConvTask& task, const Context& context);
template void conv2d_halo<Precision::kBf16>(const ConvTask& task, const Context& context);

}  // namespace dcase::cuda
