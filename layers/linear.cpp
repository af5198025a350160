#include "layers/linear.hpp"

#include <cmath>

#include "layers/functional.hpp"

namespace dcase {
namespace {

Initializer default_bound(std::int64_t inputs) {
  return Initializer::uniform(1 / std::sqrt(static_cast<double>(inputs)));
}

}  // namespace

Linear::Linear(const Scope& scope, std::int64_t inputs, std::int64_t outputs, bool bias)
    : Linear(scope, inputs, outputs, bias, default_bound(inputs)) {}

Linear::Linear(const Scope& scope, std::int64_t inputs, std::int64_t outputs, bool bias, const Initializer& weight)
    : weight_(scope.parameter("weight", {outputs, inputs}, weight)) {
  if (bias) bias_ = scope.parameter("bias", {outputs}, default_bound(inputs));
}

Variable Linear::forward(const Variable& x) const {
  return linear(x, weight_->variable, bias_ != nullptr ? bias_->variable : Variable());
}

}  // namespace dcase
