/// dcasenet model info: what a model file is and where it comes from.

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "dcasenet/model.hpp"
#include "dcasenet/model_info.hpp"
#include "dcasenet/weights/weights.hpp"
#include "train/cli/app.hpp"
#include "train/cli/model_verbs.hpp"

namespace dcase::cli {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::string file, key;
  bool json = false;
};

ordered_json describe(const Options& options, const Weights& file, const Model& model) {
  const ModelInfo& info = model.info();
  const Architecture& a = info.architecture;
  const auto& tensors = file.archive.tensors();
  const bool checkpoint =
      std::any_of(tensors.begin(), tensors.end(), [](const TensorInfo& t) { return t.name.starts_with("train."); });
  ordered_json j = {{"file", options.file},
                    {"format", format_name(file.format)},
                    {"notes", file.notes},
                    {"version", a.version},
                    {"width", a.divisor == 1 ? "1" : fmt::format("1/{}", a.divisor)},
                    {"parameters", model.parameters().parameter_count()},
                    {"bn_stats", bn_stats_name(info.bn_stats)},
                    {"checkpoint", checkpoint},
                    {"sample_rate", info.front_end.sample_rate},
                    {"front_end", front_end_json(info.front_end)}};
  j["front_end"].erase("sample_rate");
  for (const Task task : kAllTasks) j["classes"][task_name(task)] = info.labels[task].names();
  if (const auto it = info.metadata.find("dcasenet.train"); it != info.metadata.end()) {
    const auto train = nlohmann::json::parse(it->second, nullptr, false);
    for (const char* field : {"step", "best", "history"}) {
      if (train.is_object() && train.contains(field)) j[field] = train.at(field);
    }
  }
  return j;
}

// Validation results by step, a row each; a column for each metric that any step has.
void print_history(const nlohmann::json& history) {
  std::vector<std::string> columns;
  for (const auto& row : history) {
    for (const auto& item : row.items()) {
      const bool known = std::find(columns.begin(), columns.end(), item.key()) != columns.end();
      if (item.key() != "step" && !known) columns.push_back(item.key());
    }
  }
  fmt::print("  validation:\n  {:>10}", "step");
  for (const std::string& column : columns) fmt::print("  {}", column);
  fmt::print("\n");
  for (const auto& row : history) {
    fmt::print("  {:>10}", row.value("step", std::int64_t{0}));
    for (const std::string& column : columns) {
      const bool has = row.contains(column) && row.at(column).is_number();
      fmt::print("  {:>{}}", has ? fmt::format("{:.4f}", row.at(column).get<double>()) : "", column.size());
    }
    fmt::print("\n");
  }
}

std::string bn_stats_text(const Model& model) {
  if (model.info().bn_stats == BnStats::kShared) return "shared averages";
  std::string batches;
  for (const Task task : kAllTasks) {
    const std::int64_t seen = averaged_batches(model.parameters(), task);
    batches += fmt::format("{}{} {}", batches.empty() ? "" : ", ", task_name(task), seen);
  }
  return fmt::format("{} averages (batches: {})", bn_stats_name(model.info().bn_stats), batches);
}

void print(const ordered_json& j, const Model& model) {
  const ModelInfo& info = model.info();
  const MelParameters& p = info.front_end;
  fmt::print(
      "{}\n  {}: DcaseNet v{}, width {}, {} parameters{}\n", j["file"].get<std::string>(),
      j["format"].get<std::string>(), info.architecture.version, j["width"].get<std::string>(),
      j["parameters"].get<std::int64_t>(),
      j["checkpoint"].get<bool>() ? fmt::format(", checkpoint of step {}", j.value("step", std::int64_t{0})) : "");
  for (const auto& note : j["notes"]) fmt::print("  note: {}\n", note.get<std::string>());
  fmt::print("  front end: {} Hz, FFT of {} points, window {}, hop {}, {} mel rows from {:g} to {:g} Hz\n",
             p.sample_rate, p.n_fft, p.window, p.hop, p.mels, p.f_min, p.f_max);
  fmt::print("  batch norm evaluates with {}\n", bn_stats_text(model));
  for (const Task task : kAllTasks) {
    fmt::print("  {} classes ({}):", task_name(task), info.labels[task].size());
    for (const std::string& name : info.labels[task].names()) fmt::print(" {}", name);
    fmt::print("\n");
  }
  const auto history = j.find("history");
  const bool rows = history != j.end() && history->is_array() && !history->empty() &&
                    std::all_of(history->begin(), history->end(), [](const auto& row) { return row.is_object(); });
  if (rows) print_history(*history);
}

int info(const Options& options) {
  const Weights file = open_weights(options.file, options.key);
  const Model model = Model::load(file.archive);
  const ordered_json j = describe(options, file, model);
  if (options.json) {
    std::cout << j.dump(2) << "\n";
  } else {
    print(j, model);
  }
  return kExitOk;
}

}  // namespace

void add_model_info(Program& program, CLI::App& group) {
  auto o = std::make_shared<Options>();
  CLI::App& verb = program.add(group, "info", "architecture, classes, front end and history of a model file",
                               [o](Environment&) { return info(*o); });
  verb.add_option("FILE", o->file, "model or checkpoint: .safetensors, or a file of PyTorch")->required();
  verb.add_flag("--json", o->json, "as JSON");
  verb.add_option("--key", o->key, "which dictionary of a PyTorch file, where it holds several");
}

}  // namespace dcase::cli
