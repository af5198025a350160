#include <algorithm>
#include <limits>

#include "kernels/common/launch.hpp"
#include "kernels/conv2d/conv2d.hpp"
#include "kernels/conv2d/conv2d_kernels.cuh"
#include "kernels/conv2d/conv2d_task.hpp"
#include "kernels/conv2d/conv2d_weight_gradient.hpp"

namespace dcase::cuda {
namespace {

constexpr const char* kForward = "conv2d_forward";
constexpr const char* kBackward = "conv2d_backward";

void check_algorithm(const char* op, ConvAlgorithm algorithm) {
  DCASE_CHECK(algorithm != ConvAlgorithm::kWinograd, op, ": no Winograd convolution on CUDA: use kAuto");
}

void check_channels_last(const char* op, const char* field, const View<const float>& map) {
  DCASE_CHECK(map.dim(1) == 1, op, ": ", field, " has shape ", shape_string(map),
              ", on CUDA maps are channels-last [N,1,M,T,C]");
}

// Kernels count within an item in int.
void check_sizes(const char* op, const Conv2dShape& s) {
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  const auto check = [&](const char* what, std::int64_t size) {
    DCASE_CHECK(size <= kMost, op, ": ", what, " is ", size, ", at most ", kMost);
  };
  check("M*T*Ci", s.M * s.T * s.Ci);
  check("My*Ty*Co", s.My() * s.Ty() * s.Co);
  check("Km*Kt*Ci*Co", s.Km * s.Kt * s.Ci * s.Co);
  check("stride", std::max(s.stride_m, s.stride_t));
}

int as_int(std::int64_t size) { return static_cast<int>(size); }

struct Plain {
  template <class Args>
  static ConvTask task(const Args& a) {
    return conv_task(a);
  }
  template <class Args>
  static void run(const ConvKernel& kernel, const Args& a, const Context& context) {
    kernel.run(conv_task(a), context);
  }
};

}  // namespace

Conv2dShape checked_conv_shape(const char* op, const View<const float>& x, const View<const float>& w,
                               const View<const float>& y, std::int64_t stride_m, std::int64_t stride_t) {
  const Conv2dShape s = conv2d_shape(op, x, w, y, stride_m, stride_t);
  check_channels_last(op, "x", x);
  check_channels_last(op, "y", y);
  check_sizes(op, s);
  return s;
}

ConvTask conv_task(const Conv2dForward<float>& a) {
  ConvTask g;
  g.x = a.x.data;
  g.y = a.y.data;
  g.N = a.x.dim(0);
  g.Ci = as_int(a.w.dim(1));
  g.M = as_int(a.x.dim(2));
  g.T = as_int(a.x.dim(3));
  g.Co = as_int(a.w.dim(0));
  g.My = as_int(a.y.dim(2));
  g.Ty = as_int(a.y.dim(3));
  g.Km = as_int(a.w.dim(2));
  g.Kt = as_int(a.w.dim(3));
  g.stride_m = as_int(a.stride_m);
  g.stride_t = as_int(a.stride_t);
  g.pad_m = g.Km / 2;
  g.pad_t = g.Kt / 2;
  g.w = a.w.data;
  g.w_t = 1;
  g.w_m = g.Kt;
  g.w_i = g.Km * g.Kt;
  g.w_o = g.w_i * g.Ci;
  return g;
}

ConvTask conv_task(const Conv2dBackward<float>& a) {
  ConvTask g;
  g.x = a.dy.data;
  g.y = a.dx.data;
  g.N = a.dx.dim(0);
  g.Ci = as_int(a.w.dim(0));
  g.M = as_int(a.dy.dim(2));
  g.T = as_int(a.dy.dim(3));
  g.Co = as_int(a.w.dim(1));
  g.My = as_int(a.dx.dim(2));
  g.Ty = as_int(a.dx.dim(3));
  g.Km = as_int(a.w.dim(2));
  g.Kt = as_int(a.w.dim(3));
  // dy at i contributes to dx at m through tap a where i * stride = m + K/2 - a = m + (K-1-a) - (K-1-K/2).
  g.up_m = as_int(a.stride_m);
  g.up_t = as_int(a.stride_t);
  g.pad_m = g.Km - 1 - g.Km / 2;
  g.pad_t = g.Kt - 1 - g.Kt / 2;
  const int taps = g.Km * g.Kt;
  g.w = a.w.data + (taps - 1);  // the last tap comes first
  g.w_t = -1;
  g.w_m = -g.Kt;
  g.w_o = taps;
  g.w_i = std::int64_t{taps} * g.Co;
  g.accumulate = a.dx_mode == GradMode::kAdd ? 1 : 0;
  return g;
}

void conv2d_simple(const ConvTask& task, const Context& context) {
  DCASE_CHECK(task.partial == nullptr, "conv2d: the simple kernel makes no sums over positions");
  const std::int64_t outputs = task.N * task.My * task.Ty * task.Co;
  if (outputs == 0) return;
  launch(conv2d_simple_kernel,
         {.grid = strided_blocks(outputs, kConvSimpleThreads),
          .block = kConvSimpleThreads,
          .stream = context.stream,
          .name = "conv2d_simple"},
         task);
}

void make_weight_image(const ConvTask& task, Precision precision, const WeightImage& image, const Context& context) {
  const std::int64_t size = std::int64_t{task.Km} * task.Kt * image.chunks * image.columns * image.elements;
  const Launch l{.grid = static_cast<unsigned>((size + kConvSimpleThreads - 1) / kConvSimpleThreads),
                 .block = kConvSimpleThreads,
                 .stream = context.stream,
                 .name = "conv2d_weight_image"};
  switch (precision) {
    case Precision::kFp32:
      return launch(conv2d_weight_image_kernel<Precision::kFp32>, l, task, image);
    case Precision::kTf32:
      return launch(conv2d_weight_image_kernel<Precision::kTf32>, l, task, image);
    case Precision::kBf16:
      return launch(conv2d_weight_image_kernel<Precision::kBf16>, l, task, image);
  }
}

std::span<const Variant<Conv2dForward<float>>> conv2d_forward_variants() {
  return ConvVariants<Plain, Conv2dForward<float>>::kTable;
}
std::span<const Variant<Conv2dBackward<float>>> conv2d_data_gradient_variants() {
  return ConvVariants<Plain, Conv2dBackward<float>>::kTable;
}

void conv2d_forward(const Conv2dForward<float>& a, const Context& context) {
  check_algorithm(kForward, a.algorithm);
  checked_conv_shape(kForward, a.x, a.w, a.y, a.stride_m, a.stride_t);
  if (a.y.size() == 0) return;
  choose_variant(conv2d_forward_variants(), a, context).run(a, context);
}

void conv2d_backward(const Conv2dBackward<float>& a, const Context& context) {
  check_algorithm(kBackward, a.algorithm);
  DCASE_CHECK(!a.dx.present() || a.w.present(), kBackward, ": dx is wanted, w is missing");
  DCASE_CHECK(!a.dw.present() || a.x.present(), kBackward, ": dw is wanted, x is missing");
  if (a.dx.present()) {
    checked_conv_shape(kBackward, a.dx, a.w, a.dy, a.stride_m, a.stride_t);
    if (a.dx.size() > 0) choose_variant(conv2d_data_gradient_variants(), a, context).run(a, context);
  }
  if (a.dw.present()) {
    conv2d_weight_gradient(a, checked_conv_shape(kBackward, a.x, a.dw, a.dy, a.stride_m, a.stride_t), context);
  }
}

std::string conv2d_implementation(const Conv2dShape& s, ConvPass pass, const Context& context,
                                  ConvAlgorithm algorithm) {
  check_algorithm("conv2d_implementation", algorithm);
  const View<float> x(nullptr, {s.N, 1, s.M, s.T, s.Ci});
  const View<float> y(nullptr, {s.N, 1, s.My(), s.Ty(), s.Co});
  const View<float> w(nullptr, {s.Co, s.Ci, s.Km, s.Kt});
  switch (pass) {
    case ConvPass::kForward: {
      const Conv2dForward<float> a{.x = x, .w = w, .y = y, .stride_m = s.stride_m, .stride_t = s.stride_t};
      return choose_variant(conv2d_forward_variants(), a, context).name;
    }
    case ConvPass::kDataGradient: {
      const Conv2dBackward<float> a{.x = {}, .w = w, .dy = y, .dx = x, .stride_m = s.stride_m, .stride_t = s.stride_t};
      return choose_variant(conv2d_data_gradient_variants(), a, context).name;
    }
    case ConvPass::kWeightGradient:
      return choose_variant(conv2d_weight_gradient_variants(), {.shape = s}, context).name;
  }
  fail(ErrorKind::kArgument, "conv2d_implementation: unknown pass");
}

}  // namespace dcase::cuda
