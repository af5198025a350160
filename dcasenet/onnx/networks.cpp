#include "dcasenet/onnx/networks.hpp"

#include "dcasenet/onnx/modules.hpp"
#include "kernels/common/error.hpp"

namespace dcase::onnx {
namespace {

// Trunk::forward (dcasenet/shared_parts.cpp)
Value trunk(Graph& g, Value x) {
  for (const std::string n : {"1", "2", "3"}) x = conv_block(g, "conv_block" + n, x, 2, 2);
  return x;
}

// SceneHead::forward; `x` is a map [N,C,M,T], or [N,C,T] for blocks along time alone.
Value scene_head(Graph& g, Value x, int blocks, const std::vector<std::int64_t>& positions) {
  for (int i = 0; i < blocks; ++i) x = se_residual(g, concat("layer_ASC.", i), x, i == 0 ? 2 : 1);
  return linear(g, "fc_ASC", linear(g, "code_ASC", mean(g, "layer_ASC.mean", x, positions)));
}

// EventHead::forward
Value event_head(Graph& g, const Architecture& a, const Value& sequence) {
  const Value events = g.node("event_fc.sigmoid", "Sigmoid", {linear(g, "event_fc", sequence)});
  return repeat_time(g, "event_fc.repeated", events, a.classes_sed, kLabelsPerStep);
}

// TagHead::forward
Value tag_head(Graph& g, const Value& sequence) {
  const Value pooled = mean(g, "layer_TAG.mean", sequence, {1});
  return linear(g, "layer_TAG.6", dense_block(g, "layer_TAG", pooled));
}

// V1::forward and V2::forward. Channels stand before time where convolutions read, behind it elsewhere.
Heads v1_or_v2(Graph& g, const Architecture& a, const Value& log_mel) {
  const Value pooled = mean(g, "sequence.mean", conv_block(g, "conv_block4", trunk(g, log_mel), 2, 5), {2});  // [N,C,T]
  const Value gru = bi_gru(g, "gru", transpose(g, "sequence", pooled, {0, 2, 1}));
  Heads heads;
  if (a.version == 1) {
    heads.asc = scene_head(g, transpose(g, "gru.by_channel", gru, {0, 2, 1}), 2, {2});
    heads.sed = event_head(g, a, gru);
  } else {
    heads.asc = scene_head(g, pooled, 2, {2});
    heads.sed = event_head(g, a, dense_block(g, "layer_SED", gru));
  }
  heads.tag = tag_head(g, gru);
  return heads;
}

// V3::forward
Heads v3(Graph& g, const Architecture& a, const Value& log_mel) {
  const Value map = trunk(g, log_mel);
  const Value block4_1 = conv_block(g, "conv_block4_1", map, 2, 5);
  const Value block4_2 = conv_block(g, "conv_block4_2", map, 2, 5);
  const Value both = g.node("sequence.both", "Concat",
                            {mean(g, "sequence.mean_1", block4_1, {2}), mean(g, "sequence.mean_2", block4_2, {2})},
                            {{"axis", std::int64_t{1}}});  // [N,C,T]
  const Value sequence = transpose(g, "sequence", both, {0, 2, 1});
  const Value gru_1 = bi_gru(g, "gru_1", sequence);
  const Value gru_2 = bi_gru(g, "gru_2", sequence);
  Heads heads;
  heads.asc = scene_head(g, block4_2, 3, {2, 3});
  heads.sed = event_head(g, a, gru_2);
  heads.tag = tag_head(g, g.node("layer_TAG.input", "Concat", {gru_1, gru_2}, {{"axis", std::int64_t{2}}}));
  return heads;
}

}  // namespace

Heads network(Graph& g, const Architecture& a, const Value& log_mel) {
  const Value map = g.node("log_mel.map", "Unsqueeze", {log_mel, g.integers("log_mel.channel", {1})});  // [N,1,128,T]
  return a.version == 3 ? v3(g, a, map) : v1_or_v2(g, a, map);
}

}  // namespace dcase::onnx
