#pragma once
/// Which run a model comes from, for reports that compare runs.

#include <map>
#include <string>

#include <nlohmann/json.hpp>

namespace dcase {

/// {"preset", "changes", "seed", "step"} from a model file's metadata: the paper's experiment ("": none), where the
/// configuration departs from it (presets.hpp), the seed, the step that the model was saved after (null: unknown).
/// Null where the file does not come from a run, or from one whose configuration this version cannot read.
[[nodiscard]] nlohmann::ordered_json run_origin(const std::map<std::string, std::string>& metadata);

/// The same from a resolved configuration, without the step. Throws Error(kUsage), which `origin` begins.
[[nodiscard]] nlohmann::ordered_json run_origin_of(const nlohmann::json& config, const std::string& origin);

}  // namespace dcase
