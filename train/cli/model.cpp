/// dcasenet model: what a model file is, and the bare network on given features.

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "dcasenet/session.hpp"
#include "train/cli/app.hpp"
#include "train/cli/exit_codes.hpp"
#include "train/cli/verbs.hpp"

namespace dcase::cli {
namespace {

struct InfoOptions {
  std::string file;
  bool json = false;
};

std::string bn_stats_text(const Model& model) {
  if (model.info().bn_stats == BnStats::kShared) return "shared averages";
  std::string batches;
  for (const Task task : kAllTasks) {
    const std::int64_t seen = averaged_batches(model.parameters(), task);
    batches += fmt::format("{}{} {}", batches.empty() ? "" : ", ", task_name(task), seen);
  }
  return fmt::format("{} averages (batches: {})", bn_stats_name(model.info().bn_stats), batches);
}

int info(const InfoOptions& options) {
  const Archive archive = Archive::open(options.file);
  const Model model = Model::load(archive);
  const Architecture& a = model.info().architecture;
  const bool checkpoint = archive.metadata().contains("dcasenet.train");
  nlohmann::ordered_json j = {{"file", options.file},
                              {"version", a.version},
                              {"width", a.divisor == 1 ? "1" : fmt::format("1/{}", a.divisor)},
                              {"parameters", model.parameters().parameter_count()},
                              {"bn_stats", bn_stats_name(model.info().bn_stats)},
                              {"checkpoint", checkpoint},
                              {"sample_rate", model.info().front_end.sample_rate}};
  for (const Task task : kAllTasks) j["classes"][task_name(task)] = model.info().labels[task].names();
  if (checkpoint) {
    const auto train = nlohmann::json::parse(archive.metadata().at("dcasenet.train"), nullptr, false);
    if (train.is_object()) {
      j["step"] = train.value("step", std::int64_t{0});
      j["best"] = train.value("best", nlohmann::json::object());
    }
  }
  if (options.json) {
    std::cout << j.dump(2) << "\n";
    return kExitOk;
  }
  fmt::print("{}\n  DcaseNet v{}, width {}, {} parameters{}\n", options.file, a.version, j["width"].get<std::string>(),
             model.parameters().parameter_count(),
             checkpoint ? fmt::format(", checkpoint of step {}", j.value("step", std::int64_t{0})) : "");
  fmt::print("  batch norm evaluates with {}\n", bn_stats_text(model));
  for (const Task task : kAllTasks) {
    fmt::print("  {} classes ({}):", task_name(task), a.classes(task));
    for (const std::string& name : model.info().labels[task].names()) fmt::print(" {}", name);
    fmt::print("\n");
  }
  return kExitOk;
}

struct ForwardOptions {
  std::string model, input, output;
};

// Each tensor of the input, [N,128,T] or [N,1,128,T], goes through the network; outputs are NAME.asc and so on.
int forward(const ForwardOptions& options, Environment& environment) {
  const Session session(std::make_shared<const Model>(Model::load(options.model, environment.backend())));
  const Archive input = Archive::open(options.input);
  ArchiveWriter writer;
  std::vector<NetworkOutputs> keep;  // the writer does not copy
  keep.reserve(input.tensors().size());
  for (const TensorInfo& tensor : input.tensors()) {
    std::vector<std::int64_t> shape = tensor.shape;
    if (shape.size() == 4 && shape[1] == 1) shape.erase(shape.begin() + 1);
    if (shape.size() != 3 || shape[1] != 128 || shape[2] < kFramesPerStep) {
      fail(ErrorKind::kData, options.input, ": tensor ", tensor.name, " has shape ", to_string(tensor.shape),
           "; log-mel is [N,128,T] or [N,1,128,T] with at least ", kFramesPerStep, " frames");
    }
    const std::vector<float> x = input.floats(tensor.name);
    keep.push_back(session.run_log_mel({x.data(), {shape[0], shape[1], shape[2]}}));
    writer.add(tensor.name + ".asc", keep.back().asc);
    writer.add(tensor.name + ".sed", keep.back().sed);
    writer.add(tensor.name + ".tag", keep.back().tag);
  }
  if (keep.empty()) fail(ErrorKind::kData, options.input, ": no tensors");
  writer.write(options.output);
  environment.console.info(
      fmt::format("{}: outputs for {} tensors (asc, tag: logits; sed: probabilities)", options.output, keep.size()));
  return kExitOk;
}

}  // namespace

void add_model(Program& program) {
  CLI::App& group = program.add_group("model", "model files: info, forward, draw, recalibrate");
  add_model_draw(program, group);
  auto i = std::make_shared<InfoOptions>();
  CLI::App& info_verb = program.add(group, "info", "architecture, classes and origin of a model file",
                                    [i](Environment&) { return info(*i); });
  info_verb.add_option("FILE", i->file, "model or checkpoint (.safetensors)")->required();
  info_verb.add_flag("--json", i->json, "as JSON");

  auto f = std::make_shared<ForwardOptions>();
  CLI::App& forward_verb = program.add(group, "forward", "the network on given log-mel tensors",
                                       [f](Environment& e) { return forward(*f, e); });
  forward_verb.add_option("--model", f->model, "model file")->required();
  forward_verb.add_option("--input", f->input, "safetensors of [N,128,T] or [N,1,128,T] tensors")->required();
  forward_verb.add_option("--output", f->output, "safetensors to write")->required();

  add_model_recalibrate(program, group);
}

}  // namespace dcase::cli
