#pragma once
#include "layers/linear.hpp"

namespace dcase {

/// linear - ReLU - dropout .2 - linear - ReLU - dropout .1: [.., I] -> [.., H].
///
/// The paper's 'Dense' block (section 3, after Akiyama and Sato). It is the start of a sequence in the state_dict,
/// whose layers are counted: the linear ones are 0 and 3, and a layer 6 may follow.
/// State: 0.weight, 0.bias, 3.weight, 3.bias.
class DenseBlock {
 public:
  DenseBlock(const Scope& scope, std::int64_t inputs, std::int64_t hidden);

  [[nodiscard]] Variable forward(const Variable& x, const Pass& pass) const;

 private:
  Linear linear_0_, linear_3_;
  std::string dropout_2_, dropout_5_;  // names of their random streams
};

}  // namespace dcase
