#pragma once
/// How ModelInfo stands in the metadata of a model file.

#include "dcasenet/model.hpp"

namespace dcase {

inline constexpr std::int64_t kMaxClasses = 100000;

void write_model_info(const ModelInfo& info, ArchiveWriter& writer);

}  // namespace dcase
