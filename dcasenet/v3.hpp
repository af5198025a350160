#pragma once
/// DcaseNet v3, the released network (paper figure 1(c), 13,882,920 parameters at full width).
///
///     log-mel -> block1 -> block2 -> block3 -+-> block4_1 -+
///                                            +-> block4_2 -+-> mean over mel -> gru_1, gru_2
///     ASC: block4_2 -> three SE residual blocks -> global mean -> code -> logits
///     SED: gru_2 -> linear -> sigmoid, each step repeated for 8 label frames
///     TAG: gru_1 | gru_2 -> mean over time -> three linear layers -> logits

#include <vector>

#include "dcasenet/network.hpp"
#include "layers/bi_gru.hpp"
#include "layers/conv_block.hpp"
#include "layers/linear.hpp"
#include "layers/se_residual.hpp"

namespace dcase {

class V3 final : public Network {
 public:
  V3(const Architecture& architecture, const Scope& scope);
  [[nodiscard]] Outputs forward(const Variable& x, TaskSet tasks, const Pass& pass, Taps* taps) const override;

 private:
  [[nodiscard]] Variable scene(const Variable& map, const Pass& pass, Taps* taps) const;
  [[nodiscard]] Variable tags(const Variable& sequence, const Pass& pass) const;

  // In the order of the released state_dict, which is the order of construction.
  ConvBlock block1_, block2_, block3_, block4_1_, block4_2_;
  BiGru gru_1_, gru_2_;
  Linear event_fc_;
  SeResidual asc_0_, asc_1_, asc_2_;
  Linear code_asc_, fc_asc_;
  Linear tag_0_, tag_3_, tag_6_;
};

}  // namespace dcase
