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
    : weight_(scope.parameter("weight", {outputs, inputs}, default_bound(inputs))) {
  if (bias) bias_ = scope.parameter("bias", {outputs}, default_bound(inputs));
}

Linear::Linear(const Scope& scope, std::int64_t inputs, std::int64_t outputs, const Initializer& weight,
               const Initializer& bias)
    : weight_(scope.parameter("weight", {outputs, inputs}, weight)), bias_(scope.parameter("bias", {outputs}, bias)) {}

Variable Linear::forward(const Variable& x) const {
  return linear(x, weight_->variable, bias_ != nullptr ? bias_->variable : Variable());
}

}  // namespace dcase
