#include <csignal>
#include <sstream>
#include <string>
#include <vector>

#include "dcasenet/version.hpp"
#include "tests/support/test.hpp"
#include "train/cli/app.hpp"
#include "train/cli/interrupt.hpp"

namespace dcase::cli {
namespace {

struct Outcome {
  int code = 0;
  std::string out, err;
};

// A program with a verb `train` that does what it is told, and a group `data` with a verb `verify`.
Outcome run(
    std::vector<const char*> arguments, const Action& action = [](Environment&) { return 0; }) {
  std::ostringstream out, err;
  Program program(out, err);
  std::string config;
  CLI::App& train = program.add("train", "trains", action);
  train.add_option("--config", config, "a file")->required();
  CLI::App& data = program.add_group("data", "data sets");
  program.add(data, "verify", "looks at every file", action);
  arguments.insert(arguments.begin(), "dcasenet");
  const int code = program.run(static_cast<int>(arguments.size()), arguments.data());
  return {code, out.str(), err.str()};
}

Outcome run_throwing(ErrorKind kind) {
  return run({"data", "verify"}, [kind](Environment&) -> int { fail(kind, "what went wrong"); });
}

}  // namespace

TEST_CASE("cli: a verb gets the common options from either side of its name", "[cli]") {
  for (const auto& arguments : {std::vector<const char*>{"--threads", "3", "train", "--config", "x"},
                                std::vector<const char*>{"train", "--config", "x", "--threads", "3"}}) {
    int threads = 0;
    const Outcome o = run(arguments, [&](Environment& e) {
      threads = e.threads;
      return 1;
    });
    CHECK(o.code == 1);
    CHECK(threads == 3);
    CHECK(o.err.empty());
  }
}

TEST_CASE("cli: help lists the verbs and the exit codes, version names the program", "[cli]") {
  const Outcome help = run({"--help"});
  CHECK(help.code == 0);
  CHECK(help.err.empty());
  for (const char* part : {"train", "trains", "data", "Exit codes", "130  interrupted", "--threads"}) {
    CHECK(help.out.find(part) != std::string::npos);
  }
  CHECK(run({"train", "--help"}).out.find("--config") != std::string::npos);
  const Outcome version = run({"--version"});
  CHECK(version.code == 0);
  CHECK(version.out.rfind(std::string("dcasenet ") + kVersion, 0) == 0);
  CHECK(version.out.find("oneDNN") != std::string::npos);
}

TEST_CASE("cli: what is unknown is named with what it may have meant", "[cli]") {
  const auto message = [](std::vector<const char*> arguments) {
    const Outcome o = run(std::move(arguments));
    CHECK(o.code == kExitUsage);
    CHECK(o.out.empty());
    return o.err;
  };
  CHECK(message({"trian"}) == "dcasenet: error: unknown verb 'trian'; did you mean train? (see dcasenet --help)\n");
  CHECK(message({"xyzzy"}).find("there are train, data") != std::string::npos);
  // The mistyped option is named, not the required one that it was meant to be.
  CHECK(message({"train", "--confg=x"}) ==
        "dcasenet: error: unknown option '--confg'; did you mean --config? (see dcasenet train --help)\n");
  CHECK(message({"train", "--config", "x", "--thread", "2"}).find("did you mean --threads?") != std::string::npos);
  CHECK(message({"train", "--config", "x", "more"}).find("'more' is one too many") != std::string::npos);
  CHECK(message({"data", "verfy"}).find("did you mean verify? (see dcasenet data --help)") != std::string::npos);
  CHECK(message({"data"}).find("'data' needs one of its verbs") != std::string::npos);
  CHECK(message({}).find("no verb is given") != std::string::npos);
  CHECK(message({"train"}).find("--config is required") != std::string::npos);
  CHECK(message({"--threads", "0", "data", "verify"}).find("--threads") != std::string::npos);
  CHECK(message({"--device", "gpu", "data", "verify"}).find("auto, cpu, cuda") != std::string::npos);
  CHECK(message({"\x1b[2J"}).find('\x1b') == std::string::npos);
}

TEST_CASE("cli: each kind of error has its exit code and one line", "[cli]") {
  const std::vector<std::pair<ErrorKind, int>> expected = {
      {ErrorKind::kUsage, 2},  {ErrorKind::kData, 3},          {ErrorKind::kIo, 4},       {ErrorKind::kNumeric, 5},
      {ErrorKind::kDevice, 6}, {ErrorKind::kInterrupted, 130}, {ErrorKind::kArgument, 70}};
  for (const auto& [kind, code] : expected) {
    const Outcome o = run_throwing(kind);
    CHECK(o.code == code);
    const std::string internal = kind == ErrorKind::kArgument ? "internal: " : "";
    CHECK(o.err == "dcasenet: error: " + internal + "what went wrong\n");
  }
  const auto code_of = [](const auto& thrown) {
    return run({"data", "verify"}, [&](Environment&) -> int { throw thrown; }).code;
  };
  CHECK(code_of(std::bad_alloc()) == kExitDevice);
  CHECK(code_of(std::logic_error("x")) == kExitInternal);
  CHECK(code_of(42) == kExitInternal);
}

TEST_CASE("cli: a device without a backend is an error, never another device", "[cli]") {
  for (const char* device : {"cuda:99", "cuda:100"}) {
    const Outcome o = run({"--device", device, "data", "verify"});
    CHECK(o.code == kExitDevice);
    CHECK(o.err.find("dcasenet: error: ") != std::string::npos);
  }
  for (const char* device : {"gpu", "cuda:", "cuda:x"}) {
    const Outcome o = run({"--device", device, "data", "verify"});
    CHECK(o.code == kExitUsage);
    CHECK(o.err.find("it may be auto, cpu, cuda or cuda:N") != std::string::npos);
  }
}

TEST_CASE("cli: the device is named when it is opened, with the reason", "[cli]") {
  const Outcome o = run({"--device", "cpu", "data", "verify"}, [](Environment& e) {
    CHECK(e.backend()->device().is_cpu());
    return e.backend() == e.backend() ? 0 : 1;
  });
  CHECK(o.code == kExitOk);
  CHECK(o.err == "device: the CPU, as asked for\n");
  const Outcome bf16 = run({"--device", "cpu", "--precision", "bf16", "data", "verify"},
                           [](Environment& e) { return e.backend() != nullptr ? 0 : 1; });
  CHECK(bf16.code == kExitUsage);
  CHECK(bf16.err.find("the CPU computes in fp32 alone") != std::string::npos);
  CHECK(run({"--precision", "fp16", "data", "verify"}).code == kExitUsage);
}

TEST_CASE("cli: output that cannot be written is an error", "[cli]") {
  std::ostringstream out, err;
  Program program(out, err);
  program.add("info", "prints", [&](Environment&) {
    out << "result";
    out.setstate(std::ios::badbit);  // as a full disk leaves it
    return 0;
  });
  const char* arguments[] = {"dcasenet", "info"};
  CHECK(program.run(2, arguments) == kExitIo);
}

TEST_CASE("cli: the first signal asks to stop, and the scope puts the old handling back", "[cli]") {
  struct sigaction before = {}, after = {};
  sigaction(SIGTERM, nullptr, &before);
  {
    const InterruptScope interrupt;
    CHECK_FALSE(interrupt.requested());
    CHECK_NOTHROW(interrupt.check());
    std::raise(SIGTERM);
    CHECK(interrupt.requested());
    CHECK_THROWS_AS(interrupt.check(), Error);
  }
  sigaction(SIGTERM, nullptr, &after);
  CHECK(before.sa_handler == after.sa_handler);
  CHECK_FALSE(InterruptScope().requested());
}

}  // namespace dcase::cli
