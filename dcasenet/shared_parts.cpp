#include "dcasenet/shared_parts.hpp"

#include "layers/functional.hpp"

namespace dcase {
namespace {

constexpr ConvBlock::Pool kHalve{.m = 2, .t = 2};

std::vector<SeResidual> scene_blocks(const Scope& scope, const SceneHead::Sizes& s) {
  std::vector<SeResidual> blocks;
  blocks.reserve(static_cast<std::size_t>(s.blocks));
  for (int i = 0; i < s.blocks; ++i) {
    blocks.emplace_back(scope / std::to_string(i), i == 0 ? s.inputs : s.width, s.width,
                        SeResidual::Options{.dimensions = s.dimensions, .stride = i == 0 ? 2 : 1});
  }
  return blocks;
}

}  // namespace

void tap(Taps* taps, const std::string& name, const Variable& x) {
  if (taps != nullptr) (*taps)[name] = x;
}

Trunk::Trunk(const Scope& s, std::int64_t divisor)
    : block1_(s / "conv_block1", 1, 64 / divisor, kHalve),
      block2_(s / "conv_block2", 64 / divisor, 128 / divisor, kHalve),
      block3_(s / "conv_block3", 128 / divisor, 256 / divisor, kHalve) {}

Variable Trunk::forward(const Variable& x, const Pass& pass, Taps* taps) const {
  const Tensor& in = x.value();
  DCASE_CHECK(in.rank() == 4 && in.dim(1) == 128 && in.dim(3) == 1, "network: input has shape ", to_string(in.shape()),
              ", expected [N,128,T,1]");
  DCASE_CHECK(in.dim(2) >= kFramesPerStep, "network: ", in.dim(2), " frames are too short, at least ", kFramesPerStep,
              " are needed");
  const Variable block1 = block1_.forward(x, pass);
  const Variable block2 = block2_.forward(block1, pass);
  const Variable block3 = block3_.forward(block2, pass);
  tap(taps, "block1", block1);
  tap(taps, "block2", block2);
  tap(taps, "block3", block3);
  return block3;
}

Crnn::Crnn(const Scope& s, std::int64_t divisor)
    : trunk_(s, divisor),
      block4_(s / "conv_block4", 256 / divisor, 512 / divisor, kLastPool),
      gru_(s / "gru", 512 / divisor, 256 / divisor) {}

Variable Crnn::sequence(const Variable& x, const Pass& pass, Taps* taps) const {
  const Variable block4 = block4_.forward(trunk_.forward(x, pass, taps), pass);
  tap(taps, "block4", block4);
  const Variable sequence = mean(block4, 1);
  tap(taps, "seq", sequence);
  return sequence;
}

Variable Crnn::recurrent(const Variable& sequence, Taps* taps) const {
  const Variable gru = gru_.forward(sequence);
  tap(taps, "gru", gru);
  return gru;
}

SceneHead::Sizes SceneHead::along_time(const Architecture& a) {
  return {.dimensions = 1,
          .inputs = 512 / a.divisor,
          .width = 256 / a.divisor,
          .blocks = 2,
          .code = 128 / a.divisor,
          .classes = a.classes_asc};
}

SceneHead::SceneHead(const Scope& s, const Sizes& sizes)
    : blocks_(scene_blocks(s / "layer_ASC", sizes)),
      code_(s / "code_ASC", sizes.width, sizes.code),
      logits_(s / "fc_ASC", sizes.code, sizes.classes) {}

Variable SceneHead::forward(const Variable& map, const Pass& pass, Taps* taps) const {
  Variable y = map;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    y = blocks_[i].forward(y, pass);
    tap(taps, i + 1 == blocks_.size() ? "layer_ASC" : concat("layer_ASC.", i), y);
  }
  const Tensor& v = y.value();
  const Variable code = code_.forward(mean(reshape(y, {v.dim(0), v.dim(1) * v.dim(2), v.dim(3)}), 1));
  tap(taps, "code_ASC", code);
  return logits_.forward(code);
}

// Initialised as released: drawn like the trunk, unlike the other heads.
EventHead::EventHead(const Scope& s, std::int64_t inputs, std::int64_t classes)
    : logits_(s / "event_fc", inputs, classes, kaiming_uniform(inputs), Initializer::constant(0)) {}

Variable EventHead::forward(const Variable& sequence) const {
  return repeat_time(sigmoid(logits_.forward(sequence)), kLabelsPerStep);
}

TagHead::TagHead(const Scope& s, std::int64_t inputs, std::int64_t hidden, std::int64_t classes)
    : dense_(s / "layer_TAG", inputs, hidden), logits_(s / "layer_TAG" / "6", hidden, classes) {}

Variable TagHead::forward(const Variable& sequence, const Pass& pass, Taps* taps) const {
  const Variable pooled = mean(sequence, 1);
  tap(taps, "mean_TAG", pooled);
  const Variable dense = dense_.forward(pooled, pass);
  tap(taps, "dense_TAG", dense);
  return logits_.forward(dense);
}

Variable row_map(const Variable& sequence) {
  const Tensor& v = sequence.value();
  return reshape(sequence, {v.dim(0), 1, v.dim(1), v.dim(2)});
}

}  // namespace dcase
