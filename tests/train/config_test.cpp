#include "train/config/config.hpp"

#include <fstream>
#include <string>
#include <vector>

#include "kernels/common/error.hpp"
#include "tests/support/test.hpp"

namespace dcase {
namespace {

// Message of the Error(kUsage) that `run` throws.
template <class Run>
std::string refusal(const Run& run) {
  try {
    static_cast<void>(run());
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kUsage);
    return error.what();
  }
  FAIL("nothing was thrown");
  return "";
}

std::string refused_text(const std::string& text) {
  const test::TemporaryFolder folder;
  const std::string file = folder / "c.json";
  std::ofstream(file) << text;
  std::string message = refusal([&] { return load_config(file, {}); });
  CHECK(message.rfind(file, 0) == 0);  // the file is named first
  return message;
}

std::string refused_set(const std::string& setting) {
  return refusal([&] { return load_config("", {setting}); });
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("config: defaults are the released trainer's", "[config]") {
  const TrainConfig c = load_config("", {});
  CHECK(c.data.asc.batch_size == 32);
  CHECK(c.data.tag.batch_size == 32);
  CHECK(c.data.sed.batch_size == 24);
  CHECK(c.data.asc.crop_frames == 251);
  CHECK(c.data.sed.crop_frames == 1500);
  CHECK(c.data.asc.root.empty());
  CHECK(c.train.steps == 160 * 500);
  CHECK(c.train.restart_steps == 80 * 500);
  CHECK(c.train.lr == 1e-3);
  CHECK(c.train.mixup_from_step == 6 * 500);
  CHECK(c.width_divisor() == 1);
}

TEST_CASE("config: a file with comments, and settings over it in their order", "[config]") {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "c.json") << R"({
    // scenes alone
    "model": {"width": "1/8"},
    "data": {"asc": {"root": "sets/asc"}, "tag": null},
    "train": {"steps": 450, "lr": 5e-4 /* half */, "dropout": false}
  })";
  const TrainConfig c = load_config(folder / "c.json", {"train.steps=10", "train.steps=20", "data.sed.root=/x=y/sed",
                                                        "model.width=1/2", "train.amsgrad=true", "data.cache=2024"});
  CHECK(c.width_divisor() == 2);
  CHECK(c.data.asc.root == "sets/asc");
  CHECK(c.data.tag.root.empty());
  CHECK(c.data.sed.root == "/x=y/sed");
  CHECK(c.train.steps == 20);
  CHECK(c.train.lr == 5e-4);
  CHECK_FALSE(c.train.dropout);
  CHECK(c.train.amsgrad);
  CHECK(c.data.cache == "2024");  // text that looks like a number
}

TEST_CASE("config: what is resolved can be written and read again", "[config]") {
  const std::vector<std::string> settings = {"train.seed=18446744073709551615", "train.lr=0.1", "model.width=1/4",
                                             "data.tag.root=t", "init=\"a b.safetensors\""};
  const TrainConfig c = load_config("", settings);
  CHECK(c.train.seed == 18446744073709551615U);
  CHECK(c.init == "a b.safetensors");
  const auto json = to_json(c);
  CHECK(json["train"]["lr"] == 0.1);
  CHECK(to_json(config_from_json(nlohmann::json::parse(json.dump()), "run")) == json);
  // Every key that is written is explained.
  CHECK(contains(config_help(), "train.lr = 0.001"));
  CHECK(contains(config_help(), "data.sed.crop_frames = 1500"));
}

TEST_CASE("config: how a data set is read", "[config]") {
  const TrainConfig c = load_config("", {"data.valid_folds=[2]", "data.test_folds=[0, 3]", "data.sed_columns=no-track",
                                         "data.asc.layout=manifest", "data.on_bad_file=skip"});
  CHECK(c.data.reader.valid_folds == std::vector<int>{2});
  CHECK(c.data.reader.test_folds == std::vector<int>{0, 3});
  CHECK(c.data.reader.sed_columns == SedColumns::kNoTrack);
  CHECK(c.data.asc.layout == Layout::kManifest);
  CHECK(c.data.on_bad_file == BadFilePolicy::kSkip);
  CHECK(to_json(config_from_json(to_json(c), "run")) == to_json(c));
  CHECK(contains(refused_set("data.test_folds=3"), "a list of integers from 0 on"));
  CHECK(contains(refused_set("data.test_folds=[-1]"), "a list of integers from 0 on"));
  CHECK(contains(refused_set("train.freeze=[1]"), "a list of names"));
  CHECK(contains(refused_set("train.freeze=3"), "a list of names"));
  CHECK(
      contains(refused_set("data.sed_columns=xyz"), "\"xyz\" is not allowed; it takes track, no-track, cartesian or"));
  CHECK(contains(refused_set("data.sed_columns=1"), "track, no-track"));
}

TEST_CASE("config: frozen parts are a list, or a text with commas", "[config]") {
  using Names = std::vector<std::string>;
  CHECK(load_config("", {}).train.freeze.empty());
  const TrainConfig c = load_config("", {R"(train.freeze=["conv_block1", "gru_1"])"});
  CHECK(c.train.freeze == Names{"conv_block1", "gru_1"});
  CHECK(load_config("", {"train.freeze=conv_block1, layer_ASC.0"}).train.freeze == Names{"conv_block1", "layer_ASC.0"});
  CHECK(load_config("", {"train.freeze=gru_1", "train.freeze=[]"}).train.freeze.empty());
  CHECK(config_from_json(to_json(c), "here").train.freeze == c.train.freeze);
}

TEST_CASE("config: unknown keys are refused with the nearest known one", "[config]") {
  CHECK(contains(refused_text(R"({"train": {"lr_mim": 1e-6}})"), "'train.lr_mim'; did you mean train.lr_min?"));
  CHECK(contains(refused_text(R"({"trian": {"lr": 1}})"), "'trian'"));
  CHECK(contains(refused_text(R"({"train": {"lr": {"value": 1}}})"), "train.lr"));
  CHECK(contains(refused_text(R"({"qqqqqqqqqqqq": 1})"), "--help-config"));
  CHECK(contains(refused_set("train.step=5"), "did you mean train.steps?"));
  CHECK(contains(refused_set("train.steps"), "KEY=VALUE"));
  CHECK(contains(refused_set("=5"), "KEY=VALUE"));
}

TEST_CASE("config: wrong values are refused with the key, the value and what is allowed", "[config]") {
  for (const std::string value : {"0", "-3", "2.5", "true", "\"many\"", "5000000000", "[1]", "null", "1e400"}) {
    const std::string message = refused_text(R"({"train": {"steps": )" + value + "}}");
    INFO(message);
    if (value != "1e400") CHECK(contains(message, "train.steps: " + value + " is not allowed; it takes an integer"));
  }
  CHECK(contains(refused_set("train.lr=fast"), "train.lr: \"fast\" is not allowed; it takes a number"));
  CHECK(contains(refused_set("train.lr=nan"), "train.lr"));
  CHECK(contains(refused_set("train.optimizer=lion"), "adam, sgd"));
  CHECK(contains(refused_set("model.width=1/3"), "1, 1/2, 1/4, 1/8"));
  CHECK(contains(refused_set("train.seed=-1"), "train.seed"));
  CHECK(contains(refused_set("train.dropout=1"), "true or false"));
  CHECK(contains(refused_text(R"({"train": 5})"), ": train takes {...}"));
  CHECK(contains(refused_text(R"({"data": {"asc": "sets/asc"}})"), "data.asc takes {...}"));
  CHECK(contains(refused_text("[1]"), "object"));
}

TEST_CASE("config: keys that exclude each other are refused", "[config]") {
  CHECK(contains(refused_set("train.lr_min=1"), "train.lr_min"));
  CHECK(contains(refused_set("train.nesterov=true"), "train.momentum"));
  CHECK(contains(refused_set("data.sed.crop_frames=1501"), "multiple of 5"));
}

TEST_CASE("config: text that is no JSON is refused with its place", "[config]") {
  CHECK(contains(refused_text("{\n  \"train\": {,}\n}"), "line 2"));
  CHECK(contains(refused_text(""), "JSON"));
  CHECK(contains(refused_text(R"({"train": {"lr": 1, "lr": 2}})"),
                 "train.lr stands there twice"));  // the second would win unseen
  CHECK(contains(refused_text(std::string(100000, '[')), "JSON"));
  CHECK_THROWS_AS(load_config("/no/such/file.json", {}), Error);
}

}  // namespace dcase
