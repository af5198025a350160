#include "layers/conv.hpp"

#include <cmath>

#include "kernels/common/map.hpp"

namespace dcase {

Initializer kaiming_uniform(std::int64_t fan_in) {
  return Initializer::uniform(std::sqrt(6 / static_cast<double>(fan_in)));
}

Conv::Conv(const Scope& scope, std::int64_t inputs, std::int64_t outputs, const Options& options,
           const Initializer& initializer)
    : store_(&scope.store()),
      inputs_(inputs),
      outputs_(outputs),
      options_(options),
      pack_(std::make_shared<Conv2dPack>()) {
  const std::int64_t k = options.kernel;
  const Shape shape = options.dimensions == 1 ? Shape{outputs, inputs, k} : Shape{outputs, inputs, k, k};
  weight_ = scope.parameter("weight", shape, initializer);
}

View<const float> Conv::kernel_view() const {
  const std::int64_t k = options_.kernel;
  return {weight_->value().data(), {outputs_, inputs_, options_.dimensions == 1 ? 1 : k, k}};
}

Conv2dShape Conv::shape(std::int64_t N, std::int64_t M, std::int64_t T) const {
  const bool one = options_.dimensions == 1;
  return {.N = N,
          .Ci = inputs_,
          .M = M,
          .T = T,
          .Co = outputs_,
          .Km = one ? 1 : options_.kernel,
          .Kt = options_.kernel,
          .stride_m = one ? 1 : options_.stride,
          .stride_t = options_.stride};
}

void Conv::run_forward(View<const float> x, View<float> y) const {
  conv2d_forward<float>({.x = x,
                         .w = kernel_view(),
                         .y = y,
                         .stride_m = options_.dimensions == 1 ? 1 : options_.stride,
                         .stride_t = options_.stride,
                         .pack = pack_.get(),
                         .version = store_->version()},
                        weight_->value().context());
}

void Conv::run_backward(View<const float> x, View<const float> dy, const Gradient& dx, const Gradient& dw) const {
  const View<const float> w = kernel_view();
  View<float> dw_view;
  if (dw.view.present()) dw_view = {dw.view.data, {w.dim(0), w.dim(1), w.dim(2), w.dim(3)}};
  conv2d_backward<float>({.x = x,
                          .w = w,
                          .dy = dy,
                          .dx = dx.view,
                          .dw = dw_view,
                          .stride_m = options_.dimensions == 1 ? 1 : options_.stride,
                          .stride_t = options_.stride,
                          .pack = pack_.get(),
                          .version = store_->version(),
                          .dx_mode = dx.mode,
                          .dw_mode = dw.mode},
                         weight_->value().context());
}

Variable Conv::forward(const Variable& x) const {
  const Tensor& in = x.value();
  DCASE_CHECK(in.rank() == 4 && in.dim(3) == inputs_, weight_->name, ": input has shape ", to_string(in.shape()),
              ", expected [N,M,T,", inputs_, "]");
  const Conv2dShape s = shape(in.dim(0), in.dim(1), in.dim(2));
  Tensor y({s.N, s.My(), s.Ty(), s.Co}, in.backend());
  run_forward(as_map(View<const float>(in)), as_map(y.view()));
  return record("conv", y, {x, weight_->variable}, [this, in](Grads& g) {
    Gradient dx = g.in(0);
    const Gradient dw = g.in(1);
    if (dx.view.present()) dx.view = as_map(dx.view);
    run_backward(as_map(View<const float>(in)), as_map(View<const float>(g.out())), dx, dw);
  });
}

}  // namespace dcase
