#include "dcasenet/onnx/modules.hpp"

#include "kernels/common/error.hpp"
#include "layers/batch_norm.hpp"

namespace dcase::onnx {
namespace {

// [3H, columns] with gates r, z, n, as stored -> z, r, n, appended to `to`.
void append_gates(const std::vector<float>& from, std::vector<float>& to) {
  const auto gate = static_cast<std::ptrdiff_t>(from.size() / 3);
  to.insert(to.end(), from.begin() + gate, from.begin() + 2 * gate);
  to.insert(to.end(), from.begin(), from.begin() + gate);
  to.insert(to.end(), from.begin() + 2 * gate, from.end());
}

Value batch_norm(Graph& g, const std::string& prefix, const Value& x) {
  return g.node(prefix, "BatchNormalization",
                {x, g.weight(prefix + ".weight"), g.weight(prefix + ".bias"), g.weight(prefix + ".running_mean"),
                 g.weight(prefix + ".running_var")},
                {{"epsilon", BatchNorm::kEps}});
}

// The kernel's sizes are those of the weight, the padding half of it.
Value conv(Graph& g, const std::string& prefix, const Value& x, std::int64_t stride) {
  const Shape shape = g.shape_of(prefix + ".weight");  // [Co,Ci,kernel...]
  const std::vector<std::int64_t> kernel(shape.begin() + 2, shape.end());
  std::vector<std::int64_t> pads;
  for (const std::int64_t size : kernel) pads.push_back(size / 2);
  pads.insert(pads.end(), pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(kernel.size()));
  return g.node(
      prefix, "Conv", {x, g.weight(prefix + ".weight")},
      {{"kernel_shape", kernel}, {"pads", pads}, {"strides", std::vector<std::int64_t>(kernel.size(), stride)}});
}

Value relu(Graph& g, const std::string& name, const Value& x) { return g.node(name, "Relu", {x}); }

// Per channel scale [N,C], with an axis of 1 for each axis of the map.
Value squeeze_excite(Graph& g, const std::string& prefix, const Value& x, std::int64_t axes) {
  std::vector<std::int64_t> positions;
  for (std::int64_t axis = 2; axis < 2 + axes; ++axis) positions.push_back(axis);
  const Value pooled = mean(g, prefix + ".mean", x, positions);
  const Value squeezed = relu(g, prefix + ".relu", linear(g, prefix + ".fc.0", pooled));
  const Value scale = g.node(prefix + ".sigmoid", "Sigmoid", {linear(g, prefix + ".fc.2", squeezed)});
  return g.node(prefix + ".scale", "Unsqueeze", {scale, g.integers(prefix + ".axes", positions)});
}

}  // namespace

Value conv_block(Graph& g, const std::string& prefix, const Value& x, std::int64_t pool_m, std::int64_t pool_t) {
  Value y = x;
  for (const std::string n : {"1", "2"}) {
    y = batch_norm(g, prefix + ".bn" + n, conv(g, prefix + ".conv" + n, y, 1));
    y = relu(g, prefix + ".relu" + n, y);
  }
  const std::vector<std::int64_t> window{pool_m, pool_t};
  return g.node(prefix + ".pool", "AveragePool", {y}, {{"kernel_shape", window}, {"strides", window}});
}

Value se_residual(Graph& g, const std::string& prefix, const Value& x, std::int64_t stride) {
  const auto axes = static_cast<std::int64_t>(g.shape_of(prefix + ".conv1.weight").size()) - 2;
  Value y = batch_norm(g, prefix + ".bn1", conv(g, prefix + ".conv1", x, stride));
  y = relu(g, prefix + ".relu1", y);
  y = batch_norm(g, prefix + ".bn2", conv(g, prefix + ".conv2", y, 1));
  y = g.node(prefix + ".scaled", "Mul", {y, squeeze_excite(g, prefix + ".se", y, axes)});
  Value residual = x;
  if (const std::string down = prefix + ".downsample"; g.has_weight(down + ".0.weight")) {
    residual = batch_norm(g, down + ".1", conv(g, down + ".0", x, stride));
  }
  return relu(g, prefix + ".relu2", g.node(prefix + ".sum", "Add", {y, residual}));
}

Value bi_gru(Graph& g, const std::string& prefix, const Value& x) {
  std::vector<float> w;
  std::vector<float> r;
  std::vector<float> b;
  for (const std::string end : {"_l0", "_l0_reverse"}) {
    append_gates(g.values_of(prefix + ".weight_ih" + end), w);
    append_gates(g.values_of(prefix + ".weight_hh" + end), r);
    append_gates(g.values_of(prefix + ".bias_ih" + end), b);
    append_gates(g.values_of(prefix + ".bias_hh" + end), b);
  }
  const Shape ih = g.shape_of(prefix + ".weight_ih_l0");
  const std::int64_t H = ih[0] / 3;
  const Value y = g.node(
      prefix, "GRU",
      {transpose(g, prefix + ".by_time", x, {1, 0, 2}),  // [T,N,F]
       g.constant(prefix + ".W", {2, 3 * H, ih[1]}, w), g.constant(prefix + ".R", {2, 3 * H, H}, r),
       g.constant(prefix + ".B", {2, 6 * H}, b)},
      {{"direction", "bidirectional"}, {"hidden_size", H}, {"linear_before_reset", std::int64_t{1}}});  // [T,2,N,H]
  return g.node(prefix + ".sequence", "Reshape",
                {transpose(g, prefix + ".by_item", y, {2, 0, 1, 3}), g.integers(prefix + ".shape", {0, 0, 2 * H})});
}

Value linear(Graph& g, const std::string& prefix, const Value& x) {
  const bool biased = g.has_weight(prefix + ".bias");
  const Value product = g.node(biased ? prefix + ".product" : prefix, "MatMul", {x, g.transposed(prefix + ".weight")});
  return biased ? g.node(prefix, "Add", {product, g.weight(prefix + ".bias")}) : product;
}

Value mean(Graph& g, const std::string& name, const Value& x, const std::vector<std::int64_t>& axes) {
  return g.node(name, "ReduceMean", {x}, {{"axes", axes}, {"keepdims", std::int64_t{0}}});
}

Value transpose(Graph& g, const std::string& name, const Value& x, const std::vector<std::int64_t>& order) {
  return g.node(name, "Transpose", {x}, {{"perm", order}});
}

Value repeat_time(Graph& g, const std::string& name, const Value& x, std::int64_t features, std::int64_t times) {
  const Value apart = g.node(name + ".apart", "Unsqueeze", {x, g.integers(name + ".axis", {2})});  // [N,T,1,F]
  const Value tiled = g.node(name + ".tiled", "Tile", {apart, g.integers(name + ".times", {1, 1, times, 1})});
  return g.node(name, "Reshape", {tiled, g.integers(name + ".shape", {0, -1, features})});
}

Value dense_block(Graph& g, const std::string& prefix, const Value& x) {
  Value y = x;
  for (const std::string n : {"0", "3"}) y = relu(g, concat(prefix, ".relu", n), linear(g, concat(prefix, ".", n), y));
  return y;
}

}  // namespace dcase::onnx
