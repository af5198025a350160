#pragma once
/// How ModelInfo stands in the metadata of a model file.

#include "dcasenet/model.hpp"

namespace dcase {

/// Which DcaseNet the tensors' names are of, each behind `prefix`: 1, 2 or 3; 0 where they are of none.
[[nodiscard]] int version_by_names(const Archive& archive, const std::string& prefix = "");

void write_model_info(const ModelInfo& info, ArchiveWriter& writer);

}  // namespace dcase
