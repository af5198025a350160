/// dcasenet model: its verbs, and the bare network on given features.

#include <fmt/format.h>

#include <memory>
#include <string>

#include "dcasenet/session.hpp"
#include "train/cli/app.hpp"
#include "train/cli/exit_codes.hpp"
#include "train/cli/model_verbs.hpp"
#include "train/cli/verbs.hpp"

namespace dcase::cli {
namespace {

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
  CLI::App& group = program.add_group("model", "model files: info, convert, diff, export, draw, recalibrate, forward");
  add_model_info(program, group);
  add_model_convert(program, group);
  add_model_diff(program, group);
  add_model_export(program, group);
  add_model_draw(program, group);
  add_model_recalibrate(program, group);

  auto f = std::make_shared<ForwardOptions>();
  CLI::App& forward_verb = program.add(group, "forward", "the network on given log-mel tensors",
                                       [f](Environment& e) { return forward(*f, e); });
  forward_verb.add_option("--model", f->model, "model file")->required();
  forward_verb.add_option("--input", f->input, "safetensors of [N,128,T] or [N,1,128,T] tensors")->required();
  forward_verb.add_option("--output", f->output, "safetensors to write")->required();
}

}  // namespace dcase::cli
