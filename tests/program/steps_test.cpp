/// Whole training steps on a CUDA device, which is the emulated one (docs/emulator.md).

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "engine/archive.hpp"
#include "tests/program/program.hpp"
#include "tests/train/training_fixture.hpp"

namespace dcase {
namespace {

using test::Finished;
using test::TemporaryFolder;

std::vector<std::string> train_arguments(const std::string& manifest, const std::string& run_folder, int steps) {
  std::vector<std::string> a = {"train", "--run", run_folder, "--quiet", "--threads", "1"};
  const auto set = [&](const std::string& text) { a.insert(a.end(), {"--set", text}); };
  for (const char* task : {"asc", "tag", "sed"}) {
    const bool sed = task == std::string("sed");
    set(concat("data.", task, ".root=", manifest));
    set(concat("data.", task, ".batch_size=", sed ? 1 : 2));
    set(concat("data.", task, ".crop_frames=", sed ? 120 : 80));
  }
  set("model.width=1/8");
  set(concat("train.steps=", steps));
  set("train.log_every=1");
  set("train.mixup_from_step=2");
  // Adam's first steps move parameters whose gradient is all but zero by the rate, in a direction that rounding
  // decides. At the default rate two CPU runs that differ in rounding alone are 2e-2 apart after 30 steps.
  set("train.lr=0.0001");
  return a;
}

std::vector<std::string> with(std::vector<std::string> arguments, const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

Finished on_cuda(const TemporaryFolder& folder, const std::vector<std::string>& arguments,
                 const std::vector<std::string>& environment = {"DCASE_EMULATED_STREAMS=0"}) {
  return test::Program(folder, with(arguments, {"--device", "cuda"}), 0, DCASE_PROGRAM_EMULATED, environment).wait();
}

}  // namespace

TEST_CASE("program: training on CUDA has the same bits in every schedule", "[program][cuda]") {
  const TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  std::string first;
  int seed = 0;
  for (const char* order : {"forward", "reverse", "random 1", "random 2"}) {
    for (const char* landing : {"copies early", "copies late"}) {
      const std::string schedule = concat(order, ", ", landing);
      const Finished finished =
          on_cuda(folder, train_arguments(manifest, folder / schedule, 5),
                  {"DCASE_EMULATED_SCHEDULE=" + schedule, concat("DCASE_EMULATED_STREAMS=", seed++)});
      INFO(schedule << ": " << finished.errors);
      REQUIRE(finished.code == 0);
      const std::string bytes = read_file(folder / (schedule + "/last.safetensors"));
      if (first.empty()) first = bytes;
      CHECK((bytes == first));
    }
  }
}

TEST_CASE("program: frozen parts stay as they are on CUDA, and the others learn as on the CPU", "[program][cuda]") {
  // conv_block3 mixes both kinds of statistics, which the fused block does not have.
  const TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  const auto arguments = [&](const std::string& name) {
    return with(train_arguments(manifest, folder / name, 2),
                {"--set", "train.freeze=conv_block1,conv_block2.conv1,conv_block3.bn1,gru_1,layer_ASC.1"});
  };
  const Finished cpu = test::run(folder, with(arguments("cpu"), {"--device", "cpu"}));
  INFO(cpu.errors);
  REQUIRE(cpu.code == 0);
  const Finished cuda = on_cuda(folder, arguments("cuda"));
  INFO(cuda.errors);
  REQUIRE(cuda.code == 0);
  const Archive a = Archive::open(folder / "cpu/last.safetensors");
  const Archive b = Archive::open(folder / "cuda/last.safetensors");
  std::size_t off = 0;
  std::size_t all = 0;
  for (const std::string& name : a.names()) {
    INFO(name);
    if (name.starts_with("train.")) continue;
    if (name.starts_with("conv_block1.") || name.starts_with("conv_block2.conv1.") ||
        name.starts_with("conv_block3.bn1.") || name.starts_with("gru_1.") || name.starts_with("layer_ASC.1.")) {
      CHECK(a.bytes(name) == b.bytes(name));
      continue;
    }
    const std::vector<double> x = a.doubles(name);
    const std::vector<double> y = b.doubles(name);
    for (std::size_t i = 0; i < x.size(); ++i) off += std::abs(x[i] - y[i]) > 1e-5 ? 1 : 0;
    all += x.size();
  }
  // A tenth of a step. Adam's steps move what has all but no gradient in the direction that rounding decides.
  INFO(off << " of " << all);
  CHECK(off * 1000 <= all);
}

TEST_CASE("program: out of memory and missing devices end in one sentence that names sizes and reasons",
          "[program][cuda]") {
  const TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  const std::vector<std::string> arguments = train_arguments(manifest, folder / "run", 1);
  const auto expect = [](const Finished& f, const std::string& part) {
    INFO(f.errors);
    CHECK(f.code == 6);
    CHECK_THAT(f.errors, Catch::Contains(part));
    CHECK(std::count(f.errors.begin(), f.errors.end(), '\n') == 1);
  };
  expect(on_cuda(folder, arguments, {"DCASE_EMULATED_MEMORY=8"}), "of the device's 8388608 bytes");
  expect(on_cuda(folder, with(arguments, {"--device-memory", "4MB"})), "the limit is 4194304");
  if (std::filesystem::exists("/dev/nvidiactl")) return;  // the program itself would find a device
  expect(test::run(folder, with(arguments, {"--device", "cuda"})), "there is no NVIDIA driver on this machine");
  std::vector<std::string> loud = with(arguments, {"--device", "auto"});
  loud.erase(std::find(loud.begin(), loud.end(), "--quiet"));
  const Finished chosen = test::run(folder, loud);
  INFO(chosen.errors);
  CHECK(chosen.code == 0);
  CHECK_THAT(chosen.errors, Catch::Contains("auto: the CPU, since there is no NVIDIA driver on this machine"));
}

}  // namespace dcase
