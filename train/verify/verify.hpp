#pragma once
/// `dcasenet verify`: checks this build against reference files (tests/golden/README.md).

#include <string>

#include "engine/backend.hpp"
#include "train/verify/checker.hpp"

namespace dcase {

struct VerifyOptions {
  std::string joint_batch;  ///< inputs of the model files; empty: joint_batch.safetensors beside the file
};

/// Computes everything the file has results for and compares. The kind of file is told by its tensors.
/// A deviation, or a tensor that nothing checks, is in the report; what cannot be compared at all throws: Error(kIo) or
/// Error(kData) for the file, Error(kData) for a tensor that is missing, Error(kArgument) for shapes that operators
/// refuse.
[[nodiscard]] VerifyReport verify_file(const std::string& path, const BackendPtr& backend,
                                       const VerifyOptions& options = {});

/// Throws Error(kData) when the file is no reference file.
[[nodiscard]] ReferenceKind reference_kind(const Archive& file);

}  // namespace dcase
