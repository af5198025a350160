#pragma once
#include "layers/module.hpp"

namespace dcase {

/// y = x W^T + b, x [.., I], y [.., O]. State: weight [O,I], bias [O].
class Linear {
 public:
  /// Initialised as the framework's default: weight and bias uniform in +-1/sqrt(I).
  Linear(const Scope& scope, std::int64_t inputs, std::int64_t outputs, bool bias = true);
  /// Initialised as stated, with a bias.
  Linear(const Scope& scope, std::int64_t inputs, std::int64_t outputs, const Initializer& weight,
         const Initializer& bias);

  [[nodiscard]] Variable forward(const Variable& x) const;

 private:
  const Parameter* weight_;
  const Parameter* bias_ = nullptr;
};

}  // namespace dcase
