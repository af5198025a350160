#pragma once
#include "layers/module.hpp"

namespace dcase {

/// y = x W^T + b, x [.., I], y [.., O]. State: weight [O,I], bias [O].
class Linear {
 public:
  /// Initialised as the framework's default, uniform in +-1/sqrt(I), unless a weight initializer is given.
  Linear(const Scope& scope, std::int64_t inputs, std::int64_t outputs, bool bias = true);
  Linear(const Scope& scope, std::int64_t inputs, std::int64_t outputs, bool bias, const Initializer& weight);

  [[nodiscard]] Variable forward(const Variable& x) const;

 private:
  const Parameter* weight_;
  const Parameter* bias_ = nullptr;
};

}  // namespace dcase
