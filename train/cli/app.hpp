#pragma once
/// The `dcasenet` program: options common to all verbs, errors as one line, exit codes.
///
/// A verb is a file of its own:
///
///     void add_predict(Program& program) {
///       auto options = std::make_shared<PredictOptions>();
///       CLI::App& verb = program.add("predict", "scenes, tags and events of recordings",
///                                    [options](Environment& e) { return predict(*options, e); });
///       verb.add_option("FILE", options->files, "recordings")->required();
///     }
///
/// declared and called in train/main.cpp. Results go to std::cout, everything else through Environment::console.

#include <CLI/CLI.hpp>
#include <functional>
#include <iosfwd>
#include <map>
#include <string>

#include "engine/backend.hpp"
#include "train/cli/exit_codes.hpp"
#include "train/cli/progress.hpp"

namespace dcase::cli {

/// What the common options came to.
class Environment {
 public:
  Environment(Console& c, std::string device, const BackendOptions& options)
      : console(c), device_(std::move(device)), options_(options) {}

  /// The device that was asked for, opened and named on the console the first time.
  [[nodiscard]] const BackendPtr& backend();

  Console& console;
  int threads = 1;  ///< OpenMP uses them already

 private:
  std::string device_;
  BackendOptions options_;
  BackendPtr backend_;
};

/// Returns an exit code, or throws.
using Action = std::function<int(Environment&)>;

class Program {
 public:
  /// `out` takes --help and --version, `err` messages; both outlive the program.
  Program(std::ostream& out, std::ostream& err);

  /// A verb; its options are added to what is returned. Valid as long as the program.
  CLI::App& add(const std::string& name, const std::string& description, Action action);
  /// A verb that only holds others: `dcasenet data verify`.
  CLI::App& add_group(const std::string& name, const std::string& description);
  CLI::App& add(CLI::App& group, const std::string& name, const std::string& description, Action action);

  /// Reads the command line, runs the verb, returns the exit code. Throws nothing. To be called once.
  [[nodiscard]] int run(int argc, const char* const* argv) noexcept;

 private:
  int parse_and_run(int argc, const char* const* argv);
  /// The verb that the command line names, as far as it was understood.
  [[nodiscard]] CLI::App& chosen();
  [[nodiscard]] std::string unknown_argument(const std::string& argument);

  std::ostream& out_;
  std::ostream& err_;
  CLI::App app_;
  std::map<const CLI::App*, Action> actions_;
  int threads_ = 0;  // 0: as OpenMP says
  std::string device_ = "auto";
  std::string precision_ = "fp32";
  BackendOptions backend_;
  bool quiet_ = false;
};

}  // namespace dcase::cli
