#include "kernels/common/launch.hpp"
#include "kernels/conv2d/conv2d_task.hpp"
#include "kernels/conv2d/conv2d_weight_gradient.hpp"
#include "kernels/conv_bn/conv_bn.hpp"
#include "kernels/conv_bn/conv_bn_kernels.cuh"

namespace dcase::cuda {
namespace {

// The launch of a kernel that sums: a block for every eight channels.
Launch over_channels(const char* name, int channels, const Context& context) {
  return {.grid = static_cast<unsigned>((channels + kChannelColumns - 1) / kChannelColumns),
          .block = kChannelThreads,
          .stream = context.stream,
          .name = name};
}

// A thread for each of n.
Launch over(const char* name, std::int64_t n, const Context& context) {
  return {.grid = static_cast<unsigned>((n + kConvBnThreads - 1) / kConvBnThreads),
          .block = kConvBnThreads,
          .stream = context.stream,
          .name = name};
}

template <class Args>
ChannelNorm norm_of(const Args& a) {
  ChannelNorm norm{
      .mean = a.mean.data, .variance = a.variance.data, .gamma = a.gamma.data, .beta = nullptr, .eps = a.eps};
  if constexpr (requires { a.beta; }) norm.beta = a.beta.data;
  return norm;
}

/// scale and shift in scratch memory, for one call.
class Affine {
 public:
  template <class Args>
  Affine(const Args& a, int channels, const Context& context) : scale_(context, channels), shift_(context, channels) {
    launch(conv_bn_affine_kernel, over("conv_bn_affine", channels, context), norm_of(a), scale_.data(), shift_.data(),
           channels);
  }
  [[nodiscard]] const float* scale() const { return scale_.data(); }
  [[nodiscard]] const float* shift() const { return shift_.data(); }

 private:
  Scratch<float> scale_;
  Scratch<float> shift_;
};

struct ForwardOperator {
  static ConvTask task(const ConvBnForward<float>& a) {
    ConvTask g = conv_task(Conv2dForward<float>{.x = a.x, .w = a.w, .y = a.y});
    g.in_scale = a.in_scale.data;
    g.in_shift = a.in_shift.data;
    g.in_relu = a.in_relu ? 1 : 0;
    return g;
  }
  static void run(const ConvKernel& kernel, const ConvBnForward<float>& a, const Context& context) {
    ConvTask g = task(a);
    const std::int64_t P = positions(a.y);
    const Launch last = over_channels("conv_bn_statistics", g.Co, context);
    if (kernel.tiles == nullptr) {
      kernel.run(g, context);
      launch(conv_bn_statistics_of_map_kernel, last, a.y.data, a.mean.data, a.variance.data, P, g.Co);
      return;
    }
    const std::int64_t tiles = kernel.tiles(g);
    const Scratch<float> partial(context, tiles * 3 * g.Co);
    const Scratch<int> counts(context, tiles);
    g.partial = partial.data();
    g.counts = counts.data();
    kernel.run(g, context);
    launch(conv_bn_statistics_kernel, last, partial.data(), counts.data(), a.mean.data, a.variance.data, tiles, P,
           g.Co);
  }
};

struct InferenceOperator {
  static ConvTask task(const ConvBnInference<float>& a) {
    ConvTask g = conv_task(Conv2dForward<float>{.x = a.x, .w = a.w, .y = a.y});
    g.bias = a.bias.data;
    g.relu = a.relu ? 1 : 0;
    return g;
  }
  static void run(const ConvKernel& kernel, const ConvBnInference<float>& a, const Context& context) {
    kernel.run(task(a), context);
  }
};

struct BackwardOperator {
  static ConvTask task(const ConvBnBackward<float>& a) {
    ConvTask g = conv_task(Conv2dBackward<float>{.x = {}, .w = a.w, .dy = a.dy, .dx = a.dz});
    g.below = a.x.data;
    g.below_mean = a.mean.data;
    g.relu = a.relu ? 1 : 0;
    return g;
  }
  static void run(const ConvKernel& kernel, const ConvBnBackward<float>& a, const Context& context) {
    ConvTask g = task(a);
    const Affine affine(a, g.Co, context);
    const Launch last = over_channels("conv_bn_gradients", g.Co, context);
    if (kernel.tiles == nullptr) {
      g.below = nullptr;
      g.relu = 0;
      kernel.run(g, context);
      launch(conv_bn_gradients_of_map_kernel, last, a.x.data, affine.scale(), affine.shift(), norm_of(a),
             a.relu ? 1 : 0, a.dz.data, a.dgamma.data, a.dbeta.data, positions(a.x), g.Co);
      return;
    }
    const std::int64_t tiles = kernel.tiles(g);
    const Scratch<float> partial(context, tiles * 3 * g.Co);
    g.below_scale = affine.scale();
    g.below_shift = affine.shift();
    g.partial = partial.data();
    kernel.run(g, context);
    launch(conv_bn_gradients_kernel, last, partial.data(), norm_of(a), a.dgamma.data, a.dbeta.data, tiles, g.Co);
  }
};

}  // namespace

std::span<const Variant<ConvBnForward<float>>> conv_bn_forward_variants() {
  return ConvVariants<ForwardOperator, ConvBnForward<float>>::kTable;
}
std::span<const Variant<ConvBnInference<float>>> conv_bn_inference_variants() {
  return ConvVariants<InferenceOperator, ConvBnInference<float>>::kTable;
}
std::span<const Variant<ConvBnBackward<float>>> conv_bn_backward_variants() {
  return ConvVariants<BackwardOperator, ConvBnBackward<float>>::kTable;
}

void conv_bn_forward(const ConvBnForward<float>& a, const Context& context) {
  check(a);
  checked_conv_shape("conv_bn_forward", a.x, a.w, a.y, 1, 1);
  if (a.y.size() > 0) choose_variant(conv_bn_forward_variants(), a, context).run(a, context);
}

void conv_bn_affine(const ConvBnAffine<float>& a, const Context& context) {
  check(a);
  const auto C = static_cast<int>(a.mean.size());
  if (C == 0) return;
  launch(conv_bn_affine_kernel, over("conv_bn_affine", C, context), norm_of(a), a.scale.data, a.shift.data, C);
}

void conv_bn_fold(const ConvBnFold<float>& a, const Context& context) {
  check(a);
  const auto Co = static_cast<int>(a.w.dim(0));
  if (Co == 0) return;
  const Scratch<float> scale(context, Co);
  launch(conv_bn_affine_kernel, over("conv_bn_fold", Co, context), norm_of(a), scale.data(), a.bias.data, Co);
  const std::int64_t n = a.w.size();
  if (n == 0) return;
  launch(conv_bn_fold_kernel, over("conv_bn_fold", n, context), a.w.data, scale.data(), a.folded.data, n, n / Co);
}

void conv_bn_inference(const ConvBnInference<float>& a, const Context& context) {
  check(a);
  checked_conv_shape("conv_bn_inference", a.x, a.w, a.y, 1, 1);
  if (a.y.size() > 0) choose_variant(conv_bn_inference_variants(), a, context).run(a, context);
}

void conv_bn_weight_gradient(const ConvBnWeightGradient<float>& a, const Context& context) {
  check(a);
  const Conv2dShape shape = checked_conv_shape("conv_bn_weight_gradient", a.x, a.dw, a.dy, 1, 1);
  conv2d_weight_gradient({.x = a.x, .w = {}, .dy = a.dy, .dw = a.dw, .dw_mode = a.dw_mode}, shape, a.in_scale,
                         a.in_shift, context);
}

void conv_bn_backward(const ConvBnBackward<float>& a, const Context& context) {
  check(a);
  checked_conv_shape("conv_bn_backward", a.x, a.w, a.dy, 1, 1);
  // Without positions the sums are empty: the simple kernels write their zeros.
  if (channels(a.x) > 0) choose_variant(conv_bn_backward_variants(), a, context).run(a, context);
}

void conv_bn_input_gradient(const ConvBnInputGradient<float>& a, const Context& context) {
  check(a);
  DCASE_CHECK(a.x.dim(1) == 1, "conv_bn_input_gradient: x has shape ", shape_string(a.x),
              ", on CUDA maps are channels-last [N,1,M,T,C]");
  const std::int64_t n = a.dx.size();
  if (n == 0) return;
  launch(conv_bn_input_gradient_kernel,
         {.grid = strided_blocks(n, kConvBnThreads),
          .block = kConvBnThreads,
          .stream = context.stream,
          .name = "conv_bn_input_gradient"},
         a.x.data, a.dz.data, norm_of(a), a.dgamma.data, a.dbeta.data, a.dx.data, positions(a.x), a.x.dim(4));
}

}  // namespace dcase::cuda
