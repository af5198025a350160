#pragma once
/// Checks of single operators, one function a family. `group` is the first part of the tensors' names.

#include <string>

#include "engine/backend.hpp"
#include "train/verify/checker.hpp"

namespace dcase::detail {

/// Everything one check needs.
struct OpsCheck {
  Checker& checker;
  const BackendPtr& backend;
  std::string group;

  [[nodiscard]] std::string key(const std::string& name) const { return group + "." + name; }
  [[nodiscard]] bool has(const std::string& name) const { return checker.file().contains(key(name)); }
};

// Maps: verify_ops_maps.cpp
void check_conv2d(const OpsCheck& c);
void check_conv1d(const OpsCheck& c);
void check_batchnorm(const OpsCheck& c);
void check_avg_pool(const OpsCheck& c);

// Layers: verify_ops_layers.cpp
void check_gru(const OpsCheck& c);
void check_squeeze_excite(const OpsCheck& c);
void check_residual_block(const OpsCheck& c);
void check_linear(const OpsCheck& c);

// Training: verify_ops_training.cpp
void check_loss(const OpsCheck& c);  // bce*, ce, mixup_*
void check_mixup(const OpsCheck& c);
void check_adam(const OpsCheck& c);
void check_schedule(const OpsCheck& c);

}  // namespace dcase::detail
