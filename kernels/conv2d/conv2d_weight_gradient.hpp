#pragma once
/// The weight gradient of conv2d on CUDA: internal to kernels/conv2d, apart from its tests and benchmarks.
///
///     dw[co,ci,a,b] = sum over n,i,j of  dy[n,i,j,co] * x[n, i*stride_m + a - Km/2, j*stride_t + b - Kt/2, ci]
///
/// Maps are channels-last and float. The pixels (n,i,j) are divided among blocks by the sizes alone; each division
/// leaves its sums in scratch memory, and a second kernel adds them in a fixed order: the same bits in every run.

#include <span>

#include "kernels/common/variant.hpp"
#include "kernels/conv2d/conv2d.hpp"

namespace dcase::cuda {

struct Conv2dWeightGradient {
  const float* x = nullptr;   // [N,M,T,Ci]
  const float* dy = nullptr;  // [N,My,Ty,Co]
  float* dw = nullptr;        // [Co,Ci,Km,Kt], by mode
  Conv2dShape shape;
  GradMode mode = GradMode::kSet;
  std::int64_t most_splits = 65535;  // divisions of the pixels: fewer take less scratch memory and leave a GPU idle
};

/// args.dw by args.dw_mode, from args.x and args.dy; the caller has checked them and read their sizes into `shape`.
void conv2d_weight_gradient(const Conv2dBackward<float>& args, const Conv2dShape& shape, const Context& context);

/// The same where x = relu(scale[ci] * raw + shift[ci]), with zeros outside the map, was never stored: args.x is raw.
/// For conv_bn_weight_gradient, which has checked scale and shift.
void conv2d_weight_gradient(const Conv2dBackward<float>& args, const Conv2dShape& shape, View<const float> scale,
                            View<const float> shift, const Context& context);

[[nodiscard]] std::span<const Variant<Conv2dWeightGradient>> conv2d_weight_gradient_variants();

}  // namespace dcase::cuda
