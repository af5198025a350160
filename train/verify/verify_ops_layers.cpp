#include "kernels/common/error.hpp"
#include "kernels/gru/gru.hpp"
#include "layers/functional.hpp"
#include "layers/se_residual.hpp"
#include "train/verify/differentiate.hpp"
#include "train/verify/layout.hpp"
#include "train/verify/verify_ops.hpp"

namespace dcase::detail {

void check_gru(const OpsCheck& c) {
  const char* const kNames[] = {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"};
  const Tensor x = as_stored(c.checker, c.key("x"), c.backend);
  const Tensor dy = as_stored(c.checker, c.key("dy"), c.backend);
  const Tensor hn = plain_like(c.checker, c.key("hn"), c.backend);  // [2,N,H]
  // Checked before the gates are allocated, whose size no tensor of the file has.
  DCASE_CHECK(x.rank() == 3 && hn.rank() == 3, c.group, ": x has rank ", x.rank(), ", hn ", hn.rank(), ", expected 3");
  check_shape(c.group.c_str(), "dy", dy.view(), {x.dim(0), x.dim(1), 2 * hn.dim(2)});
  const Tensor gates({2, x.dim(0), x.dim(1), 4 * hn.dim(2)}, c.backend);
  Tensor weights[2][4];
  Tensor gradients[2][4];
  for (int d = 0; d < 2; ++d) {
    for (int i = 0; i < 4; ++i) {
      weights[d][i] = as_stored(c.checker, c.key(concat(kNames[i], d == 1 ? "_reverse" : "")), c.backend);
      gradients[d][i] = weights[d][i].like();
    }
  }
  const Tensor y = dy.like();
  const Tensor dx = x.like();
  gru_forward<float>({.x = x,
                      .w_ih = {weights[0][0], weights[1][0]},
                      .w_hh = {weights[0][1], weights[1][1]},
                      .b_ih = {weights[0][2], weights[1][2]},
                      .b_hh = {weights[0][3], weights[1][3]},
                      .y = y,
                      .hn = hn,
                      .saved = {.gates = gates}},
                     c.backend->context());
  gru_backward<float>({.x = x,
                       .w_ih = {weights[0][0], weights[1][0]},
                       .w_hh = {weights[0][1], weights[1][1]},
                       .y = y,
                       .saved = {.gates = gates},
                       .dy = dy,
                       .dx = dx,
                       .dw_ih = {gradients[0][0], gradients[1][0]},
                       .dw_hh = {gradients[0][1], gradients[1][1]},
                       .db_ih = {gradients[0][2], gradients[1][2]},
                       .db_hh = {gradients[0][3], gradients[1][3]}},
                      c.backend->context());
  c.checker.compare(c.key("y"), y.to_vector());
  c.checker.compare(c.key("hn"), hn.to_vector());
  c.checker.compare(c.key("dx"), dx.to_vector());
  for (int d = 0; d < 2; ++d) {
    for (int i = 0; i < 4; ++i) {
      c.checker.compare(c.key(concat("d_", kNames[i], d == 1 ? "_reverse" : "")), gradients[d][i].to_vector());
    }
  }
}

namespace {

/// Overwrites the whole state of `store` with the inputs PREFIX.NAME of the file; counters are not stored.
void read_state(const OpsCheck& c, ParameterStore& store, const std::string& prefix) {
  for (const StateEntry& entry : store.entries()) {
    if (entry.counter != nullptr) continue;
    const std::string name = c.key(prefix + entry.name());
    c.checker.file().require_shape(name, entry.shape());
    const std::vector<float> values = c.checker.floats(name);
    (entry.parameter != nullptr ? entry.parameter->value() : entry.buffer->value).copy_from(values);
  }
  store.touch();
}

}  // namespace

void check_squeeze_excite(const OpsCheck& c) {
  const Tensor x = channels_last(c.checker, c.key("x"), c.backend);
  const Tensor dy = channels_last(c.checker, c.key("dy"), c.backend);
  const std::int64_t C = x.dim(x.rank() - 1);
  const std::int64_t reduced = C / SqueezeExcite::kReduction;
  c.checker.file().require_shape(c.key("w1"), {reduced, C});
  c.checker.file().require_shape(c.key("w2"), {C, reduced});
  ParameterStore store(c.backend);
  const SqueezeExcite layer(Scope(store), C);
  store.allocate();
  Parameter* const w1 = store.find("fc.0.weight")->parameter;
  Parameter* const w2 = store.find("fc.2.weight")->parameter;
  w1->value().copy_from(c.checker.floats(c.key("w1")));
  w2->value().copy_from(c.checker.floats(c.key("w2")));
  store.touch();
  const Variable input = Variable::leaf(x);
  const Variable y = channel_scale(input, layer.forward(input));
  backward_from(y, dy);
  c.checker.compare(c.key("y"), channels_first(y.value()));
  c.checker.compare(c.key("dx"), channels_first(input.grad()));
  c.checker.compare(c.key("dw1"), w1->variable.grad().to_vector());
  c.checker.compare(c.key("dw2"), w2->variable.grad().to_vector());
}

void check_residual_block(const OpsCheck& c) {
  const Tensor stored = channels_last(c.checker, c.key("x"), c.backend);
  const Tensor stored_dy = channels_last(c.checker, c.key("dy"), c.backend);
  const bool one = stored.rank() == 3;
  // A sequence is a map of one row.
  const auto as_map4 = [one](const Tensor& t) { return one ? t.reshaped({t.dim(0), 1, t.dim(1), t.dim(2)}) : t; };
  const Tensor x = as_map4(stored);
  const Tensor dy = as_map4(stored_dy);
  const std::int64_t Ci = x.dim(3);
  const std::int64_t Co = dy.dim(3);
  c.checker.file().require_shape(c.key("p.conv1.weight"), one ? Shape{Co, Ci, 3} : Shape{Co, Ci, 3, 3});
  ParameterStore store(c.backend);
  const SeResidual block(Scope(store), Ci, Co, {.dimensions = one ? 1 : 2, .stride = dy.dim(2) == x.dim(2) ? 1 : 2});
  store.allocate();
  for (const std::string mode : {"train", "eval"}) {
    read_state(c, store, "p.");  // training moves the averages
    store.reset_grads();
    const Variable input = Variable::leaf(x);
    const Variable y = block.forward(input, {.training = mode == "train"});
    backward_from(y, dy);
    c.checker.compare(c.key(mode + ".y"), channels_first(y.value()));
    c.checker.compare(c.key(mode + ".dx"), channels_first(input.grad()));
    for (const Parameter& parameter : store.parameters()) {
      c.checker.compare(c.key(mode + ".d_" + parameter.name), parameter.variable.grad().to_vector());
    }
  }
}

void check_linear(const OpsCheck& c) {
  const Variable x = Variable::leaf(as_stored(c.checker, c.key("x"), c.backend));
  const Variable w = Variable::leaf(as_stored(c.checker, c.key("w"), c.backend));
  const Variable b = Variable::leaf(as_stored(c.checker, c.key("b"), c.backend));
  const Variable y = relu(linear(x, w, b));
  backward_from(y, as_stored(c.checker, c.key("dy"), c.backend));
  c.checker.compare(c.key("relu_y"), y.value().to_vector());
  c.checker.compare(c.key("dx"), x.grad().to_vector());
  c.checker.compare(c.key("dw"), w.grad().to_vector());
  c.checker.compare(c.key("db"), b.grad().to_vector());
}

}  // namespace dcase::detail
