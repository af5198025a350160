// The convolutions of v3 at the batches of joint training, alone and fused with batch normalisation.

#include "bench/cuda/case.hpp"
#include "kernels/conv2d/conv2d.hpp"
#include "kernels/conv2d/conv2d_weight_gradient.hpp"
#include "kernels/conv_bn/conv_bn.hpp"

namespace dcase::bench::gpu {
namespace {

struct Layer {
  const char* name;
  std::int64_t Ci, Co, rows, divide_t;  // of 128 rows and T frames at the input of the network
  std::int64_t kernel = 3;
  std::int64_t stride = 1;
};

// Those of the ASC head come last: they see crops of 5 s alone, and no fused kernel takes a stride.
constexpr Layer kLayers[] = {
    {"conv1_1", 1, 64, 128, 1},   {"conv1_2", 64, 64, 128, 1},        {"conv2_1", 64, 128, 64, 2},
    {"conv2_2", 128, 128, 64, 2}, {"conv3_1", 128, 256, 32, 4},       {"conv3_2", 256, 256, 32, 4},
    {"conv4", 256, 256, 16, 8},   {"asc_0_1", 256, 384, 8, 40, 3, 2}, {"asc_0_down", 256, 384, 8, 40, 1, 2},
    {"asc_0_2", 384, 384, 4, 80},
};
constexpr std::size_t kTrunkLayers = 7;

struct Batch {
  const char* name;
  std::int64_t N, frames;
};
constexpr Batch kCrops = {"32x251", 32, 251};         // ASC, TAG
constexpr Batch kRecordings = {"24x1500", 24, 1500};  // SED

Conv2dShape shape_of(const Layer& layer, const Batch& batch, bool tiny) {
  const auto small = [tiny](std::int64_t size, std::int64_t most) { return tiny ? std::min(size, most) : size; };
  return {.N = small(batch.N, batch.N == kCrops.N ? 2 : 1),
          .Ci = small(layer.Ci, 16),
          .M = small(layer.rows, 5),
          .T = small(batch.frames / layer.divide_t, 9),
          .Co = small(layer.Co, 16),
          .Km = layer.kernel,
          .Kt = layer.kernel,
          .stride_m = layer.stride,
          .stride_t = layer.stride};
}

// Everything that the passes read and write, made where it is asked for.
class Arrays {
 public:
  Arrays(const Setting& s, const Conv2dShape& shape) : s_(s), shape_(shape) {}

  [[nodiscard]] Tensor x() { return keep(on_device(s_, "x", x_shape())); }
  [[nodiscard]] Tensor w() { return keep(on_device(s_, "w", w_shape(), 0.05F)); }
  [[nodiscard]] Tensor dy() { return keep(on_device(s_, "dy", y_shape())); }
  /// About 1: a variance, or a scale.
  [[nodiscard]] Tensor positive(std::int64_t channels) { return keep(Tensor::filled({channels}, 1.1F, s_.backend)); }
  [[nodiscard]] Tensor near_zero(std::int64_t channels) { return keep(on_device(s_, "shift", {channels}, 0.2F)); }

  [[nodiscard]] Tensor new_x() { return output(x_shape()); }
  [[nodiscard]] Tensor new_w() { return output(w_shape()); }
  [[nodiscard]] Tensor new_y() { return output(y_shape()); }
  [[nodiscard]] Tensor new_channels(std::int64_t channels) { return output({channels}); }

  [[nodiscard]] const std::vector<Tensor>& outputs() const { return outputs_; }
  [[nodiscard]] std::shared_ptr<const void> kept() const { return std::make_shared<std::vector<Tensor>>(inputs_); }

 private:
  [[nodiscard]] Shape x_shape() const { return {shape_.N, 1, shape_.M, shape_.T, shape_.Ci}; }
  [[nodiscard]] Shape w_shape() const { return {shape_.Co, shape_.Ci, shape_.Km, shape_.Kt}; }
  [[nodiscard]] Shape y_shape() const { return {shape_.N, 1, shape_.My(), shape_.Ty(), shape_.Co}; }
  Tensor keep(const Tensor& x) { return inputs_.emplace_back(x); }
  Tensor output(const Shape& shape) { return outputs_.emplace_back(shape, s_.backend); }

  const Setting& s_;
  Conv2dShape shape_;
  std::vector<Tensor> inputs_, outputs_;
};

template <class Args>
Prepared compared(std::span<const cuda::Variant<Args>> table, const Args& args, const Conv2dShape& shape,
                  const Setting& s, const Arrays& a) {
  return by_table(table, args, s, a.outputs(), conv2d_cost(shape), a.kept());
}

Prepared forward(const Conv2dShape& c, const Setting& s) {
  Arrays a(s, c);
  const Conv2dForward<float> args{
      .x = a.x(), .w = a.w(), .y = a.new_y(), .stride_m = c.stride_m, .stride_t = c.stride_t};
  return compared(cuda::conv2d_forward_variants(), args, c, s, a);
}

Prepared data_gradient(const Conv2dShape& c, const Setting& s) {
  Arrays a(s, c);
  const Conv2dBackward<float> args{
      .x = {}, .w = a.w(), .dy = a.dy(), .dx = a.new_x(), .stride_m = c.stride_m, .stride_t = c.stride_t};
  return compared(cuda::conv2d_data_gradient_variants(), args, c, s, a);
}

Prepared weight_gradient(const Conv2dShape& c, const Setting& s) {
  Arrays a(s, c);
  const cuda::Conv2dWeightGradient args{.x = a.x().data(), .dy = a.dy().data(), .dw = a.new_w().data(), .shape = c};
  return compared(cuda::conv2d_weight_gradient_variants(), args, c, s, a);
}

// The first convolution of the network has no batch normalisation in front of it.
Prepared fused_forward(const Conv2dShape& c, const Setting& s) {
  Arrays a(s, c);
  ConvBnForward<float> args{
      .x = a.x(), .w = a.w(), .y = a.new_y(), .mean = a.new_channels(c.Co), .variance = a.new_channels(c.Co)};
  if (c.Ci > 1) {
    args.in_scale = a.positive(c.Ci);
    args.in_shift = a.near_zero(c.Ci);
    args.in_relu = true;
  }
  return compared(cuda::conv_bn_forward_variants(), args, c, s, a);
}

Prepared fused_inference(const Conv2dShape& c, const Setting& s) {
  Arrays a(s, c);
  const ConvBnInference<float> args{.x = a.x(), .w = a.w(), .bias = a.near_zero(c.Co), .relu = true, .y = a.new_y()};
  return compared(cuda::conv_bn_inference_variants(), args, c, s, a);
}

Prepared fused_backward(const Conv2dShape& c, const Setting& s) {
  Arrays a(s, c);
  const ConvBnBackward<float> args{.dy = a.dy(),
                                   .w = a.w(),
                                   .x = a.x(),
                                   .mean = a.near_zero(c.Ci),
                                   .variance = a.positive(c.Ci),
                                   .gamma = a.positive(c.Ci),
                                   .beta = a.near_zero(c.Ci),
                                   .relu = true,
                                   .dz = a.new_x(),
                                   .dgamma = a.new_channels(c.Ci),
                                   .dbeta = a.new_channels(c.Ci)};
  return compared(cuda::conv_bn_backward_variants(), args, c, s, a);
}

}  // namespace

void add_convolutions(std::vector<DeviceCase>& cases, bool tiny) {
  struct Pass {
    const char* name;
    Prepared (*prepare)(const Conv2dShape&, const Setting&);
    bool fused, first_layer;  // first_layer: runs on the network's input, whose gradient nobody asks for
  };
  constexpr Pass kPasses[] = {{"conv2d_forward", forward, false, true},
                              {"conv2d_data_gradient", data_gradient, false, false},
                              {"conv2d_weight_gradient", weight_gradient, false, true},
                              {"conv_bn_forward", fused_forward, true, true},
                              {"conv_bn_inference", fused_inference, true, true},
                              {"conv_bn_backward", fused_backward, true, false}};
  for (const Pass& pass : kPasses) {
    for (const Batch& batch : {kCrops, kRecordings}) {
      for (std::size_t i = 0; i < std::size(kLayers); ++i) {
        const Layer& layer = kLayers[i];
        if (i >= kTrunkLayers && (pass.fused || batch.N != kCrops.N)) continue;
        if (layer.Ci == 1 && !pass.first_layer) continue;
        const Conv2dShape c = shape_of(layer, batch, tiny);
        cases.push_back({.name = concat(pass.name, "/", layer.name, "/", batch.name),
                         .shape = concat("[", c.N, ",", c.M, ",", c.T, ",", c.Ci, "] -> ", c.Co, ", ", c.Km, "x", c.Kt,
                                         c.stride_t > 1 ? ", stride 2" : ""),
                         .prepare = [prepare = pass.prepare, c](const Setting& s) { return prepare(c, s); }});
      }
    }
  }
}

}  // namespace dcase::bench::gpu
