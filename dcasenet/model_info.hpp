#pragma once
/// How ModelInfo stands in the metadata of a model file.

#include "dcasenet/model.hpp"

namespace dcase {

inline constexpr std::int64_t kMaxClasses = 100000;
/// What the names of batch-norm averages beside the state_dict start with.
inline constexpr const char* kAveragesPrefix = "averages.";

void write_model_info(const ModelInfo& info, ArchiveWriter& writer);

}  // namespace dcase
