#pragma once
/// The operations on record behind variables, for looking on: drawings, inspection.

#include <vector>

#include "engine/autograd.hpp"

namespace dcase {

/// One recorded operation. A slot stands for a variable: Variable::slot.
struct Operation {
  const char* name;  ///< as given to `record`
  const GradSlot* output;
  std::vector<const GradSlot*> inputs;  ///< those that a gradient is wanted for
};

/// Everything that the variables depend on, each operation behind those it reads. The slots live as long as the
/// variables, or until `backward` frees the graph.
[[nodiscard]] std::vector<Operation> recorded_operations(const std::vector<Variable>& of);

}  // namespace dcase
