// ConvBlock on CUDA, where batch normalisation costs no pass of its own over the maps (kernels/conv_bn).

#include "kernels/common/map.hpp"
#include "kernels/conv_bn/conv_bn.hpp"
#include "kernels/elementwise/elementwise.hpp"
#include "kernels/pool2d/pool2d.hpp"
#include "layers/conv_block.hpp"

namespace dcase {
namespace {

// What normalises a map, as one factor and one summand a channel.
struct Affine {
  Tensor scale, shift;  // [C]
};

Affine affine_of(const BatchNorm& bn, const BatchNorm::Statistics& s) {
  Affine affine{.scale = s.mean.like(), .shift = s.mean.like()};
  conv_bn_affine<float>({.mean = s.mean,
                         .variance = s.variance,
                         .gamma = bn.gamma().value(),
                         .beta = bn.beta().value(),
                         .eps = BatchNorm::kEps,
                         .scale = affine.scale,
                         .shift = affine.shift},
                        s.mean.context());
  return affine;
}

void pass_on(const Tensor& gradient, const Gradient& into) {
  if (!into.view.present()) return;
  scale<float>({.x = gradient, .y = into.view, .mode = into.mode}, gradient.context());
}

}  // namespace

Variable ConvBlock::train_fused(const Variable& x, const Pass& pass) const {
  const Tensor& in = x.value();
  const Context& context = in.context();
  const BatchNorm::Tail tail{.relu = true, .pool_m = pool_.m, .pool_t = pool_.t};
  const Shape shape{in.dim(0), 1, in.dim(1), in.dim(2), outputs_};
  const std::int64_t count = in.dim(0) * in.dim(1) * in.dim(2);
  const auto new_statistics = [&] {
    return BatchNorm::Statistics{.mean = bn1_.gamma().value().like(), .variance = bn1_.gamma().value().like()};
  };

  const Tensor z1(shape, in.backend());
  const BatchNorm::Statistics s1 = new_statistics();
  conv_bn_forward<float>({.x = as_map(View<const float>(in)),
                          .w = conv1_.kernel_view(),
                          .y = z1,
                          .mean = s1.mean,
                          .variance = s1.variance},
                         context);
  bn1_.track(s1, count, pass);
  const Affine a1 = affine_of(bn1_, s1);

  const Tensor z2(shape, in.backend());
  const BatchNorm::Statistics s2 = new_statistics();
  conv_bn_forward<float>({.x = z1,
                          .in_scale = a1.scale,
                          .in_shift = a1.shift,
                          .in_relu = true,
                          .w = conv2_.kernel_view(),
                          .y = z2,
                          .mean = s2.mean,
                          .variance = s2.variance},
                         context);
  bn2_.track(s2, count, pass);
  Tensor y({in.dim(0), in.dim(1) / pool_.m, in.dim(2) / pool_.t, outputs_}, in.backend());
  bn2_.run_forward(z2, s2, tail, as_map(y.view()));

  return record("conv_block", y, inputs(x), [this, in, z1, s1, a1, z2, s2, tail](Grads& g) {
    const Context& on = in.context();
    const Gradient dx = g.in(0);
    const Gradient dw1 = g.in(1);
    const Gradient dgamma1 = g.in(2);
    const Gradient dbeta1 = g.in(3);
    const Gradient dw2 = g.in(4);
    const Gradient dgamma2 = g.in(5);
    const Gradient dbeta2 = g.in(6);
    Tensor dz2 = z2.like();
    bn2_.run_backward(z2, s2, tail, as_map(View<const float>(g.out())), true, {.view = dz2}, dgamma2, dbeta2);
    if (dw2.view.present()) {
      conv_bn_weight_gradient<float>({.x = z1,
                                      .in_scale = a1.scale,
                                      .in_shift = a1.shift,
                                      .dy = dz2,
                                      .dw = {dw2.view.data, {outputs_, outputs_, 3, 3}},
                                      .dw_mode = dw2.mode},
                                     on);
    }
    const Tensor dz1 = z1.like();
    const Tensor dgamma = s1.mean.like();
    const Tensor dbeta = s1.mean.like();
    conv_bn_backward<float>({.dy = dz2,
                             .w = conv2_.kernel_view(),
                             .x = z1,
                             .mean = s1.mean,
                             .variance = s1.variance,
                             .gamma = bn1_.gamma().value(),
                             .beta = bn1_.beta().value(),
                             .eps = BatchNorm::kEps,
                             .relu = true,
                             .dz = dz1,
                             .dgamma = dgamma,
                             .dbeta = dbeta},
                            on);
    dz2 = {};
    pass_on(dgamma, dgamma1);
    pass_on(dbeta, dbeta1);
    conv_bn_input_gradient<float>({.x = z1,
                                   .mean = s1.mean,
                                   .variance = s1.variance,
                                   .gamma = bn1_.gamma().value(),
                                   .eps = BatchNorm::kEps,
                                   .dz = dz1,
                                   .dgamma = dgamma,
                                   .dbeta = dbeta,
                                   .dx = dz1},
                                  on);
    conv1_.run_backward(as_map(View<const float>(in)), dz1,
                        {.view = dx.view.present() ? as_map(dx.view) : View<float>(), .mode = dx.mode}, dw1);
  });
}

Variable ConvBlock::infer_folded(const Variable& x, const Pass& pass) const {
  const Tensor& in = x.value();
  const Context& context = in.context();
  const auto convolve = [&](const Conv& conv, const BatchNorm& bn, View<const float> map, const Tensor& y) {
    const View<const float> w = conv.kernel_view();
    const BatchNorm::Statistics s = bn.running(pass);
    const Tensor folded = conv.weight().value().like();
    const Tensor bias = s.mean.like();
    const View<float> folded_view(folded.data(), {w.dim(0), w.dim(1), w.dim(2), w.dim(3)});
    conv_bn_fold<float>({.w = w,
                         .mean = s.mean,
                         .variance = s.variance,
                         .gamma = bn.gamma().value(),
                         .beta = bn.beta().value(),
                         .eps = BatchNorm::kEps,
                         .folded = folded_view,
                         .bias = bias},
                        context);
    conv_bn_inference<float>({.x = map, .w = folded_view, .bias = bias, .relu = true, .y = y}, context);
  };
  const Shape shape{in.dim(0), 1, in.dim(1), in.dim(2), outputs_};
  const Tensor a1(shape, in.backend());
  const Tensor a2(shape, in.backend());
  convolve(conv1_, bn1_, as_map(View<const float>(in)), a1);
  convolve(conv2_, bn2_, a1, a2);
  Tensor y({in.dim(0), in.dim(1) / pool_.m, in.dim(2) / pool_.t, outputs_}, in.backend());
  avg_pool_forward<float>(
      {.x = a2, .pool_m = static_cast<int>(pool_.m), .pool_t = static_cast<int>(pool_.t), .y = as_map(y.view())},
      context);
  return Variable(std::move(y));
}

}  // namespace dcase
