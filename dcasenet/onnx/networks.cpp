#include "dcasenet/onnx/networks.hpp"

#include "dcasenet/onnx/modules.hpp"
#include "kernels/common/error.hpp"

namespace dcase::onnx {
namespace {

// V3::forward (dcasenet/v3.cpp)
Heads v3(Graph& g, const Architecture& a, const Value& map) {
  Value trunk = map;
  for (const std::string n : {"1", "2", "3"}) trunk = conv_block(g, "conv_block" + n, trunk, 2, 2);
  const Value block4_1 = conv_block(g, "conv_block4_1", trunk, 2, 5);
  const Value block4_2 = conv_block(g, "conv_block4_2", trunk, 2, 5);
  Heads heads;

  Value scene = se_residual(g, "layer_ASC.0", block4_2, 2);
  scene = se_residual(g, "layer_ASC.1", scene, 1);
  scene = se_residual(g, "layer_ASC.2", scene, 1);
  heads.asc = linear(g, "fc_ASC", linear(g, "code_ASC", mean(g, "layer_ASC.mean", scene, {2, 3})));

  const Value both = g.node("sequence.both", "Concat",
                            {mean(g, "sequence.mean_1", block4_1, {2}), mean(g, "sequence.mean_2", block4_2, {2})},
                            {{"axis", std::int64_t{1}}});  // [N,C,T]
  const Value sequence = transpose(g, "sequence", both, {0, 2, 1});
  const Value gru_1 = bi_gru(g, "gru_1", sequence);
  const Value gru_2 = bi_gru(g, "gru_2", sequence);
  const Value events = g.node("event_fc.sigmoid", "Sigmoid", {linear(g, "event_fc", gru_2)});
  heads.sed = repeat_time(g, "event_fc.repeated", events, a.classes_sed, kLabelsPerStep);

  const Value tags = g.node("layer_TAG.input", "Concat", {gru_1, gru_2}, {{"axis", std::int64_t{2}}});
  heads.tag = three_layers(g, "layer_TAG", mean(g, "layer_TAG.mean", tags, {1}));
  return heads;
}

}  // namespace

Heads network(Graph& g, const Architecture& a, const Value& log_mel) {
  if (a.version != 3) fail(ErrorKind::kUsage, "DcaseNet v", a.version, " has no ONNX export, only v3");
  const Value map = g.node("log_mel.map", "Unsqueeze", {log_mel, g.integers("log_mel.channel", {1})});  // [N,1,128,T]
  return v3(g, a, map);
}

}  // namespace dcase::onnx
