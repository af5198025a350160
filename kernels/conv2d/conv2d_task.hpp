#pragma once
/// What the CUDA kernels of conv2d and conv_bn share: one convolution over channels-last maps as a kernel sees it, and
/// the host functions that run it. Forward and data gradient are the same computation on other numbers.

#include <cstdint>
#include <type_traits>

#include "kernels/common/context.hpp"
#include "kernels/conv2d/conv2d.hpp"

namespace dcase::cuda {

/// y[n,i,j,o] = epilogue(sum over c,a,b of  w(o,c,a,b) * prologue(x[n, p, q, c]))
///     p = (i * stride_m + a - pad_m) / up_m,  q = (j * stride_t + b - pad_t) / up_t
/// over the taps for which p and q are integers inside the map. Forward has up = 1. The data gradient runs on dy with
/// stride = 1, up = the convolution's stride, taps flipped and channels exchanged.
struct ConvTask {
  const float* x = nullptr;  // [N,M,T,Ci]
  float* y = nullptr;        // [N,My,Ty,Co]
  std::int64_t N = 0;
  int Ci = 0, M = 0, T = 0;
  int Co = 0, My = 0, Ty = 0;
  int Km = 0, Kt = 0;
  int stride_m = 1, stride_t = 1;
  int pad_m = 0, pad_t = 0;
  int up_m = 1, up_t = 1;

  // w(o,c,a,b) = w[o * w_o + c * w_i + a * w_m + b * w_t]; the taps' steps are negative where they are flipped.
  const float* w = nullptr;
  std::int64_t w_o = 0, w_i = 0;
  int w_m = 0, w_t = 0;

  // Prologue: act(x * in_scale[c] + in_shift[c]), act = ReLU where in_relu is not 0; the padding stays zero. None
  // without in_scale.
  const float* in_scale = nullptr;  // [Ci]
  const float* in_shift = nullptr;  // [Ci]
  int in_relu = 0;

  // Epilogue, one of: y += sum (accumulate); y = act(sum + bias[o]) (bias); y = sum with sums for the channels'
  // statistics (partial); y = sum.
  int accumulate = 0;
  const float* bias = nullptr;  // [Co]
  int relu = 0;
  float* partial = nullptr;  // [blocks,3,Co], see conv_bn_kernels.cuh
  int* counts = nullptr;     // [blocks]
};

enum class ConvEpilogue : std::uint8_t { kStore, kAccumulate, kBias, kStatistics };
[[nodiscard]] inline ConvEpilogue epilogue_of(const ConvTask& task) {
  if (task.partial != nullptr) return ConvEpilogue::kStatistics;
  if (task.bias != nullptr) return ConvEpilogue::kBias;
  return task.accumulate != 0 ? ConvEpilogue::kAccumulate : ConvEpilogue::kStore;
}

/// The two passes as tasks. Arguments are checked already.
[[nodiscard]] ConvTask conv_task(const Conv2dForward<float>& a);
[[nodiscard]] ConvTask conv_task(const Conv2dBackward<float>& a);

/// One thread an output, on CUDA cores; takes everything, but makes no statistics.
void conv2d_simple(const ConvTask& task, const Context& context);

/// 3x3 of stride 1 on tensor cores (kTf32 and kBf16); Ci a multiple of 4, Co of 2, aligned maps.
[[nodiscard]] bool conv2d_halo_takes(const ConvTask& task);
[[nodiscard]] std::int64_t conv2d_halo_tiles(const ConvTask& task);  // blocks of `partial` and `counts`
template <Precision kPrecision>
void conv2d_halo(const ConvTask& task, const Context& context);

/// 3x3 of stride 1 on one channel, in float; Co a multiple of 4, y aligned, no prologue.
[[nodiscard]] bool conv2d_one_channel_takes(const ConvTask& task);
[[nodiscard]] std::int64_t conv2d_one_channel_tiles(const ConvTask& task);  // blocks of `partial` and `counts`
void conv2d_one_channel(const ConvTask& task, const Context& context);

/// Everything with at least one channel, in the precision named.
[[nodiscard]] std::int64_t conv2d_tiled_tiles(const ConvTask& task);  // blocks of `partial` and `counts`
template <Precision kPrecision>
void conv2d_tiled(const ConvTask& task, const Context& context);

/// The weights in the order a kernel wants, [taps][chunks][columns][elements of a chunk]: channel c of x stands in
/// chunk c / elements, column o is y's channel. What is beyond Ci and Co is zero.
struct WeightImage {
  void* data = nullptr;
  int chunks = 0;  // of a tap
  int columns = 0;
  int elements = 1;
};
/// Makes the image in data, whose elements are of the precision: 2 bytes in bf16, 4 in fp32 and (rounded) in tf32.
void make_weight_image(const ConvTask& task, Precision precision, const WeightImage& image, const Context& context);

[[nodiscard]] inline bool is_3x3_of_stride_1(const ConvTask& task) {
  return task.Km == 3 && task.Kt == 3 && task.stride_m == 1 && task.stride_t == 1 && task.up_m == 1 && task.up_t == 1;
}

[[nodiscard]] inline bool is_aligned(const float* p, std::uintptr_t bytes) {
  return reinterpret_cast<std::uintptr_t>(p) % bytes == 0;
}

/// Calls run(epilogue) with the task's epilogue as an integral constant.
template <class Run>
void with_epilogue(const ConvTask& task, const Run& run) {
  switch (epilogue_of(task)) {
    case ConvEpilogue::kStore:
      return run(std::integral_constant<ConvEpilogue, ConvEpilogue::kStore>());
    case ConvEpilogue::kAccumulate:
      return run(std::integral_constant<ConvEpilogue, ConvEpilogue::kAccumulate>());
    case ConvEpilogue::kBias:
      return run(std::integral_constant<ConvEpilogue, ConvEpilogue::kBias>());
    case ConvEpilogue::kStatistics:
      return run(std::integral_constant<ConvEpilogue, ConvEpilogue::kStatistics>());
  }
}

/// Calls run(prologue, epilogue) with what the task asks for as integral constants. A prologue comes with statistics
/// only: other kernels would never run.
template <class Run>
void with_options(const ConvTask& task, const Run& run) {
  if (task.in_scale == nullptr) return with_epilogue(task, [&](auto epilogue) { run(std::false_type(), epilogue); });
  DCASE_CHECK(task.partial != nullptr, "conv2d: a prologue without statistics");
  run(std::true_type(), std::integral_constant<ConvEpilogue, ConvEpilogue::kStatistics>());
}

}  // namespace dcase::cuda
