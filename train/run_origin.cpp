#include "train/run_origin.hpp"

#include "train/checkpoint.hpp"
#include "train/config/config.hpp"

namespace dcase {

nlohmann::ordered_json run_origin_of(const nlohmann::json& config, const std::string& origin) {
  const TrainConfig c = config_from_json(config, origin);
  return {{"preset", c.preset}, {"changes", preset_changes(c)}, {"seed", c.train.seed}};
}

nlohmann::ordered_json run_origin(const std::map<std::string, std::string>& metadata) {
  const nlohmann::json config = run_config(metadata);
  if (!config.is_object()) return nullptr;
  try {
    nlohmann::ordered_json origin = run_origin_of(config, "metadata");
    const std::int64_t step = run_step(metadata);
    origin["step"] = step < 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(step);
    return origin;
  } catch (const Error&) {
    return nullptr;  // the model can be used all the same
  }
}

}  // namespace dcase
