/// Whole training steps, predictions and evaluations on a CUDA device, which is the emulated one (docs/emulator.md),
/// against the CPU.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/archive.hpp"
#include "tests/program/program.hpp"
#include "tests/train/training_fixture.hpp"

namespace dcase {
namespace {

using test::Finished;
using test::TemporaryFolder;
using test::with;

// Three seconds each of real recordings, for all three tasks. Returns the manifest's path.
//
// The tones of tests/train would not do: their empty mel rows amplify the rounding of the front end, and a batch norm
// over two nearly equal clips that of everything behind it.
std::string write_recordings(const TemporaryFolder& folder) {
  struct Clip {
    const char *file, *split, *scene, *tags, *event;
  };
  constexpr Clip kClips[] = {
      {"river/0ad_river_fast_21_a", "train", "river", R"("Water")", "water"},
      {"market/0ad_amb_trade_10_a", "train", "market", R"("Crowd")", "people"},
      {"seaside/0ad_wavecrash_21_a", "train", "seaside", R"("Water","Wind")", "water"},
      {"river/redeclipse_river_a", "train", "river", R"("Water")", "water"},
      {"market/0ad_amb_trade_11_a", "train", "market", R"("Crowd")", "people"},
      {"forest/megaglest_spring_day_a", "train", "forest", R"("Wind")", "birds"},
      {"river/0ad_river_fast_21_b", "valid", "river", R"("Water")", "water"},
      {"market/0ad_amb_trade_10_b", "test", "market", R"("Crowd")", "people"},
  };
  std::string text;
  for (const Clip& clip : kClips) {
    const std::string name = concat("r", std::count(text.begin(), text.end(), '\n'), ".wav");
    const AudioData audio = load_audio(concat(DCASE_RECORDINGS, "/scenes/", clip.file, ".ogg"), {.end = 3});
    save_wav(folder / name, audio.signals, 24000);
    text += concat(R"({"audio":")", name, R"(","split":")", clip.split, R"(","scene":")", clip.scene, R"(","tags":[)",
                   clip.tags, R"(],"events":[{"onset":0.5,"offset":2.5,"label":")", clip.event, "\"}]}\n");
  }
  atomic_write(folder / "set.jsonl", text);
  return folder / "set.jsonl";
}

// One joint step is about what the network's smallest crops allow.
std::vector<std::string> train_arguments(const std::string& manifest, const std::string& run_folder, int steps) {
  return test::small_training(
      manifest, run_folder,
      {"data.asc.crop_frames=80", "data.tag.crop_frames=80", "data.sed.crop_frames=120", "data.sed.batch_size=1",
       concat("train.steps=", steps), "train.log_every=1", "train.mixup_from_step=2",
       // Adam's first steps move a parameter whose gradient is all but zero by the whole rate, in a direction that
       // rounding decides (docs/numerics.md): at the default rate features that differ by 1e-6 end 1.5e-2 apart after
       // 30 steps.
       "train.lr=3e-5"});
}

Finished on_cpu(const TemporaryFolder& folder, const std::vector<std::string>& arguments) {
  return test::run(folder, with(arguments, {"--device", "cpu"}));
}

Finished on_cuda(const TemporaryFolder& folder, const std::vector<std::string>& arguments,
                 const std::vector<std::string>& environment = {"DCASE_EMULATED_STREAMS=0"}) {
  return test::Program(folder, with(arguments, {"--device", "cuda"}), 0, DCASE_PROGRAM_EMULATED, environment).wait();
}

// Of each step: column of metrics.csv -> value; cells that are empty are left out.
using Row = std::map<std::string, double>;

std::vector<Row> losses(const std::string& run_folder) {
  std::istringstream lines(read_file(run_folder + "/metrics.csv"));
  const auto split = [](const std::string& line) {
    std::istringstream cells(line);
    std::vector<std::string> parts;
    for (std::string cell; std::getline(cells, cell, ',');) parts.push_back(cell);
    return parts;
  };
  std::string line;
  std::getline(lines, line);
  const std::vector<std::string> columns = split(line);
  std::vector<Row> rows;
  while (std::getline(lines, line)) {
    const std::vector<std::string> cells = split(line);
    Row row;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (columns[i].starts_with("loss") && !cells[i].empty()) row[columns[i]] = std::stod(cells[i]);
    }
    if (!row.empty()) rows.push_back(row);
  }
  return rows;
}

// Of the four losses, relative.
double worst_deviation(const Row& row, const Row& expected) {
  REQUIRE(row.size() == 4);
  REQUIRE(expected.size() == 4);
  double worst = 0;
  for (const auto& [column, value] : expected) {
    REQUIRE(std::isfinite(row.at(column)));
    worst = std::max(worst, std::abs(row.at(column) - value) / std::abs(value));
  }
  return worst;
}

// JSON of one shape: the same words, numbers within `tolerance`.
void check_close(const nlohmann::json& value, const nlohmann::json& expected, double tolerance) {
  INFO(value.dump().substr(0, 200) << ", expected " << expected.dump().substr(0, 200));
  if (expected.is_number()) {
    REQUIRE(value.is_number());
    CHECK(std::abs(value.get<double>() - expected.get<double>()) <= tolerance);
  } else if (expected.is_structured()) {
    REQUIRE(value.type() == expected.type());
    REQUIRE(value.size() == expected.size());
    for (auto a = value.begin(), b = expected.begin(); b != expected.end(); ++a, ++b) {
      if (expected.is_object()) CHECK(a.key() == b.key());
      check_close(*a, *b, tolerance);
    }
  } else {
    CHECK(value == expected);
  }
}

}  // namespace

TEST_CASE("program: 30 joint steps on CUDA have the losses of the CPU", "[program][cuda]") {
  const TemporaryFolder folder;
  const std::string manifest = write_recordings(folder);
  REQUIRE(on_cpu(folder, train_arguments(manifest, folder / "cpu", 30)).code == 0);
  const Finished finished = on_cuda(folder, train_arguments(manifest, folder / "cuda", 30));
  INFO(finished.errors);
  REQUIRE(finished.code == 0);
  const std::vector<Row> cpu = losses(folder / "cpu");
  const std::vector<Row> cuda = losses(folder / "cuda");
  REQUIRE(cpu.size() == 30);
  REQUIRE(cuda.size() == 30);
  CHECK(worst_deviation(cuda.front(), cpu.front()) < 1e-4);
  CHECK(worst_deviation(cuda.back(), cpu.back()) < 1e-3);
  CHECK(worst_deviation(cpu.back(), cpu.front()) > 1e-2);  // it moved
}

TEST_CASE("program: the first steps in tf32 and bf16 stay by those of the CPU in fp32", "[program][cuda]") {
  const TemporaryFolder folder;
  const std::string manifest = write_recordings(folder);
  REQUIRE(on_cpu(folder, train_arguments(manifest, folder / "cpu", 2)).code == 0);
  const std::vector<Row> cpu = losses(folder / "cpu");
  const auto deviation = [&](const std::string& precision) {
    const Finished finished =
        on_cuda(folder, with(train_arguments(manifest, folder / precision, 2), {"--precision", precision}));
    INFO(precision << ": " << finished.errors);
    REQUIRE(finished.code == 0);
    const std::vector<Row> cuda = losses(folder / precision);
    REQUIRE(cuda.size() == cpu.size());
    double worst = 0;
    for (std::size_t i = 0; i < cuda.size(); ++i) worst = std::max(worst, worst_deviation(cuda[i], cpu[i]));
    return worst;
  };
  const double tf32 = deviation("tf32");
  const double bf16 = deviation("bf16");
  INFO("tf32 " << tf32 << ", bf16 " << bf16);
  CHECK(tf32 < 5e-4);  // measured 1.3e-4
  CHECK(bf16 < 9e-3);  // measured 2.3e-3
  CHECK(tf32 > 1e-6);  // it is another arithmetic
  CHECK(bf16 > tf32);
}

TEST_CASE("program: training on CUDA has the same bits in every schedule", "[program][cuda]") {
  const TemporaryFolder folder;
  const std::string manifest = write_recordings(folder);
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

TEST_CASE("program: a training on CUDA killed and resumed ends in the bits of an uninterrupted one",
          "[program][cuda]") {
  const TemporaryFolder folder;
  const std::string manifest = write_recordings(folder);
  const auto arguments = [&](const char* name) {
    return with(train_arguments(manifest, folder / name, 4), {"--set", "train.checkpoint_every=2"});
  };
  REQUIRE(on_cuda(folder, arguments("whole")).code == 0);
  const std::string last = folder / "parts/last.safetensors";
  const test::Program program(folder, with(arguments("parts"), {"--device", "cuda"}), 0, DCASE_PROGRAM_EMULATED);
  for (int i = 0; i < 6000 && !std::filesystem::exists(last); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  program.kill_after(std::chrono::milliseconds(static_cast<int>(getpid()) % 300), SIGKILL);
  REQUIRE(program.wait().code == -SIGKILL);
  const Finished resumed =
      on_cuda(folder, {"train", "--run", folder / "parts", "--resume", "--quiet", "--threads", "1"});
  INFO(resumed.errors);
  REQUIRE(resumed.code == 0);
  CHECK((read_file(last) == read_file(folder / "whole/last.safetensors")));
  CHECK(read_file(folder / "parts/metrics.csv") == read_file(folder / "whole/metrics.csv"));
}

TEST_CASE("program: predict and eval on CUDA give what the CPU gives", "[program][cuda]") {
  const TemporaryFolder folder;
  const std::string manifest = write_recordings(folder);
  test::model_for(test::plans(manifest, 1, 60))->save(folder / "model.safetensors");
  const auto compare = [&](const std::vector<std::string>& arguments) {
    const auto to = [&](const char* name) { return with(arguments, {"--quiet", "--json", folder / name}); };
    REQUIRE(on_cpu(folder, to("cpu.json")).code == 0);
    const Finished finished = on_cuda(folder, to("cuda.json"));
    INFO(finished.errors);
    REQUIRE(finished.code == 0);
    check_close(nlohmann::json::parse(read_file(folder / "cuda.json")),
                nlohmann::json::parse(read_file(folder / "cpu.json")), 1e-4);
  };
  compare({"predict", folder / "r0.wav", "--model", folder / "model.safetensors"});
  compare({"eval", "--model", folder / "model.safetensors", "--asc", manifest, "--tag", manifest, "--sed", manifest});
}

TEST_CASE("program: frozen parts stay as they are on CUDA, and the others learn as on the CPU", "[program][cuda]") {
  // conv_block3 mixes both kinds of statistics, which the fused block does not have.
  const TemporaryFolder folder;
  const std::string manifest = write_recordings(folder);
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
    for (std::size_t i = 0; i < x.size(); ++i) off += std::abs(x[i] - y[i]) > 3e-6 ? 1 : 0;
    all += x.size();
  }
  // A tenth of a step. Adam's steps move what has all but no gradient in the direction that rounding decides.
  INFO(off << " of " << all);
  CHECK(off * 1000 <= all);
}

TEST_CASE("program: out of memory and missing devices end in one sentence that names sizes and reasons",
          "[program][cuda]") {
  const TemporaryFolder folder;
  const std::string manifest = write_recordings(folder);
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
