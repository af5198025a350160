#pragma once
/// What the three networks are built from: the trunk that all begin with, and the heads that they end in.
///
/// Sizes are given after division by Architecture::divisor, but for the trunk, which divides itself.

#include <string>
#include <vector>

#include "dcasenet/network.hpp"
#include "layers/bi_gru.hpp"
#include "layers/conv_block.hpp"
#include "layers/dense_block.hpp"
#include "layers/linear.hpp"
#include "layers/se_residual.hpp"

namespace dcase {

/// Keeps a value under a name where somebody asked for it.
void tap(Taps* taps, const std::string& name, const Variable& x);

/// Pool of the last convolution block: with those before it, 16 in mel and 40 in time.
inline constexpr ConvBlock::Pool kLastPool{.m = 2, .t = 5};

/// conv_block1 to conv_block3: log-mel [N,128,T,1] -> [N,16,T/8,256].
class Trunk {
 public:
  Trunk(const Scope& scope, std::int64_t divisor);
  /// Throws Error(kArgument) unless x is [N,128,T,1] with T >= kFramesPerStep.
  [[nodiscard]] Variable forward(const Variable& x, const Pass& pass, Taps* taps) const;

 private:
  ConvBlock block1_, block2_, block3_;
};

/// What v1 and v2 have in common (paper section 4.2): eight convolutions, the mean over mel, one bidirectional GRU.
/// They differ in where the scene head listens. State: conv_block1 to conv_block4, gru.
class Crnn {
 public:
  Crnn(const Scope& scope, std::int64_t divisor);
  /// Before the GRU: log-mel [N,128,T,1] -> [N,T/40,512]. Throws as Trunk.
  [[nodiscard]] Variable sequence(const Variable& x, const Pass& pass, Taps* taps) const;
  /// The GRU on it: [N,T/40,512] -> [N,T/40,512].
  [[nodiscard]] Variable recurrent(const Variable& sequence, Taps* taps) const;

 private:
  Trunk trunk_;
  ConvBlock block4_;
  BiGru gru_;
};

/// Scenes: squeeze-excite residual blocks, mean over all positions, code, logits; nothing between the last two.
/// [N,M,T,C] -> [N,K]. State: layer_ASC.0 .. , code_ASC, fc_ASC.
class SceneHead {
 public:
  struct Sizes {
    int dimensions = 2;  ///< of the blocks' convolutions; 1: along time, for maps of one row
    std::int64_t inputs = 0;
    std::int64_t width = 0;
    int blocks = 0;  ///< the first one has stride 2
    std::int64_t code = 0;
    std::int64_t classes = 0;
  };
  /// Of v1 and v2: two blocks along time, on either sequence of the CRNN.
  [[nodiscard]] static Sizes along_time(const Architecture& architecture);
  SceneHead(const Scope& scope, const Sizes& sizes);
  [[nodiscard]] Variable forward(const Variable& map, const Pass& pass, Taps* taps) const;

 private:
  std::vector<SeResidual> blocks_;
  Linear code_, logits_;
};

/// Events: linear, sigmoid, each step repeated for its label frames. [N,T,F] -> [N,8T,K]. State: event_fc.
class EventHead {
 public:
  EventHead(const Scope& scope, std::int64_t inputs, std::int64_t classes);
  [[nodiscard]] Variable forward(const Variable& sequence) const;

 private:
  Linear logits_;
};

/// Tags: mean over time, dense block, logits. [N,T,F] -> [N,K]. State: layer_TAG.0, .3 and .6.
class TagHead {
 public:
  TagHead(const Scope& scope, std::int64_t inputs, std::int64_t hidden, std::int64_t classes);
  [[nodiscard]] Variable forward(const Variable& sequence, const Pass& pass, Taps* taps) const;

 private:
  DenseBlock dense_;
  Linear logits_;
};

/// A sequence [N,T,F] as a map of one row [N,1,T,F].
[[nodiscard]] Variable row_map(const Variable& sequence);

}  // namespace dcase
