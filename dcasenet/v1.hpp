#pragma once
/// DcaseNet v1 (paper figure 1(a), 8,700,200 parameters at full width): events are heard first, and what was heard
/// tells the scene. Reconstructed: docs/models.md says what is certain and what is inferred.
///
///     log-mel -> block1 -> block2 -> block3 -> block4 -> mean over mel -> gru -+
///     ASC: gru -> two 1-D SE residual blocks -> mean over time -> code -> logits
///     SED: gru -> linear -> sigmoid, each step repeated for 8 label frames
///     TAG: gru -> mean over time -> dense block -> logits

#include "dcasenet/shared_parts.hpp"

namespace dcase {

class V1 final : public Network {
 public:
  V1(const Architecture& architecture, const Scope& scope);
  [[nodiscard]] Outputs forward(const Variable& x, TaskSet tasks, const Pass& pass, Taps* taps) const override;

 private:
  // In the order of the state_dict, which is the order of construction.
  Crnn crnn_;
  EventHead events_;
  SceneHead scenes_;
  TagHead tags_;
};

}  // namespace dcase
