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

using Kernel = void (*)(ConvTask, WeightImage, HaloGrid);

template <Precision kPrecision, bool kPrologue>
Kernel kernel_for(ConvEpilogue epilogue) {
  switch (epilogue) {
    case ConvEpilogue::kAccumulate:
      return conv2d_halo_kernel<kPrecision, kPrologue, ConvEpilogue::kAccumulate>;
    case ConvEpilogue::kBias:
      return conv2d_halo_kernel<kPrecision, kPrologue, ConvEpilogue::kBias>;
    case ConvEpilogue::kStatistics:
      return conv2d_halo_kernel<kPrecision, kPrologue, ConvEpilogue::kStatistics>;
    case ConvEpilogue::kStore:
      break;
  }
  return conv2d_halo_kernel<kPrecision, kPrologue, ConvEpilogue::kStore>;
}

template <Precision kPrecision>
Kernel kernel_for(const ConvTask& task) {
  return task.in_scale != nullptr ? kernel_for<kPrecision, true>(epilogue_of(task))
                                  : kernel_for<kPrecision, false>(epilogue_of(task));
}

}  // namespace

bool conv2d_halo_takes(const ConvTask& task) {
  const auto aligned = [](const float* p, std::uintptr_t bytes) {
    return reinterpret_cast<std::uintptr_t>(p) % bytes == 0;
  };
  return task.Km == 3 && task.Kt == 3 && task.stride_m == 1 && task.stride_t == 1 && task.up_m == 1 && task.up_t == 1 &&
         task.Ci >= 8 && task.Co >= 8 && task.Ci % 4 == 0 && task.Co % 2 == 0 && aligned(task.x, 16) &&
         aligned(task.y, 8);
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
  const WeightImage shape{.chunks = (task.Ci + stage - 1) / stage * kHaloChunks,
                          .columns = grid.columns * kHaloColumns,
                          .elements = halo_elements(kPrecision)};
  const Scratch<unsigned char> memory(context, std::int64_t{9} * shape.chunks * shape.columns * 16);
  WeightImage image = shape;
  image.data = memory.data();
  make_weight_image(task, kBf16 ? WeightElement::kBf16 : WeightElement::kTf32, image, context);
  launch(kernel_for<kPrecision>(task),
         {.grid = static_cast<unsigned>(blocks),
          .block = kHaloThreads,
          .smem = kHaloSharedBytes,
          .stream = context.stream,
          .name = kBf16 ? "conv2d_halo_bf16" : "conv2d_halo_tf32"},
         task, image, grid);
}
template void conv2d_halo<Precision::kTf32>(const ConvTask& task, const Context& context);
template void conv2d_halo<Precision::kBf16>(const ConvTask& task, const Context& context);

}  // namespace dcase::cuda
