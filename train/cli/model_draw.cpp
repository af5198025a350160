/// dcasenet model draw: the network of a model file, or of a version, as an SVG drawing.

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "dcasenet/model.hpp"
#include "dcasenet/weights/weights.hpp"
#include "engine/files.hpp"
#include "train/cli/app.hpp"
#include "train/cli/exit_codes.hpp"
#include "train/cli/model_verbs.hpp"
#include "train/report/diagram_svg.hpp"

namespace dcase::cli {
namespace {

struct Options {
  std::string file;
  int version = 0;  // 0: the file's
  std::string width = "1";
  std::int64_t frames = 500;
  std::string output;
};

Architecture architecture_of(const Options& options) {
  if (options.file.empty() == (options.version == 0)) {
    fail(ErrorKind::kUsage, "model draw: either FILE or --version 1, 2 or 3 says what to draw");
  }
  if (!options.file.empty()) return read_model_info(open_weights(options.file).archive).architecture;
  return {.version = options.version, .divisor = options.width == "1" ? 1 : options.width.back() - '0'};
}

int draw(const Options& options, Environment& environment) {
  const Architecture a = architecture_of(options);
  const std::vector<DiagramBox> boxes = diagram_of(a, options.frames);
  const std::string name = a.divisor == 1 ? fmt::format("DcaseNet v{}", a.version)
                                          : fmt::format("DcaseNet v{} of width 1/{}", a.version, a.divisor);
  const std::string note =
      fmt::format("Shapes for {} frames ({:g} s). Maps: mel rows × frames × channels; sequences: steps × features.",
                  options.frames, static_cast<double>(options.frames) / 50);
  atomic_write(options.output, diagram_svg(boxes, name, note));
  environment.console.info(fmt::format("{}: {}", options.output, name));
  return kExitOk;
}

}  // namespace

void add_model_draw(Program& program, CLI::App& group) {
  auto options = std::make_shared<Options>();
  CLI::App& verb = program.add(group, "draw", "the network as an SVG drawing, with shapes and parameters",
                               [options](Environment& e) { return draw(*options, e); });
  verb.add_option("FILE", options->file, "model or checkpoint (.safetensors)");
  verb.add_option("--version", options->version, "of DcaseNet, in place of a file: 1, 2 or 3")->check(CLI::Range(1, 3));
  verb.add_option("--width", options->width, "with --version: 1, 1/2, 1/4 or 1/8 (1)")
      ->check(CLI::IsMember(std::vector<std::string>{"1", "1/2", "1/4", "1/8"}).description(""));
  verb.add_option("--frames", options->frames, "length that shapes are given for, in frames of 20 ms (500)")
      ->check(CLI::Range(40, 3000).description(""));
  verb.add_option("-o,--output", options->output, "SVG to write")->required();
}

}  // namespace dcase::cli
