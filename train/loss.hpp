#pragma once
/// The losses of the three tasks, each a mean over the elements of the batch.

#include "dcasenet/network.hpp"
#include "engine/array.hpp"

namespace dcase {

struct Loss {
  Variable variable;    ///< one element, for backward
  Array<double> value;  ///< the same in double, in the memory of the outputs' device

  /// Waits for the device.
  [[nodiscard]] double read() const { return value.to_vector()[0]; }
};

/// ASC: softmax cross-entropy, target [N,K] (one-hot or mixed).
/// TAG: binary cross-entropy on logits, target [N,K].
/// SED: binary cross-entropy on probabilities, target [N,T2,K]; the first min(T, T2) label frames count, for the
/// network
///      gives 296 label frames for 300 of a 30 s crop.
[[nodiscard]] Loss task_loss(Task task, const Outputs& outputs, const Tensor& target);

}  // namespace dcase
