#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernels/common/launch.hpp"
#include "kernels/conv2d/conv2d_weight_gradient.hpp"
#include "kernels/conv2d/conv2d_weight_gradient_kernels.cuh"

namespace dcase::cuda {
namespace {

using namespace weight_gradient;
using Arguments = Conv2dWeightGradient;

// An H100 or H200. A fixed number, so that sums do not depend on the GPU at hand.
constexpr std::int64_t kMultiprocessors = 132;

std::int64_t ceil_divide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::int64_t pixels(const Conv2dShape& s) { return s.N * s.My() * s.Ty(); }

// Parts of `count` tiles or pixels, none empty: about as many as give `blocks` blocks where a part has
// `blocks_of_part`.
struct Split {
  std::int64_t parts = 0;
  std::int64_t size = 0;  // of a part, the last may have less
};
Split split(std::int64_t count, std::int64_t blocks, std::int64_t blocks_of_part, std::int64_t most) {
  const std::int64_t wanted = std::clamp<std::int64_t>(blocks / blocks_of_part, 1, std::min<std::int64_t>(most, 65535));
  const std::int64_t size = ceil_divide(count, std::min(wanted, count));
  return {ceil_divide(count, size), size};
}

int vector(const float* maps, std::int64_t channels) {
  return reinterpret_cast<std::uintptr_t>(maps) % 16 == 0 && channels % 4 == 0 ? 1 : 0;
}

int checked(std::int64_t size, const char* name) {
  DCASE_CHECK(size <= std::numeric_limits<int>::max(), "conv2d_weight_gradient: ", name, " is ", size,
              ", at most 2147483647");
  return static_cast<int>(size);
}

WeightGradientArguments kernel_arguments(const Arguments& a, float* partial) {
  const Conv2dShape& s = a.shape;
  return {.x = a.x,
          .dy = a.dy,
          .partial = partial,
          .N = checked(s.N, "N"),
          .M = checked(s.M, "M"),
          .T = checked(s.T, "T"),
          .Ci = checked(s.Ci, "Ci"),
          .My = checked(s.My(), "My"),
          .Ty = checked(s.Ty(), "Ty"),
          .Co = checked(s.Co, "Co"),
          .Km = checked(s.Km, "Km"),
          .Kt = checked(s.Kt, "Kt"),
          .stride_m = checked(s.stride_m, "stride_m"),
          .stride_t = checked(s.stride_t, "stride_t"),
          .vector_x = vector(a.x, s.Ci),
          .vector_dy = vector(a.dy, s.Co)};
}

// The tiles of all images among the kernel's divisions.
Split split_tiles(WeightGradientArguments& g, std::int64_t tiles, std::int64_t blocks, std::int64_t blocks_of_part,
                  std::int64_t most) {
  const Split parts = split(tiles, blocks, blocks_of_part, most);
  g.tiles = static_cast<int>(tiles);
  g.split_tiles = static_cast<int>(parts.size);
  return parts;
}

template <class Place>
void add_up(const Arguments& a, const float* partial, std::int64_t sums, std::int64_t splits, const Place& place,
            const Context& context) {
  const Launch l{.grid = static_cast<unsigned>(ceil_divide(sums, kSplitColumns)),
                 .block = kSplitColumns * kSplitRows,
                 .stream = context.stream,
                 .name = "conv2d_weight_gradient_sum"};
  if (a.mode == GradMode::kAdd) {
    launch(conv2d_weight_gradient_sum_kernel<true, Place>, l, partial, a.dw, sums, static_cast<int>(splits), place);
  } else {
    launch(conv2d_weight_gradient_sum_kernel<false, Place>, l, partial, a.dw, sums, static_cast<int>(splits), place);
  }
}

// --- any size

bool takes_all(const Arguments&, const Context&) { return true; }

template <class Transform>
void run_simple_on(const Arguments& a, const Transform& transform, const Context& context) {
  const Conv2dShape& s = a.shape;
  const std::int64_t weights = s.Co * s.Ci * s.Km * s.Kt;
  const std::int64_t blocks = ceil_divide(weights, kSimpleThreads);
  if (pixels(s) == 0) return add_up(a, nullptr, weights, 0, InOrder{}, context);
  // 32 blocks a multiprocessor, but no division of fewer pixels than are summed in one go.
  const Split parts =
      split(pixels(s), 32 * kMultiprocessors, blocks, std::min(a.most_splits, ceil_divide(pixels(s), kSimpleRun)));
  const Scratch<float> partial(context, parts.parts * weights);
  launch(conv2d_weight_gradient_simple_kernel<Transform>,
         {.grid = {static_cast<unsigned>(blocks), static_cast<unsigned>(parts.parts)},
          .block = kSimpleThreads,
          .stream = context.stream,
          .name = "conv2d_weight_gradient_simple"},
         kernel_arguments(a, partial.data()), parts.size, transform);
  add_up(a, partial.data(), weights, parts.parts, InOrder{}, context);
}

void run_simple(const Arguments& a, const Context& context) { run_simple_on(a, StoredX{}, context); }

// --- tiles

// Whether int is wide enough for the numbers of pixels and weights, and for offsets within an image: what the faster
// kernels count in.
bool is_countable(const Conv2dShape& s) {
  constexpr std::int64_t kMost = std::int64_t{1} << 30;
  return pixels(s) > 0 && pixels(s) < kMost && s.N * s.M * s.T < kMost && s.Co * s.Ci * s.Km * s.Kt < kMost &&
         s.M * s.T * s.Ci < kMost && s.My() * s.Ty() * s.Co < kMost && s.stride_m < kMost && s.stride_t < kMost;
}

template <Precision kPrecision>
bool takes_tiled(const Arguments& a, const Context& context) {
  return context.precision == kPrecision && is_countable(a.shape);
}

template <class Tile, class Transform>
void run_tile(const Arguments& a, const Transform& transform, const Context& context) {
  const Conv2dShape& s = a.shape;
  const std::int64_t places = Tile::kKernel == 1 ? s.Km * s.Kt : 1;
  const std::int64_t blocks = ceil_divide(s.Co, Tile::kTile) * ceil_divide(s.Ci, Tile::kTile) * places;
  const std::int64_t sums = blocks * Tile::kSums * Tile::kThreads;
  WeightGradientArguments g = kernel_arguments(a, nullptr);
  g.tiles_m = static_cast<int>(ceil_divide(g.My, Tile::kRows));
  g.tiles_t = static_cast<int>(ceil_divide(g.Ty, Tile::kColumns));
  const std::int64_t tiles =
      Tile::kKernel == 1 ? ceil_divide(pixels(s), Tile::kPixels) : std::int64_t{g.N} * g.tiles_m * g.tiles_t;
  const Split parts = split_tiles(g, tiles, Tile::kResident * kMultiprocessors, blocks, a.most_splits);
  const WeightLayout layout{.tile = Tile::kTile,
                            .kernel = Tile::kKernel,
                            .tensor_cores = Tile::kOperands != ConvOperands::kFp32,
                            .Co = g.Co,
                            .Ci = g.Ci,
                            .Km = g.Km,
                            .Kt = g.Kt};
  const Scratch<float> partial(context, parts.parts * sums);
  g.partial = partial.data();
  launch(conv2d_weight_gradient_tiled_kernel<Tile, Transform>,
         {.grid = {static_cast<unsigned>(blocks), static_cast<unsigned>(parts.parts)},
          .block = Tile::kThreads,
          .smem = Tile::kSharedBytes,
          .stream = context.stream,
          .name = Tile::kOperands == ConvOperands::kFp32   ? "conv2d_weight_gradient_tiled_fp32"
                  : Tile::kOperands == ConvOperands::kTf32 ? "conv2d_weight_gradient_tiled_tf32"
                                                           : "conv2d_weight_gradient_tiled_bf16"},
         g, layout, transform);
  add_up(a, partial.data(), sums, parts.parts, AsDealt{layout}, context);
}

template <ConvOperands kOperands, class Transform>
void run_tiled_on(const Arguments& a, const Transform& transform, const Context& context) {
  const Conv2dShape& s = a.shape;
  const bool wide = s.Ci > 32 && s.Co > 32;
  if (s.Km == 3 && s.Kt == 3 && s.stride_m == 1 && s.stride_t == 1) {
    if (wide) return run_tile<WeightGradientTile<kOperands, 64, 3>>(a, transform, context);
    return run_tile<WeightGradientTile<kOperands, 16, 3>>(a, transform, context);
  }
  if (wide) return run_tile<WeightGradientTile<kOperands, 64, 1>>(a, transform, context);
  run_tile<WeightGradientTile<kOperands, 16, 1>>(a, transform, context);
}

template <ConvOperands kOperands>
void run_tiled(const Arguments& a, const Context& context) {
  run_tiled_on<kOperands>(a, StoredX{}, context);
}

// --- one input channel

bool takes_one_channel(const Arguments& a, const Context&) {
  const Conv2dShape& s = a.shape;
  return is_countable(s) && s.Ci == 1 && s.Co <= 64 && s.Km == 3 && s.Kt == 3 && s.stride_m == 1 && s.stride_t == 1 &&
         vector(a.dy, s.Co) != 0;
}

void run_one_channel(const Arguments& a, const Context& context) {
  WeightGradientArguments g = kernel_arguments(a, nullptr);
  g.tiles_m = static_cast<int>(ceil_divide(g.My, kOneRows));
  g.tiles_t = static_cast<int>(ceil_divide(g.Ty, kOneColumns));
  const Split parts = split_tiles(g, std::int64_t{g.N} * g.tiles_m * g.tiles_t, 8 * kMultiprocessors, 1, a.most_splits);
  const std::int64_t weights = std::int64_t{g.Co} * 9;
  const Scratch<float> partial(context, parts.parts * weights);
  g.partial = partial.data();
  launch(g.Co <= 8 ? conv2d_weight_gradient_one_channel_kernel<2> : conv2d_weight_gradient_one_channel_kernel<16>,
         {.grid = {1, static_cast<unsigned>(parts.parts)},
          .block = kOneThreads,
          .stream = context.stream,
          .name = "conv2d_weight_gradient_one_channel"},
         g);
  add_up(a, partial.data(), weights, parts.parts, InOrder{}, context);
}

constexpr Variant<Arguments> kVariants[] = {
    {"one_channel", takes_one_channel, run_one_channel},
    {"tiled_bf16", takes_tiled<Precision::kBf16>, run_tiled<ConvOperands::kBf16>},
    {"tiled_tf32", takes_tiled<Precision::kTf32>, run_tiled<ConvOperands::kTf32>},
    {"tiled_fp32", takes_tiled<Precision::kFp32>, run_tiled<ConvOperands::kFp32>},
    {"simple", takes_all, run_simple},
};

Arguments arguments(const Conv2dBackward<float>& args, const Conv2dShape& shape) {
  return {.x = args.x.data, .dy = args.dy.data, .dw = args.dw.data, .shape = shape, .mode = args.dw_mode};
}

}  // namespace

std::span<const Variant<Arguments>> conv2d_weight_gradient_variants() { return kVariants; }

void conv2d_weight_gradient(const Conv2dBackward<float>& args, const Conv2dShape& shape, const Context& context) {
  if (args.dw.size() == 0) return;
  const Arguments a = arguments(args, shape);
  choose_variant(conv2d_weight_gradient_variants(), a, context).run(a, context);
}

void conv2d_weight_gradient(const Conv2dBackward<float>& args, const Conv2dShape& shape, View<const float> scale,
                            View<const float> shift, const Context& context) {
  if (args.dw.size() == 0) return;
  const Arguments a = arguments(args, shape);
  const int vector_both = vector(scale.data, shape.Ci) & vector(shift.data, shape.Ci);
  const NormalizedX transform{scale.data, shift.data, vector_both};
  if (!is_countable(shape)) return run_simple_on(a, transform, context);
  switch (context.precision) {
    case Precision::kFp32:
      return run_tiled_on<ConvOperands::kFp32>(a, transform, context);
    case Precision::kTf32:
      return run_tiled_on<ConvOperands::kTf32>(a, transform, context);
    case Precision::kBf16:
      return run_tiled_on<ConvOperands::kBf16>(a, transform, context);
  }
}

}  // namespace dcase::cuda
