/// DcaseNet v1 and v2 through every verb that takes a model.

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "dcasenet/model.hpp"
#include "engine/archive.hpp"
#include "tests/program/program.hpp"
#include "tests/train/training_fixture.hpp"

namespace dcase {
namespace {

using test::run;

std::vector<std::string> train_arguments(const std::string& manifest, const std::string& run_folder, int version) {
  return test::small_training(manifest, run_folder, {concat("model.version=", version), "train.steps=2"});
}

}  // namespace

TEST_CASE("program: v1 and v2 are trained, resumed, scored and used", "[program]") {
  const test::TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  for (const int version : {1, 2}) {
    INFO("v" << version);
    const std::string at = folder / concat("v", version);
    const auto succeed = [&](const std::vector<std::string>& arguments) {
      const test::Finished f = run(folder, arguments);
      INFO(f.errors);
      CHECK(f.code == 0);
      return f.output;
    };
    succeed(train_arguments(manifest, at, version));
    succeed({"train", "--run", at, "--resume", "--quiet", "--set", "train.steps=3"});
    const std::string model = at + "/last.safetensors";
    const auto info = nlohmann::json::parse(succeed({"model", "info", model, "--json"}));
    CHECK(info["version"] == version);
    CHECK(info["step"] == 3);
    CHECK(info["classes"]["asc"] == std::vector<std::string>{"high", "low"});
    CHECK_THAT(succeed({"eval", "--model", model, "--asc", manifest, "--tag", manifest, "--sed", manifest}),
               Catch::Contains("accuracy"));
    CHECK_THAT(succeed({"predict", folder / "r0.wav", "--model", model}), Catch::Contains("scene"));
    ArchiveWriter writer;
    writer.add("x", {2, 1, 128, 80}, std::vector<float>(std::size_t{2} * 128 * 80, 0.25F));
    writer.write(folder / "x.safetensors");
    succeed({"model", "forward", "--model", model, "--input", folder / "x.safetensors", "--output",
             folder / "y.safetensors"});
    CHECK(Archive::open(folder / "y.safetensors").info("x.sed").shape == std::vector<std::int64_t>{2, 16, 2});
  }
  std::vector<std::string> none = train_arguments(manifest, folder / "v4", 4);
  const test::Finished refused = run(folder, none);
  CHECK(refused.code == 2);
  CHECK_THAT(refused.errors, Catch::Contains("model.version") && Catch::Contains("from 1 to 3"));
}

TEST_CASE("program: parts are frozen, heads of other classes are replaced, and both are said", "[program]") {
  const test::TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  std::vector<std::string> first = train_arguments(manifest, folder / "first", 1);
  REQUIRE(run(folder, first).code == 0);
  // The same recordings, with one scene under another name.
  std::string renamed = read_file(manifest);
  for (std::size_t at = 0; (at = renamed.find("\"low\"", at)) != std::string::npos;) renamed.replace(at, 5, "\"deep\"");
  atomic_write(folder / "other.jsonl", renamed);
  std::vector<std::string> arguments = train_arguments(folder / "other.jsonl", folder / "second", 1);
  arguments.erase(std::find(arguments.begin(), arguments.end(), "--quiet"));
  const std::string donor = folder / "first/last.safetensors";
  arguments.insert(arguments.end(), {"--init", donor, "--set", "train.freeze=conv_block1,gru"});
  const test::Finished f = run(folder, arguments);
  INFO(f.errors);
  CHECK(f.code == 0);
  CHECK_THAT(f.errors,
             Catch::Contains("fc_ASC: the file has other asc classes; weights kept for high; drawn afresh for "
                             "deep"));
  CHECK_THAT(f.errors, Catch::Contains("frozen: 19"));
  const Archive a = Archive::open(donor);
  const Archive b = Archive::open(folder / "second/last.safetensors");
  for (const std::string& name : a.names()) {
    if (name.starts_with("conv_block1.") || name.starts_with("gru.")) CHECK(a.bytes(name) == b.bytes(name));
  }
  CHECK(a.bytes("conv_block2.conv1.weight") != b.bytes("conv_block2.conv1.weight"));

  // A resumed run needs its start no more.
  std::filesystem::remove(donor);
  CHECK(run(folder, {"train", "--run", folder / "second", "--resume", "-q", "--set", "train.steps=3"}).code == 0);

  const auto refused = [&](const std::string& parts) {
    std::vector<std::string> wrong = train_arguments(manifest, folder / "third", 1);
    wrong.insert(wrong.end(), {"--set", "train.freeze=" + parts});
    const test::Finished result = run(folder, wrong);
    CHECK(result.code == 2);
    CHECK(std::count(result.errors.begin(), result.errors.end(), '\n') == 1);
    return result.errors;
  };
  CHECK_THAT(refused("gru_1"),
             Catch::Contains("train.freeze: 'gru_1' is no part of DcaseNet v1; there are conv_block1"));
  CHECK_THAT(
      refused("conv_block1,conv_block2,conv_block3,conv_block4,gru,event_fc,layer_ASC,code_ASC,fc_ASC,layer_TAG"),
      Catch::Contains("nothing is left to train"));
}

TEST_CASE("program: model draw takes a file or a version", "[program]") {
  const test::TemporaryFolder folder;
  ModelInfo info;
  info.architecture = {.version = 2, .divisor = 8};
  for (const Task task : kAllTasks) info.labels[task] = builtin_labels(task);
  Model::create(info, 1).save(folder / "m.safetensors");
  const std::string a = folder / "a.svg";
  const std::string b = folder / "b.svg";
  CHECK(run(folder, {"model", "draw", folder / "m.safetensors", "-o", a}).code == 0);
  CHECK(run(folder, {"model", "draw", "--version", "2", "--width", "1/8", "-o", b}).code == 0);
  CHECK(read_file(a) == read_file(b));
  CHECK_THAT(read_file(a), Catch::Contains("DcaseNet v2 of width 1/8: 149,952 parameters"));
  CHECK(run(folder, {"model", "draw", "-o", a}).code == 2);
  CHECK(run(folder, {"model", "draw", folder / "m.safetensors", "--version", "2", "-o", a}).code == 2);
  CHECK(run(folder, {"model", "draw", "--version", "4", "-o", a}).code == 2);
  CHECK(run(folder, {"model", "draw", "--version", "1", "--width", "1/3", "-o", a}).code == 2);
  CHECK(run(folder, {"model", "draw", "--version", "1", "-o", "/proc/no/a.svg"}).code == 4);
  CHECK(run(folder, {"model", "draw", a, "-o", b}).code == 3);
  ArchiveWriter odd;
  odd.add("x", {1}, std::vector<float>{1});
  odd.metadata("dcasenet.architecture",
               R"({"version":1,"width_divisor":3,"classes_asc":1,"classes_tag":1,"classes_sed":1})");
  odd.write(folder / "odd.safetensors");
  CHECK(run(folder, {"model", "draw", folder / "odd.safetensors", "-o", b}).code == 3);
}

}  // namespace dcase
