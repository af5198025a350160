#pragma once
/// DcaseNet v3, the released network (paper figure 1(c), 13,882,920 parameters at full width).
///
///     log-mel -> block1 -> block2 -> block3 -+-> block4_1 -+
///                                            +-> block4_2 -+-> mean over mel -> gru_1, gru_2
///     ASC: block4_2 -> three SE residual blocks -> global mean -> code -> logits
///     SED: gru_2 -> linear -> sigmoid, each step repeated for 8 label frames
///     TAG: gru_1 | gru_2 -> mean over time -> dense block -> logits

#include "dcasenet/shared_parts.hpp"
#include "layers/bi_gru.hpp"

namespace dcase {

class V3 final : public Network {
 public:
  V3(const Architecture& architecture, const Scope& scope);
  [[nodiscard]] Outputs forward(const Variable& x, TaskSet tasks, const Pass& pass, Taps* taps) const override;

 private:
  // In the order of the released state_dict, which is the order of construction.
  Trunk trunk_;
  ConvBlock block4_1_, block4_2_;
  BiGru gru_1_, gru_2_;
  EventHead events_;
  SceneHead scenes_;
  TagHead tags_;
};

}  // namespace dcase
