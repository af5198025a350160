/// DcaseNet v1 and v2 through every verb that takes a model.

#include <nlohmann/json.hpp>

#include "engine/archive.hpp"
#include "tests/program/program.hpp"
#include "tests/train/training_fixture.hpp"

namespace dcase {
namespace {

using test::run;

std::vector<std::string> train_arguments(const std::string& manifest, const std::string& run_folder, int version) {
  std::vector<std::string> a = {"train", "--run", run_folder, "--quiet", "--threads", "1"};
  const auto set = [&](const std::string& text) { a.insert(a.end(), {"--set", text}); };
  for (const char* task : {"asc", "tag", "sed"}) {
    set(concat("data.", task, ".root=", manifest));
    set(concat("data.", task, ".batch_size=2"));
    set(concat("data.", task, ".crop_frames=60"));
  }
  set(concat("model.version=", version));
  set("model.width=1/8");
  set("train.steps=2");
  return a;
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

}  // namespace dcase
