/// dcasenet verify: does this build compute what the reference files say, on this machine?

#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "train/cli/app.hpp"
#include "train/cli/exit_codes.hpp"
#include "train/cli/verbs.hpp"
#include "train/verify/verify.hpp"

namespace dcase::cli {
namespace {

struct Options {
  std::vector<std::string> files;
  std::string joint_batch;
};

int verify(const Options& options, Environment& environment) {
  const BackendPtr& backend = environment.backend();
  bool passed = true;
  for (const std::string& file : options.files) {
    environment.console.info(fmt::format("{}: computing ...", file));
    const VerifyReport report = verify_file(file, backend, {.joint_batch = options.joint_batch});
    std::cout << report.text() << "\n" << std::flush;
    passed = passed && report.passed();
  }
  return passed ? kExitOk : kExitFailed;
}

}  // namespace

void add_verify(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& verb = program.add("verify", "checks this build on this machine against reference files",
                               [options](Environment& e) { return verify(*options, e); });
  verb.add_option("FILE", options->files, "reference files (tests/golden/*.safetensors)")->required();
  verb.add_option("--joint-batch", options->joint_batch,
                  "inputs of the model files (default: joint_batch.safetensors beside them)");
}

}  // namespace dcase::cli
