#pragma once
/// Inputs of the model files, and the statistics that stand in for large tensors.

#include <map>
#include <string>
#include <vector>

#include "engine/tensor.hpp"
#include "train/verify/checker.hpp"

namespace dcase::detail {

/// Log-mels [N,128,T,1] and targets by name: "ASC", "TAG", "SED", "T40" ...
class ModelInputs {
 public:
  /// From a joint-batch file; `path` empty: joint_batch.safetensors beside the checked file.
  [[nodiscard]] static ModelInputs stored(const Checker& checker, const std::string& path, const BackendPtr& backend);
  /// Inputs by formula in the shapes that the metadata names ({"ASC": [items, frames], ...}), compared with their
  /// stored sums; targets from the checked file.
  [[nodiscard]] static ModelInputs generated(Checker& checker, const std::string& prefix, const std::string& shapes,
                                             const BackendPtr& backend);

  /// The same with each input as it is, or one float32 up or down: equal but for rounding, another for each `seed`.
  [[nodiscard]] ModelInputs nudged(int seed) const;

  [[nodiscard]] const Tensor& x(const std::string& name) const;
  [[nodiscard]] const Tensor& y(const std::string& name) const;

 private:
  std::map<std::string, Tensor> x_;
  std::map<std::string, Tensor> y_;
  std::string origin_;  // for messages
};

/// [mean, biased standard deviation, minimum, maximum, L2 norm]
[[nodiscard]] std::vector<double> activation_statistics(const std::vector<float>& x);
/// [sum, sum of squares, first, last]
[[nodiscard]] std::vector<double> parameter_sums(const std::vector<float>& x);
/// [sum, L2 norm, first, last]
[[nodiscard]] std::vector<double> buffer_statistics(const std::vector<float>& x);
/// Compares [L2 norm, sum, g[0], g[n/3], g[2n/3], g[n-1]] with tensor `name`, each part under its own rule.
void compare_gradient_statistics(Checker& checker, const std::string& name, const std::vector<float>& gradient);

}  // namespace dcase::detail
