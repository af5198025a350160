#pragma once
/// DcaseNet v2 (paper figure 1(b), 8,893,736 parameters at full width): scenes ask for less abstraction than events, so
/// they are told from the convolutions, before the GRU. Reconstructed: docs/models.md says what is certain and what is
/// inferred.
///
///     log-mel -> block1 -> block2 -> block3 -> block4 -> mean over mel -+-> gru
///     ASC: mean over mel -> two 1-D SE residual blocks -> mean over time -> code -> logits
///     SED: gru -> dense block -> linear -> sigmoid, each step repeated for 8 label frames
///     TAG: gru -> mean over time -> dense block -> logits

#include "dcasenet/shared_parts.hpp"

namespace dcase {

class V2 final : public Network {
 public:
  V2(const Architecture& architecture, const Scope& scope);
  [[nodiscard]] Outputs forward(const Variable& x, TaskSet tasks, const Pass& pass, Taps* taps) const override;

 private:
  // In the order of the state_dict, which is the order of construction.
  Crnn crnn_;
  DenseBlock dense_sed_;
  EventHead events_;
  SceneHead scenes_;
  TagHead tags_;
};

}  // namespace dcase
