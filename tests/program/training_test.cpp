/// The training verb from outside: kills, Ctrl-C, full disks, and what a user gets wrong.

#include <filesystem>
#include <fstream>

#include "engine/archive.hpp"
#include "tests/program/program.hpp"
#include "tests/train/training_fixture.hpp"

namespace dcase {
namespace {

using test::run;

std::vector<std::string> train_arguments(const std::string& manifest, const std::string& run_folder, int steps) {
  return test::small_training(manifest, run_folder,
                              {concat("train.steps=", steps), "train.checkpoint_every=3", "train.eval_every=10",
                               "train.log_every=2", "train.mixup_from_step=5"});
}

std::vector<std::string> resume_arguments(const std::string& run_folder) {
  return {"train", "--run", run_folder, "--resume", "--quiet", "--threads", "1"};
}

void check_equal_archives(const std::string& a_path, const std::string& b_path) {
  const Archive a = Archive::open(a_path);
  const Archive b = Archive::open(b_path);
  REQUIRE(a.names() == b.names());
  for (const std::string& name : a.names()) {
    INFO(name);
    CHECK(a.bytes(name) == b.bytes(name));
  }
}

std::size_t partial_files(const std::string& folder) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const bool known =
        name.ends_with(".safetensors") || name == "config.json" || name == "metrics.csv" || name == "log.jsonl";
    count += known ? 0 : 1;
  }
  return count;
}

}  // namespace

TEST_CASE("program: a training killed at random moments and resumed ends in the bits of an uninterrupted one",
          "[program]") {
  const test::TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  REQUIRE(run(folder, train_arguments(manifest, folder / "whole", 30)).code == 0);

  const std::string parts = folder / "parts";
  const RandomKey key{.seed = static_cast<std::uint64_t>(getpid()), .purpose = purpose_id("kill"), .step = 0};
  int kills = 0;
  for (std::uint64_t attempt = 0; attempt < 12; ++attempt) {
    const bool started = std::filesystem::exists(parts + "/last.safetensors");
    const test::Program program(folder, started ? resume_arguments(parts) : train_arguments(manifest, parts, 30));
    program.kill_after(std::chrono::milliseconds(250 + uniform_below(key, attempt, 500)), SIGKILL);
    const test::Finished finished = program.wait();
    if (finished.code == 0) break;
    REQUIRE(finished.code == -SIGKILL);
    ++kills;
  }
  INFO("killed " << kills << " times");
  if (std::filesystem::exists(parts + "/last.safetensors")) {
    const test::Finished last = run(folder, resume_arguments(parts));
    INFO(last.errors);
    REQUIRE(last.code == 0);
  } else {
    REQUIRE(run(folder, train_arguments(manifest, parts, 30)).code == 0);
  }
  for (const char* name : {"last", "best_asc", "best_tag", "best_sed"}) {
    check_equal_archives(folder / concat("whole/", name, ".safetensors"),
                         folder / concat("parts/", name, ".safetensors"));
  }
  CHECK(read_file(folder / "parts/metrics.csv") == read_file(folder / "whole/metrics.csv"));
}

TEST_CASE("program: Ctrl-C saves, says how to go on, and the run goes on", "[program]") {
  const test::TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  std::vector<std::string> arguments = train_arguments(manifest, folder / "run", 100000);
  arguments.erase(std::find(arguments.begin(), arguments.end(), "--quiet"));
  const test::Program program(folder, arguments);
  for (int i = 0; i < 200 && !std::filesystem::exists(folder / "run/last.safetensors"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  program.kill_after(std::chrono::milliseconds(50), SIGINT);
  const test::Finished finished = program.wait();
  INFO(finished.errors);
  CHECK(finished.code == 130);
  CHECK_THAT(finished.errors, Catch::Contains("--resume"));
  CHECK(partial_files(folder / "run") == 0);
  std::vector<std::string> again = resume_arguments(folder / "run");
  const std::string log = read_file(folder / "run/log.jsonl");
  const std::size_t at = log.rfind("{\"step\":") + 8;
  const int step = std::stoi(log.substr(at));
  again.insert(again.end(), {"--set", concat("train.steps=", step + 2)});
  CHECK(run(folder, again).code == 0);
}

TEST_CASE("program: a full disk while saving is one sentence and leaves nothing half-written", "[program]") {
  const test::TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  REQUIRE(run(folder, train_arguments(manifest, folder / "run", 3)).code == 0);
  const std::string before = read_file(folder / "run/last.safetensors");
  std::vector<std::string> again = resume_arguments(folder / "run");
  again.insert(again.end(), {"--set", "train.steps=6"});
  const test::Finished finished = run(folder, again, 100000);  // a checkpoint is larger than this
  CHECK(finished.code == 4);
  CHECK_THAT(finished.errors, Catch::Contains("safetensors"));
  CHECK(read_file(folder / "run/last.safetensors") == before);
  CHECK(partial_files(folder / "run") == 0);
}

TEST_CASE("program: what a user gets wrong in training ends in one clear sentence", "[program]") {
  const test::TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  const auto expect = [&](const std::vector<std::string>& arguments, int code, const std::string& part) {
    const test::Finished f = run(folder, arguments);
    INFO(f.errors);
    CHECK(f.code == code);
    CHECK_THAT(f.errors, Catch::Contains(part));
    CHECK(std::count(f.errors.begin(), f.errors.end(), '\n') == 1);
  };
  const std::string runs = folder / "run";
  expect({"train", "--run", runs, "-q"}, 2, "data.asc.root");
  expect({"train", "--run", runs, "-q", "--set", "train.learnrate=1"}, 2, "unknown key");
  expect({"train", "--run", runs, "-q", "--set", "data.asc.root=/nowhere/at/all"}, 4, "/nowhere/at/all");
  expect({"train", "--run", runs, "-q", "--resume"}, 4, "no checkpoint to resume");
  expect({"train", "--run", runs, "-q", "--config", folder / "missing.json"}, 4, "missing.json");
  std::ofstream(folder / "broken.json") << "{\"train\": {";
  expect({"train", "--run", runs, "-q", "--config", folder / "broken.json"}, 2, "broken.json");
  expect({"train", "--run", "/proc/nothing", "-q", "--set", "data.asc.root=" + manifest}, 4, "/proc/nothing");
  expect({"train", "--run", runs, "-q", "--set", "data.asc.root=" + manifest, "--init", folder / "broken.json"}, 3,
         "broken.json");
  std::filesystem::create_directories(folder / "empty");
  expect({"train", "--run", runs, "-q", "--set", "data.asc.root=" + (folder / "empty")}, 3, "no known data set");
  CHECK_FALSE(std::filesystem::exists(runs + "/last.safetensors"));

  REQUIRE(run(folder, train_arguments(manifest, runs, 2)).code == 0);
  expect(train_arguments(manifest, runs, 2), 2, "--resume");
  // A checkpoint of another width, and one whose header is damaged.
  std::string bytes = read_file(runs + "/last.safetensors");
  bytes[9] = '!';
  atomic_write(runs + "/last.safetensors", bytes);
  expect(resume_arguments(runs), 3, "last.safetensors");
}

TEST_CASE("program: a run whose configuration does not name batch-norm statistics goes on as it began", "[program]") {
  const test::TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  std::vector<std::string> arguments = train_arguments(manifest, folder / "run", 2);
  arguments.insert(arguments.end(), {"--bn-stats", "shared"});
  REQUIRE(run(folder, arguments).code == 0);
  const std::string last = folder / "run/last.safetensors";
  std::string bytes = read_file(last);
  const std::string named = R"(\"bn_stats\":\"shared\",)";  // JSON as a text within JSON
  const std::size_t at = bytes.find(named);
  REQUIRE(at != std::string::npos);
  atomic_write(last, bytes.replace(at, named.size(), named.size(), ' '));
  std::vector<std::string> again = resume_arguments(folder / "run");
  again.insert(again.end(), {"--set", "train.steps=3"});
  const test::Finished resumed = run(folder, again);
  INFO(resumed.errors);
  CHECK(resumed.code == 0);
  again.insert(again.end(), {"--set", "train.steps=4", "--bn-stats", "per-task"});
  const test::Finished other = run(folder, again);
  CHECK(other.code == 3);
  CHECK_THAT(other.errors, Catch::Contains("has shared batch-norm statistics, not per-task"));
}

TEST_CASE("program: an experiment of the paper from its name to its table", "[program]") {
  const test::TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  const auto with_preset = [&](const std::string& preset, const std::string& run_folder,
                               const std::vector<std::string>& more) {
    std::vector<std::string> a = train_arguments(manifest, run_folder, 2);
    a.insert(a.end(), {"--preset", preset});
    a.insert(a.end(), more.begin(), more.end());
    return run(folder, a);
  };
  const std::string runs = folder / "run";
  const test::Finished dry = with_preset("v3-joint-asc+sed", runs, {"--dry-run"});
  INFO(dry.errors);
  REQUIRE(dry.code == 0);
  CHECK_THAT(dry.output, Catch::Contains("asc") && Catch::Contains("Steps: 2 ") && Catch::Contains("Memory: ") &&
                             Catch::Contains("s a step") && Catch::Contains("not as in the paper: model.width=1/8"));
  CHECK_THAT(dry.output, !Catch::Contains("  tag "));
  CHECK_FALSE(std::filesystem::exists(runs));
  CHECK_FALSE(std::filesystem::exists(folder / ".dcasenet"));  // no audio was prepared

  REQUIRE(with_preset("v3-joint-asc+sed", runs, {}).code == 0);
  CHECK_FALSE(std::filesystem::exists(runs + "/best_tag.safetensors"));
  for (const char* task : {"asc", "sed"}) {
    REQUIRE(run(folder, {"eval", "-q", "--model", concat(runs, "/best_", task, ".safetensors"), concat("--", task),
                         manifest, "--json", concat(runs, "/eval_", task, ".json")})
                .code == 0);
  }
  const test::Finished table = run(folder, {"table", runs, "--csv", folder / "t.csv", "--markdown", folder / "t.md"});
  INFO(table.errors);
  REQUIRE(table.code == 0);
  CHECK_THAT(table.output, Catch::Contains("0.3512") && Catch::Contains("(1)*") && Catch::Contains("missing"));
  CHECK_THAT(read_file(folder / "t.csv"), Catch::Contains("v3-joint-asc+sed,3,sed,f1,reference,75.62,"));
  CHECK_THAT(read_file(folder / "t.md"), Catch::Contains("| v3 | asc+sed | ours |"));

  const test::Finished bare = with_preset("v3-tune-sed-from-asc+sed", folder / "tuned", {});
  CHECK(bare.code == 2);
  CHECK_THAT(bare.errors, Catch::Contains("train v3-joint-asc+sed") && Catch::Contains("--init"));
  const test::Finished tuned =
      with_preset("v3-tune-sed-from-asc+sed", folder / "tuned", {"--init", runs + "/last.safetensors"});
  CHECK(tuned.code == 0);
  CHECK(tuned.errors.empty());
  const test::Finished other =
      with_preset("v3-tune-asc-from-asc+tag", folder / "other", {"--init", runs + "/last.safetensors"});
  CHECK(other.code == 0);
  CHECK_THAT(other.errors, Catch::Contains("not from a run of v3-joint-asc+tag"));
  CHECK(with_preset("v3-joint-asc+tag", folder / "none", {"--set", "data.tag.root="}).code == 2);
  CHECK(run(folder, {"train", "--list-presets"}).output.find("v2-tune-tag-from-asc+tag+sed@code") != std::string::npos);
  CHECK(run(folder, {"train", "--run", runs, "--resume", "--dry-run"}).code == 2);
  CHECK(run(folder, {"table", folder / "nothing.json"}).code == 4);
}

TEST_CASE("program: a diverging training names the task and the step and keeps the checkpoint", "[program]") {
  const test::TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  REQUIRE(run(folder, train_arguments(manifest, folder / "run", 3)).code == 0);
  const std::string before = read_file(folder / "run/last.safetensors");
  std::vector<std::string> again = resume_arguments(folder / "run");
  again.insert(again.end(), {"--set", "train.steps=300", "--set", "train.optimizer=sgd"});
  CHECK(run(folder, again).code == 0);  // moments of Adam are not needed by plain SGD
  std::vector<std::string> wild = train_arguments(manifest, folder / "wild", 400);
  wild.insert(wild.end(),
              {"--set", "train.optimizer=sgd", "--set", "train.lr=1000", "--set", "train.checkpoint_every=0"});
  const test::Finished f = run(folder, wild);
  INFO(f.errors);
  CHECK(f.code == 5);
  CHECK_THAT(f.errors, Catch::Contains("train.lr"));
}

}  // namespace dcase
