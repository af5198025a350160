#include "train/checkpoint.hpp"

namespace dcase {
namespace {

using nlohmann::json;

constexpr const char* kTrain = "dcasenet.train";
constexpr const char* kConfig = "dcasenet.config";  // of a model made from a checkpoint
constexpr const char* kOrigin = "dcasenet.origin";  // {"step": N}, likewise
constexpr const char* kPrefix = "train.";

[[noreturn]] void damaged(const Archive& archive, const std::string& what) {
  fail(ErrorKind::kData, archive.path(), ": metadata ", kTrain, " is damaged: ", what);
}

std::int64_t count_at(const Archive& archive, const json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_number_integer() || it->get<std::int64_t>() < 0) {
    damaged(archive, concat("no count \"", key, "\""));
  }
  return it->get<std::int64_t>();
}

// A metadata entry as a JSON object; null where there is none.
json object_at(const std::map<std::string, std::string>& metadata, const char* key) {
  const auto it = metadata.find(key);
  if (it == metadata.end()) return {};
  // What is nested deeper than any entry of ours is left out: writing it again would exhaust the stack.
  const auto shallow = [](int depth, json::parse_event_t, const json&) { return depth < 32; };
  json value = json::parse(it->second, shallow, false);
  return value.is_object() ? value : json();
}

}  // namespace

void save_checkpoint(const std::string& path, const Model& model, const Optimizer& optimizer, const TrainState& state) {
  json best = json::object();
  for (const auto& [task, b] : state.best) best[task] = {{"value", b.value}, {"step", b.step}};
  json history = json::array();
  for (const Validation& v : state.history) {
    history.push_back(v.values);
    history.back()["step"] = v.step;
  }
  const json train = {{"step", state.step},
                      {"evaluated_step", state.evaluated_step},
                      {"optimizer_steps", optimizer.steps()},
                      {"best", best},
                      {"history", history},
                      {"config", state.config},
                      {"window", state.window},
                      {"window_steps", state.window_steps},
                      {"device", state.device},
                      {"threads", state.threads}};
  ArchiveWriter writer;
  model.write(writer);
  for (const auto& [name, tensor] : optimizer.state()) writer.add(kPrefix + name, tensor);
  writer.metadata(kTrain, train.dump());
  writer.write(path);
}

TrainState read_train_state(const Archive& archive) {
  const auto it = archive.metadata().find(kTrain);
  if (it == archive.metadata().end()) {
    fail(ErrorKind::kData, archive.path(), ": a model without training state; train on from it with --init instead");
  }
  const json j = json::parse(it->second, nullptr, false);
  if (!j.is_object()) damaged(archive, "no JSON object");
  TrainState state;
  state.step = count_at(archive, j, "step");
  state.window_steps = count_at(archive, j, "window_steps");
  state.threads = static_cast<int>(count_at(archive, j, "threads"));
  try {
    state.evaluated_step = j.at("evaluated_step").get<std::int64_t>();
    state.device = j.at("device").get<std::string>();
    state.config = j.at("config");
    state.window = j.at("window").get<std::map<std::string, double>>();
    for (const auto& [task, best] : j.at("best").items()) {
      state.best[task] = {.value = best.at("value").get<double>(), .step = best.at("step").get<std::int64_t>()};
    }
    // Earlier checkpoints have none.
    for (const json& row : j.value("history", json::array())) {
      auto values = row.get<std::map<std::string, double>>();
      const auto step = row.at("step").get<std::int64_t>();
      values.erase("step");
      state.history.push_back({.step = step, .values = std::move(values)});
    }
  } catch (const json::exception& error) {
    damaged(archive, error.what());
  }
  return state;
}

void restore_checkpoint(const Archive& archive, Model& model, Optimizer& optimizer) {
  const json j = json::parse(archive.metadata().at(kTrain), nullptr, false);
  const std::int64_t steps = count_at(archive, j, "optimizer_steps");
  const BnStats stored = read_model_info(archive).bn_stats;
  const BnStats wanted = model.info().bn_stats;
  if ((stored == BnStats::kShared) != (wanted == BnStats::kShared)) {
    fail(ErrorKind::kData, archive.path(), ": has ", bn_stats_name(stored), " batch-norm statistics, not ",
         bn_stats_name(wanted), "; start a run of its own with --init");
  }
  for (const auto& [name, tensor] : optimizer.state()) archive.require_shape(kPrefix + name, {tensor.size()});
  model.read_state(archive);
  for (const auto& [name, tensor] : optimizer.state()) {
    tensor.copy_from(archive.floats(kPrefix + name));
  }
  optimizer.set_steps(steps);
}

json run_config(const std::map<std::string, std::string>& metadata) {
  if (json config = object_at(metadata, kConfig); config.is_object()) return config;
  const json train = object_at(metadata, kTrain);
  return train.is_object() && train.contains("config") && train["config"].is_object() ? train["config"] : json();
}

std::int64_t run_step(const std::map<std::string, std::string>& metadata) {
  for (const char* key : {kOrigin, kTrain}) {
    const json entry = object_at(metadata, key);
    if (!entry.is_object() || !entry.contains("step")) continue;
    const json& step = entry["step"];
    if (step.is_number_integer() && step >= 0) return step.get<std::int64_t>();
  }
  return -1;
}

void drop_train_state(std::map<std::string, std::string>& metadata) {
  const json config = run_config(metadata);
  const std::int64_t step = run_step(metadata);
  metadata.erase(kTrain);
  if (config.is_object()) metadata[kConfig] = config.dump();
  if (step >= 0) metadata[kOrigin] = json{{"step", step}}.dump();
}

}  // namespace dcase
