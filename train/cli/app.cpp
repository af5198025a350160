#include "train/cli/app.hpp"

#include <fmt/core.h>
#include <omp.h>

#include <exception>
#include <filesystem>
#include <iostream>
#include <new>
#include <system_error>
#include <utility>
#include <vector>

#include "dcasenet/labels.hpp"
#include "dcasenet/version.hpp"

namespace dcase::cli {
namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

// choose_device, whose errors name the option and the way out.
DeviceChoice device_for(const std::string& text) {
  try {
    return choose_device(text);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kDevice) throw;
    fail(ErrorKind::kDevice, "--device ", text, ": ", error.what(), "; --device cpu needs none");
  }
}

}  // namespace

std::string exit_code_help() {
  return "Exit codes:\n"
         "  0    done\n"
         "  1    a check failed, or some of several inputs could not be used\n"
         "  2    command line or configuration\n"
         "  3    content of a file: audio, tables, labels, models\n"
         "  4    the operating system refused: missing, unreadable, disk full\n"
         "  5    NaN or infinity where a number is needed\n"
         "  6    no such device, or out of memory\n"
         "  70   a fault of the program itself\n"
         "  130  interrupted\n";
}

const BackendPtr& Environment::backend() {
  if (backend_ != nullptr) return backend_;
  const DeviceChoice choice = device_for(device_);
  if (choice.device.is_cpu() && options_.precision != Precision::kFp32) {
    fail(ErrorKind::kUsage, "--precision: the CPU computes in fp32 alone (", choice.reason, ")");
  }
  backend_ = Backend::on(choice.device, options_);
  console.info(fmt::format("device: {}", choice.reason));
  return backend_;
}

Program::Program(std::ostream& out, std::ostream& err)
    : out_(out), err_(err), app_("DcaseNet engine: acoustic scenes, audio tags and sound events", "dcasenet") {
  app_.get_formatter()->label("SUBCOMMAND", "VERB");
  app_.get_formatter()->label("Subcommands", "Verbs");
  app_.get_formatter()->column_width(28);
  app_.footer("`dcasenet VERB --help` describes a verb. These options may also stand behind it.\n\n" +
              exit_code_help());
  app_.set_help_flag("-h,--help", "this text");
  app_.set_version_flag("--version", version_text, "version of the program and of what it was built with");
  app_.add_option("--threads", threads_, "threads to compute with (all cores)")->check(CLI::Range(1, 1024));
  app_.add_option("--device", device_, "auto, cpu or cuda[:N] (auto)");
  app_.add_option("--precision", precision_, "of matrix products on CUDA: fp32, tf32 or bf16 (fp32)")
      ->check(CLI::IsMember(std::vector<std::string>{"fp32", "tf32", "bf16"}).description(""));
  app_.add_option("--device-memory", backend_.memory_limit, "at most so much of a CUDA device's, as in 6GB (all)")
      ->transform(CLI::AsSizeValue(false).description(""));
  app_.add_flag("-q,--quiet", quiet_, "no progress and no remarks, only warnings and errors");
  app_.fallthrough();
}

CLI::App& Program::add(const std::string& name, const std::string& description, Action action) {
  return add(app_, name, description, std::move(action));
}

CLI::App& Program::add_group(const std::string& name, const std::string& description) {
  CLI::App& group = *app_.add_subcommand(name, description);
  group.footer("");
  return group;
}

CLI::App& Program::add(CLI::App& group, const std::string& name, const std::string& description, Action action) {
  CLI::App& verb = *group.add_subcommand(name, description);
  verb.footer("");
  actions_[&verb] = std::move(action);
  return verb;
}

CLI::App& Program::chosen() {
  CLI::App* at = &app_;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().back();
  return *at;
}

std::string Program::unknown_argument(const std::string& argument) {
  CLI::App& verb = chosen();
  const std::string name = argument.substr(0, argument.find('='));
  std::vector<std::string> candidates;
  std::string kind;
  if (name.rfind('-', 0) == 0) {
    kind = "option";
    for (const CLI::App* owner : {static_cast<const CLI::App*>(&verb), static_cast<const CLI::App*>(&app_)}) {
      for (const CLI::Option* option : owner->get_options()) {
        for (const std::string& known : option->get_lnames()) candidates.push_back("--" + known);
      }
    }
  } else if (actions_.count(&verb) == 0) {
    kind = "verb";
    for (const CLI::App* sub : verb.get_subcommands([](const CLI::App*) { return true; })) {
      candidates.push_back(sub->get_name());
    }
  } else {
    return fmt::format("argument {} is one too many", in_quotes(name));
  }
  const std::string near = nearest_name(name, candidates);
  std::string message = fmt::format("unknown {} {}", kind, in_quotes(name));
  if (!near.empty()) {
    message += fmt::format("; did you mean {}?", near);
  } else if (kind == "verb") {
    message += fmt::format("; there are {}", joined(candidates));
  }
  return message;
}

int Program::parse_and_run(int argc, const char* const* argv) {
  std::string problem;
  try {
    app_.parse(argc, argv);
  } catch (const CLI::Success&) {  // --help, --version
    throw;
  } catch (const CLI::ParseError& error) {
    // What is unknown is named first: a missing option is often the mistyped one.
    const std::vector<std::string> unknown = app_.remaining(true);
    problem = unknown.empty() ? error.what() : unknown_argument(unknown.front());
  }
  CLI::App& verb = chosen();
  const auto action = actions_.find(&verb);
  if (problem.empty() && action == actions_.end()) {
    problem = &verb == &app_ ? "no verb is given" : fmt::format("'{}' needs one of its verbs", verb.get_name());
  }
  if (!problem.empty()) {
    std::string command = "dcasenet";
    for (const CLI::App* at = &app_; !at->get_subcommands().empty();) {
      at = at->get_subcommands().back();
      command += " " + at->get_name();
    }
    fail(ErrorKind::kUsage, problem, " (see ", command, " --help)");
  }

  Console console(err_, Console::for_stderr(quiet_));
  // What was asked for by name is there, or nothing is done.
  if (device_ != "auto") static_cast<void>(device_for(device_));
  if (precision_ == "tf32") backend_.precision = Precision::kTf32;
  if (precision_ == "bf16") backend_.precision = Precision::kBf16;
  if (threads_ > 0) omp_set_num_threads(threads_);
  Environment environment(console, device_, backend_);
  environment.threads = omp_get_max_threads();
  const int code = action->second(environment);
  // Results that could not be written are no results: a full disk behind a redirection shows here.
  out_.flush();
  if (!out_) fail(ErrorKind::kIo, "standard output could not be written");
  return code;
}

int Program::run(int argc, const char* const* argv) noexcept {
  const auto report = [this](int code, const std::string& message) {
    Console(err_, Console::for_stderr(true)).error(message);
    return code;
  };
  try {
    try {
      return parse_and_run(argc, argv);
    } catch (const CLI::Success& success) {
      return app_.exit(success, out_, err_);
    } catch (const Error& error) {
      const bool internal = error.kind() == ErrorKind::kArgument;
      return report(exit_code_of(error.kind()), internal ? concat("internal: ", error.what()) : error.what());
    } catch (const std::bad_alloc&) {
      return report(kExitDevice, "out of memory");
    } catch (const std::filesystem::filesystem_error& error) {
      return report(kExitIo, error.what());
    } catch (const std::exception& error) {
      return report(kExitInternal, concat("internal: ", error.what()));
    }
  } catch (...) {
    return kExitInternal;  // the message itself could not be made or written
  }
}

}  // namespace dcase::cli
