#pragma once
/// One function a kind of reference file. Each uses every tensor that it knows: what it leaves is reported as unknown.

#include "engine/backend.hpp"
#include "train/verify/checker.hpp"
#include "train/verify/verify.hpp"

namespace dcase::detail {

void verify_ops(Checker& checker, const BackendPtr& backend);
void verify_mel(Checker& checker, const BackendPtr& backend);
void verify_metrics(Checker& checker);
void verify_init(Checker& checker, const BackendPtr& backend);
void verify_joint_batch(Checker& checker);
void verify_model(Checker& checker, const BackendPtr& backend, const VerifyOptions& options);

/// Sorted distinct parts of the tensors' names before the first dot ("conv2d_k3s1").
[[nodiscard]] std::vector<std::string> groups_of(const Archive& file);

}  // namespace dcase::detail
