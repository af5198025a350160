#include "layers/functional.hpp"

#include "kernels/elementwise/channel_scale.hpp"
#include "kernels/elementwise/concat.hpp"
#include "kernels/elementwise/dropout.hpp"
#include "kernels/elementwise/elementwise.hpp"
#include "kernels/gemm/gemm.hpp"
#include "kernels/reduce/reduce.hpp"

namespace dcase {
namespace {

View<float> shaped(const View<float>& view, std::initializer_list<std::int64_t> sizes) {
  return view.present() ? View<float>(view.data, sizes) : View<float>();
}

View<const float> shaped(const Tensor& tensor, std::initializer_list<std::int64_t> sizes) {
  return {tensor.data(), sizes};
}

// [N, .., C] as [N, P, C]: items, positions, channels.
struct Positions {
  std::int64_t N, P, C;
  explicit Positions(const Tensor& x) : N(x.dim(0)), P(1), C(x.dim(x.rank() - 1)) {
    for (int axis = 1; axis + 1 < x.rank(); ++axis) P *= x.dim(axis);
  }
};

}  // namespace

Variable relu(const Variable& x) {
  Tensor y = x.value().like();
  relu_forward<float>({.x = x.value(), .y = y}, y.context());
  return record("relu", y, {x}, [y](Grads& g) {
    const Gradient dx = g.in(0);
    relu_backward<float>({.y = y, .dy = g.out(), .dx = dx.view, .dx_mode = dx.mode}, y.context());
  });
}

Variable sigmoid(const Variable& x) {
  Tensor y = x.value().like();
  sigmoid_forward<float>({.x = x.value(), .y = y}, y.context());
  return record("sigmoid", y, {x}, [y](Grads& g) {
    const Gradient dx = g.in(0);
    sigmoid_backward<float>({.y = y, .dy = g.out(), .dx = dx.view, .dx_mode = dx.mode}, y.context());
  });
}

Variable dropout(const Variable& x, float p, const RandomKey& key) {
  if (p == 0) return x;
  Tensor y = x.value().like();
  dropout_forward<float>({.x = x.value(), .p = p, .key = key, .y = y}, y.context());
  return record("dropout", y, {x}, [p, key](Grads& g) {
    const Gradient dx = g.in(0);
    dropout_backward<float>({.dy = g.out(), .p = p, .key = key, .dx = dx.view, .dx_mode = dx.mode}, g.out().context());
  });
}

Variable linear(const Variable& x, const Variable& w, const Variable& b) {
  Shape shape = x.value().shape();
  DCASE_CHECK(shape.size() >= 2, "linear: input has shape ", to_string(shape), ", expected [.., I]");
  const std::int64_t outputs = w.value().dim(0);
  shape.back() = outputs;
  Tensor y(shape, x.value().backend());
  gemm<float>({.a = x.value(), .b = w.value(), .bias = b.value(), .c = y, .trans_b = true}, y.context());
  return record("linear", y, {x, w, b}, [x = x.value(), w = w.value(), outputs](Grads& g) {
    const Tensor& dy = g.out();
    if (const Gradient dx = g.in(0); dx.view.present()) {
      gemm<float>({.a = dy, .b = w, .c = dx.view, .mode = dx.mode}, dy.context());
    }
    if (const Gradient dw = g.in(1); dw.view.present()) {
      gemm<float>({.a = dy, .b = x, .c = dw.view, .trans_a = true, .mode = dw.mode}, dy.context());
    }
    if (const Gradient db = g.in(2); db.view.present()) {
      column_sum<float>({.x = shaped(dy, {dy.size() / outputs, outputs}), .y = db.view, .mode = db.mode}, dy.context());
    }
  });
}

Variable mean(const Variable& x, int axis) {
  const Tensor& in = x.value();
  DCASE_CHECK(axis >= 0 && axis < in.rank(), "mean: axis ", axis, " of a tensor of shape ", to_string(in.shape()));
  Shape shape;
  std::int64_t outer = 1;
  std::int64_t inner = 1;
  for (int a = 0; a < in.rank(); ++a) {
    if (a != axis) shape.push_back(in.dim(a));
    (a < axis ? outer : inner) *= a == axis ? 1 : in.dim(a);
  }
  const std::int64_t length = in.dim(axis);
  Tensor y(shape, in.backend());
  mean_forward<float>({.x = shaped(in, {outer, length, inner}), .y = shaped(y.view(), {outer, inner})}, y.context());
  return record("mean", y, {x}, [outer, length, inner](Grads& g) {
    const Gradient dx = g.in(0);
    mean_backward<float>(
        {.dy = shaped(g.out(), {outer, inner}), .dx = shaped(dx.view, {outer, length, inner}), .dx_mode = dx.mode},
        g.out().context());
  });
}

Variable concat(const Variable& a, const Variable& b) {
  const std::int64_t ca = a.value().dim(a.value().rank() - 1);
  const std::int64_t cb = b.value().dim(b.value().rank() - 1);
  Shape shape = a.value().shape();
  shape.back() = ca + cb;
  const std::int64_t rows = ca == 0 ? 0 : a.value().size() / ca;
  DCASE_CHECK(b.value().size() == rows * cb, "concat: ", to_string(a.value().shape()), " beside ",
              to_string(b.value().shape()));
  Tensor y(shape, a.value().backend());
  concat2_forward<float>(
      {.a = shaped(a.value(), {rows, ca}), .b = shaped(b.value(), {rows, cb}), .y = shaped(y.view(), {rows, ca + cb})},
      y.context());
  return record("concat", y, {a, b}, [rows, ca, cb](Grads& g) {
    const Gradient da = g.in(0);
    const Gradient db = g.in(1);
    concat2_backward<float>({.dy = shaped(g.out(), {rows, ca + cb}),
                             .ca = ca,
                             .da = shaped(da.view, {rows, ca}),
                             .db = shaped(db.view, {rows, cb}),
                             .da_mode = da.mode,
                             .db_mode = db.mode},
                            g.out().context());
  });
}

Variable repeat_time(const Variable& x, int times) {
  const Tensor& in = x.value();
  DCASE_CHECK(in.rank() == 3, "repeat_time: input has shape ", to_string(in.shape()), ", expected [N,T,F]");
  Tensor y({in.dim(0), in.dim(1) * times, in.dim(2)}, in.backend());
  repeat_time_forward<float>({.x = in, .times = times, .y = y}, y.context());
  return record("repeat_time", y, {x}, [times](Grads& g) {
    const Gradient dx = g.in(0);
    repeat_time_backward<float>({.dy = g.out(), .times = times, .dx = dx.view, .dx_mode = dx.mode}, g.out().context());
  });
}

Variable reshape(const Variable& x, const Shape& shape) {
  return record("reshape", x.value().reshaped(shape), {x}, [old = x.value().shape()](Grads& g) {
    const Gradient dx = g.in(0);
    scale<float>({.x = g.out().reshaped(old), .y = dx.view, .mode = dx.mode}, g.out().context());
  });
}

Variable channel_scale(const Variable& x, const Variable& s) {
  const Positions p(x.value());
  Tensor y = x.value().like();
  channel_scale_forward<float>(
      {.x = shaped(x.value(), {p.N, p.P, p.C}), .s = s.value(), .y = shaped(y.view(), {p.N, p.P, p.C})}, y.context());
  return record("channel_scale", y, {x, s}, [x = x.value(), s = s.value(), p](Grads& g) {
    const Gradient dx = g.in(0);
    const Gradient ds = g.in(1);
    channel_scale_backward<float>({.x = shaped(x, {p.N, p.P, p.C}),
                                   .s = s,
                                   .dy = shaped(g.out(), {p.N, p.P, p.C}),
                                   .dx = shaped(dx.view, {p.N, p.P, p.C}),
                                   .ds = ds.view,
                                   .dx_mode = dx.mode,
                                   .ds_mode = ds.mode},
                                  x.context());
  });
}

Variable channel_scale_add_relu(const Variable& x, const Variable& s, const Variable& residual) {
  const Positions p(x.value());
  Tensor y = x.value().like();
  scale_residual_relu_forward<float>({.x = shaped(x.value(), {p.N, p.P, p.C}),
                                      .s = s.value(),
                                      .residual = shaped(residual.value(), {p.N, p.P, p.C}),
                                      .y = shaped(y.view(), {p.N, p.P, p.C})},
                                     y.context());
  return record("channel_scale_add_relu", y, {x, s, residual}, [x = x.value(), s = s.value(), y, p](Grads& g) {
    const Gradient dx = g.in(0);
    const Gradient ds = g.in(1);
    const Gradient dr = g.in(2);
    scale_residual_relu_backward<float>({.x = shaped(x, {p.N, p.P, p.C}),
                                         .s = s,
                                         .y = shaped(y, {p.N, p.P, p.C}),
                                         .dy = shaped(g.out(), {p.N, p.P, p.C}),
                                         .dx = shaped(dx.view, {p.N, p.P, p.C}),
                                         .ds = ds.view,
                                         .dresidual = shaped(dr.view, {p.N, p.P, p.C}),
                                         .dx_mode = dx.mode,
                                         .ds_mode = ds.mode,
                                         .dresidual_mode = dr.mode},
                                        x.context());
  });
}

}  // namespace dcase
