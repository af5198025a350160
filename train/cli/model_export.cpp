/// dcasenet model export: a model for other runtimes.

#include <fmt/format.h>

#include <memory>
#include <string>

#include "dcasenet/onnx/export.hpp"
#include "train/cli/app.hpp"
#include "train/cli/averages.hpp"
#include "train/cli/model_verbs.hpp"

namespace dcase::cli {
namespace {

struct Options {
  std::string model, output, averages, part = "network";
  int opset = OnnxOptions{}.opset;
};

int run_export(const Options& options, Environment& environment) {
  if (!options.output.ends_with(".onnx")) fail(ErrorKind::kUsage, options.output, ": the output is NAME.onnx");
  Model model = Model::load(options.model);
  keep_averages(model, options.averages, options.model);
  if (model.info().bn_stats == BnStats::kPerTask) {
    environment.console.warn("ONNX holds one set of batch-norm averages, the pooled ones; --averages chooses");
  }
  const bool pipeline = options.part == "pipeline";
  export_onnx(model, {.part = pipeline ? OnnxPart::kPipeline : OnnxPart::kNetwork, .opset = options.opset},
              options.output);
  environment.console.info(fmt::format(
      "{}: {}, opset {}", options.output,
      pipeline ? "pcm [N,S] to probabilities" : "log_mel [N,128,T] to logits (sed: probabilities)", options.opset));
  return kExitOk;
}

}  // namespace

void add_model_export(Program& program, CLI::App& group) {
  auto o = std::make_shared<Options>();
  CLI::App& verb = program.add(group, "export", "a model as ONNX, for other runtimes",
                               [o](Environment& e) { return run_export(*o, e); });
  verb.add_option("MODEL", o->model, "model, checkpoint or PyTorch file")->required();
  verb.add_option("OUTPUT", o->output, "NAME.onnx")->required();
  verb.add_option("--part", o->part, "network: from log-mel; pipeline: from sound, the front end included")
      ->check(CLI::IsMember({"network", "pipeline"}))
      ->capture_default_str();
  add_averages_option(verb, o->averages);
  verb.add_option("--opset", o->opset, "version of ONNX's operators")->check(CLI::Range(13, 17))->capture_default_str();
}

}  // namespace dcase::cli
