#include "kernels/elementwise/channel_scale.hpp"

#include "kernels/elementwise/channel_scale_kernels.cuh"

namespace dcase::cuda {
namespace {

unsigned items_of(const char* op, View<const float> x) {
  DCASE_CHECK(x.dim(0) <= 65535, op, ": ", x.dim(0), " items, at most 65535");
  return static_cast<unsigned>(x.dim(0));
}

template <int kWidth, bool kResidual>
void forward_as(const char* op, View<const float> x, const float* s, const float* residual, View<float> y,
                const Context& context) {
  const Lanes lanes(op, x.dim(2), kWidth);
  launch(channel_scale_forward_kernel<kWidth, kResidual>,
         {.grid = {lanes.strided(x.dim(1), kScalePositions), lanes.blocks, items_of(op, x)},
          .block = kLaneThreads,
          .stream = context.stream,
          .name = op},
         x.data, s, residual, y.data, x.dim(1), lanes);
}

template <bool kResidual>
void forward(const char* op, View<const float> x, const float* s, const float* residual, View<float> y,
             const Context& context) {
  if (x.size() == 0) return;
  if (x.dim(2) % 4 == 0 && aligned16(x.data, s, residual, y.data)) {
    forward_as<4, kResidual>(op, x, s, residual, y, context);
  } else {
    forward_as<1, kResidual>(op, x, s, residual, y, context);
  }
}

template <int kWidth, bool kResidual>
void backward_as(const char* op, View<const float> x, ChannelScaleArrays arrays, View<float> ds, GradMode ds_mode,
                 const Context& context) {
  const std::int64_t P = x.dim(1);
  const std::int64_t C = x.dim(2);
  const unsigned items = items_of(op, x);
  const Lanes lanes(op, C, kWidth);
  // Chunks that fill a GPU, but none without some batches for each thread: the sizes alone decide.
  constexpr std::int64_t kBlocks = 512;
  const std::int64_t least = std::int64_t{4} * kScalePositions * lanes.rows;
  const std::int64_t wanted = std::max<std::int64_t>(1, kBlocks / (std::int64_t{lanes.blocks} * items));
  const std::int64_t chunk = std::max(least, (P + wanted - 1) / wanted);
  const std::int64_t chunks = std::max<std::int64_t>(1, (P + chunk - 1) / chunk);
  const Scratch<double> partial(context, ds.present() ? items * chunks * C : 0);
  arrays.partial = partial.data();
  launch(channel_scale_backward_kernel<kWidth, kResidual>,
         {.grid = {static_cast<unsigned>(chunks), lanes.blocks, items},
          .block = kLaneThreads,
          .stream = context.stream,
          .name = op},
         arrays, P, chunk, lanes);
  if (!ds.present()) return;
  launch(channel_scale_ds_kernel,
         {.grid = static_cast<unsigned>((ds.size() + kLaneThreads - 1) / kLaneThreads),
          .block = kLaneThreads,
          .stream = context.stream,
          .name = op},
         partial.data(), ds.data, ds_mode == GradMode::kAdd, ds.size(), chunks, C);
}

template <bool kResidual>
void backward(const char* op, View<const float> x, const ChannelScaleArrays& a, View<float> ds, GradMode ds_mode,
              const Context& context) {
  if (x.dim(0) * x.dim(2) == 0) return;  // without positions ds is still 0
  if (x.dim(2) % 4 == 0 && aligned16(a.x, a.s, a.y, a.dy, a.dx, a.dresidual)) {
    backward_as<4, kResidual>(op, x, a, ds, ds_mode, context);
  } else {
    backward_as<1, kResidual>(op, x, a, ds, ds_mode, context);
  }
}

}  // namespace

void channel_scale_forward(const ChannelScaleForward<float>& a, const Context& context) {
  check(a);
  forward<false>("channel_scale_forward", a.x, a.s.data, nullptr, a.y, context);
}

void scale_residual_relu_forward(const ScaleResidualReluForward<float>& a, const Context& context) {
  check(a);
  forward<true>("scale_residual_relu_forward", a.x, a.s.data, a.residual.data, a.y, context);
}

void channel_scale_backward(const ChannelScaleBackward<float>& a, const Context& context) {
  check(a);
  const ChannelScaleArrays arrays{.x = a.x.data,
                                  .s = a.s.data,
                                  .y = nullptr,
                                  .dy = a.dy.data,
                                  .dx = a.dx.data,
                                  .dresidual = nullptr,
                                  .add_dx = a.dx_mode == GradMode::kAdd,
                                  .add_dresidual = false,
                                  .partial = nullptr};
  backward<false>("channel_scale_backward", a.x, arrays, a.ds, a.ds_mode, context);
}

void scale_residual_relu_backward(const ScaleResidualReluBackward<float>& a, const Context& context) {
  check(a);
  const ChannelScaleArrays arrays{.x = a.x.data,
                                  .s = a.s.data,
                                  .y = a.y.data,
                                  .dy = a.dy.data,
                                  .dx = a.dx.data,
                                  .dresidual = a.dresidual.data,
                                  .add_dx = a.dx_mode == GradMode::kAdd,
                                  .add_dresidual = a.dresidual_mode == GradMode::kAdd,
                                  .partial = nullptr};
  backward<true>("scale_residual_relu_backward", a.x, arrays, a.ds, a.ds_mode, context);
}

}  // namespace dcase::cuda
