#pragma once
/// How ModelInfo stands in the metadata of a model file.

#include <nlohmann/json_fwd.hpp>

#include "dcasenet/model.hpp"

namespace dcase {

/// What the names of batch-norm averages beside the state_dict start with.
inline constexpr const char* kAveragesPrefix = "averages.";

/// The class list of a task in a file whose head has `classes` rows: the file's own; where it has none, the built-in
/// one if that is as long, else "class_0" and so on. Throws Error(kData) for a list that does not fit.
[[nodiscard]] LabelSet read_labels(const Archive& archive, Task task, std::int64_t classes);

/// Which DcaseNet the tensors' names are of, each behind `prefix`: 1, 2 or 3; 0 where they are of none.
[[nodiscard]] int version_by_names(const Archive& archive, const std::string& prefix = "");

/// The front end's parameters by the names that they have in files.
[[nodiscard]] nlohmann::ordered_json front_end_json(const MelParameters& parameters);

void write_model_info(const ModelInfo& info, ArchiveWriter& writer);

}  // namespace dcase
