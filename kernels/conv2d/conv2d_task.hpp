#pragma once
/// What the CUDA kernels of conv2d and conv_bn share: one convolution over channels-last maps as a kernel sees it, and
/// the host functions that run it. Forward and data gradient are the same computation on other numbers.

#include <array>
#include <cstdint>
#include <iterator>
#include <type_traits>
#include <utility>

#include "kernels/common/context.hpp"
#include "kernels/common/variant.hpp"
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

  // Epilogue: what becomes of the sum, one of
  //   y = sum                                             nothing of the below
  //   y += sum                                            accumulate
  //   y = act(sum + bias[o])                              bias
  //   y = sum, with sums for the channels' statistics     partial
  //   y = act'(z) * sum, with sums for the gradients      partial and below, z = below * below_scale + below_shift
  // act is the ReLU where relu is not 0.
  int accumulate = 0;
  int relu = 0;
  const float* bias = nullptr;         // [Co]
  const float* below = nullptr;        // as y
  const float* below_scale = nullptr;  // [Co]
  const float* below_shift = nullptr;  // [Co]
  const float* below_mean = nullptr;   // [Co]
  // [blocks,3,Co]. Statistics: sum (y - K), sum (y - K)^2 and K, the block's first output. Gradients: sum y,
  // sum y * (below - below_mean); the third row is not written.
  float* partial = nullptr;
  int* counts = nullptr;  // [blocks], statistics only: positions of the block
};

enum class ConvEpilogue : std::uint8_t { kStore, kAccumulate, kBias, kStatistics, kGradients };
[[nodiscard]] inline ConvEpilogue epilogue_of(const ConvTask& task) {
  if (task.below != nullptr) return ConvEpilogue::kGradients;
  if (task.partial != nullptr) return ConvEpilogue::kStatistics;
  if (task.bias != nullptr) return ConvEpilogue::kBias;
  return task.accumulate != 0 ? ConvEpilogue::kAccumulate : ConvEpilogue::kStore;
}

/// The two passes as tasks. Arguments are checked already.
[[nodiscard]] ConvTask conv_task(const Conv2dForward<float>& a);
[[nodiscard]] ConvTask conv_task(const Conv2dBackward<float>& a);

/// One thread an output, on CUDA cores; takes everything, but makes no statistics.
void conv2d_simple(const ConvTask& task, const Context& context);

// The fused kernels. `tiles` is the number of blocks in `partial` and `counts`.

/// 3x3 of stride 1 on one channel, in float; Co a multiple of 4, y aligned, no prologue.
[[nodiscard]] bool conv2d_one_channel_takes(const ConvTask& task);
[[nodiscard]] std::int64_t conv2d_one_channel_tiles(const ConvTask& task);
void conv2d_one_channel(const ConvTask& task, const Context& context);

/// 3x3 of stride 1 on tensor cores (kTf32 and kBf16); Ci a multiple of 4, Co of 2, aligned maps.
[[nodiscard]] bool conv2d_halo_takes(const ConvTask& task);
[[nodiscard]] std::int64_t conv2d_halo_tiles(const ConvTask& task);
template <Precision kPrecision>
void conv2d_halo(const ConvTask& task, const Context& context);

/// Everything with at least one channel.
[[nodiscard]] bool conv2d_tiled_takes(const ConvTask& task);
[[nodiscard]] std::int64_t conv2d_tiled_tiles(const ConvTask& task);
template <Precision kPrecision>
void conv2d_tiled(const ConvTask& task, const Context& context);

/// All of them, the fastest first. Every operator that is a ConvTask has its table of variants from here.
struct ConvKernel {
  const char* name;
  bool (*takes)(const ConvTask&, Precision);
  void (*run)(const ConvTask&, const Context&);
  std::int64_t (*tiles)(const ConvTask&);  // nullptr: makes no statistics
};
template <bool (*kTakes)(const ConvTask&), Precision kPrecision>
bool takes_in(const ConvTask& task, Precision precision) {
  return precision == kPrecision && kTakes(task);
}
inline constexpr ConvKernel kConvKernels[] = {
    {"one_channel", [](const ConvTask& task, Precision) { return conv2d_one_channel_takes(task); }, conv2d_one_channel,
     conv2d_one_channel_tiles},
    {"halo_bf16", takes_in<conv2d_halo_takes, Precision::kBf16>, conv2d_halo<Precision::kBf16>, conv2d_halo_tiles},
    {"halo_tf32", takes_in<conv2d_halo_takes, Precision::kTf32>, conv2d_halo<Precision::kTf32>, conv2d_halo_tiles},
    {"tiled_bf16", takes_in<conv2d_tiled_takes, Precision::kBf16>, conv2d_tiled<Precision::kBf16>, conv2d_tiled_tiles},
    {"tiled_tf32", takes_in<conv2d_tiled_takes, Precision::kTf32>, conv2d_tiled<Precision::kTf32>, conv2d_tiled_tiles},
    {"tiled_fp32", takes_in<conv2d_tiled_takes, Precision::kFp32>, conv2d_tiled<Precision::kFp32>, conv2d_tiled_tiles},
    {"simple", [](const ConvTask&, Precision) { return true; }, conv2d_simple, nullptr},
};

/// The table of an operator: Operator::task(args) is its task, Operator::run(kernel, args, context) runs it on one.
template <class Operator, class Args>
struct ConvVariants {
  template <std::size_t kKernel>
  static bool takes(const Args& a, const Context& context) {
    return kConvKernels[kKernel].takes(Operator::task(a), context.precision);
  }
  template <std::size_t kKernel>
  static void run(const Args& a, const Context& context) {
    Operator::run(kConvKernels[kKernel], a, context);
  }
  template <std::size_t... kKernels>
  static constexpr std::array<Variant<Args>, sizeof...(kKernels)> make(std::index_sequence<kKernels...>) {
    return {{{kConvKernels[kKernels].name, takes<kKernels>, run<kKernels>}...}};
  }
  static constexpr auto kTable = make(std::make_index_sequence<std::size(kConvKernels)>());
};

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

/// Calls run(epilogue) with the task's epilogue as an integral constant; kGradients are not among them.
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
    case ConvEpilogue::kGradients:
      break;
  }
  fail(ErrorKind::kArgument, "conv2d: this kernel has no epilogue for gradients");
}

/// Calls run(prologue, epilogue) with what the task asks for as integral constants. A prologue comes with statistics
/// only: other kernels would never run.
template <class Run>
void with_options(const ConvTask& task, const Run& run) {
  if (task.in_scale != nullptr) {
    DCASE_CHECK(epilogue_of(task) == ConvEpilogue::kStatistics, "conv2d: a prologue without statistics");
    return run(std::true_type(), std::integral_constant<ConvEpilogue, ConvEpilogue::kStatistics>());
  }
  if (task.below != nullptr) {
    return run(std::false_type(), std::integral_constant<ConvEpilogue, ConvEpilogue::kGradients>());
  }
  with_epilogue(task, [&](auto epilogue) { run(std::false_type(), epilogue); });
}

/// As conv2d_shape, with what CUDA asks for beyond: channels-last maps, and sizes that int counts.
Conv2dShape checked_conv_shape(const char* op, const View<const float>& x, const View<const float>& w,
                               const View<const float>& y, std::int64_t stride_m, std::int64_t stride_t);

}  // namespace dcase::cuda
