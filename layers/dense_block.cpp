#include "layers/dense_block.hpp"

#include "layers/functional.hpp"

namespace dcase {
namespace {

// As in the released layer_TAG.
constexpr float kDropout2 = 0.2F;
constexpr float kDropout5 = 0.1F;

}  // namespace

DenseBlock::DenseBlock(const Scope& scope, std::int64_t inputs, std::int64_t hidden)
    : linear_0_(scope / "0", inputs, hidden),
      linear_3_(scope / "3", hidden, hidden),
      dropout_2_("dropout/" + scope.path("2")),
      dropout_5_("dropout/" + scope.path("5")) {}

Variable DenseBlock::forward(const Variable& x, const Pass& pass) const {
  const bool drop = pass.training && pass.dropout;
  Variable y = relu(linear_0_.forward(x));
  if (drop) y = dropout(y, kDropout2, pass.random.key(dropout_2_));
  y = relu(linear_3_.forward(y));
  if (drop) y = dropout(y, kDropout5, pass.random.key(dropout_5_));
  return y;
}

}  // namespace dcase
