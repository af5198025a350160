#include <limits>

#include "kernels/common/launch.hpp"
#include "kernels/conv2d/conv2d_task.hpp"
#include "kernels/conv2d/conv2d_tiled_kernels.cuh"

namespace dcase::cuda {

bool conv2d_tiled_takes(const ConvTask& task) { return task.Ci > 0; }

std::int64_t conv2d_tiled_tiles(const ConvTask& task) {
  return (task.N * task.My * task.Ty + kTiledRows - 1) / kTiledRows;
}

template <Precision kPrecision>
void conv2d_tiled(const ConvTask& task, const Context& context) {
  constexpr int kElements = tiled_elements(kPrecision);
  const int columns = (task.Co + kTiledColumns - 1) / kTiledColumns;
  const std::int64_t blocks = conv2d_tiled_tiles(task) * columns;
  if (blocks == 0) return;
  DCASE_CHECK(blocks <= std::numeric_limits<int>::max(), "conv2d: ", blocks, " tiles, at most 2147483647");
  const int taps = task.Km * task.Kt;
  const int chunks = (task.Ci + kElements - 1) / kElements;
  const Scratch<unsigned char> memory(context, std::int64_t{taps} * chunks * columns * kTiledColumns * 16);
  const WeightImage image{
      .data = memory.data(), .chunks = chunks, .columns = columns * kTiledColumns, .elements = kElements};
  make_weight_image(task, kPrecision, image, context);
  const bool vector = is_aligned(task.x, 16) && task.Ci % 4 == 0;
  const TiledGrid grid{.columns = columns, .chunks = taps * chunks, .vector = vector ? 1 : 0};
  with_options(task, [&](auto prologue, auto epilogue) {
    launch(conv2d_tiled_kernel<kPrecision, prologue(), epilogue()>,
           {.grid = static_cast<unsigned>(blocks),
            .block = kTiledThreads,
            .smem = kTiledSharedBytes,
            .stream = context.stream,
            .name = kPrecision == Precision::kBf16   ? "conv2d_tiled_bf16"
                    : kPrecision == Precision::kTf32 ? "conv2d_tiled_tf32"
                                                     : "conv2d_tiled_fp32"},
           task, image, grid);
  });
}
template void conv2d_tiled<Precision::kFp32>(const ConvTask& task, const Context& context);
template void conv2d_tiled<Precision::kTf32>(const ConvTask& task, const Context& context);
template void conv2d_tiled<Precision::kBf16>(const ConvTask& task, const Context& context);

}  // namespace dcase::cuda
