#include "train/config/presets.hpp"

#include <cmath>
#include <fstream>
#include <set>

#include "engine/files.hpp"
#include "tests/support/test.hpp"
#include "train/config/config.hpp"
#include "train/run_origin.hpp"

namespace dcase {

TEST_CASE("presets: every row of Tables 2 and 3 for both batch sizes, each name once", "[presets]") {
  std::set<std::string> names;
  int single = 0, joint = 0, tune = 0;
  for (const Preset& p : presets()) {
    CHECK(names.insert(p.name()).second);
    CHECK(&find_preset(p.name()) == &p);
    single += p.kind == Preset::Kind::kSingle ? 1 : 0;
    joint += p.kind == Preset::Kind::kJoint ? 1 : 0;
    tune += p.kind == Preset::Kind::kTune ? 1 : 0;
    // A published figure for each trained task, and for no other.
    CHECK(std::isnan(p.published.accuracy) != p.tasks.has(Task::kAsc));
    CHECK(std::isnan(p.published.lwlrap) != p.tasks.has(Task::kTag));
    CHECK(std::isnan(p.published.f1) != p.tasks.has(Task::kSed));
    CHECK(std::isnan(p.published.error_rate) != p.tasks.has(Task::kSed));
    if (p.kind == Preset::Kind::kTune) CHECK(find_preset(p.init_name()).tasks == p.init_tasks);
  }
  // Four systems, two batch sizes; 3 tasks, 4 sets of tasks, 2 + 2 + 2 + 3 fine-tunings.
  CHECK(single == 4 * 2 * 3);
  CHECK(joint == 4 * 2 * 4);
  CHECK(tune == 4 * 2 * 9);
  CHECK(find_preset("v3-joint-asc+tag+sed").published.error_rate == 0.3586);
  CHECK(find_preset("v2-tune-sed-from-tag+sed").published.f1 == 81.32);
  CHECK(find_preset("v1-nomixup-single-asc").published.accuracy == 67.68);
  CHECK(find_preset("v1-tune-tag-from-asc+tag@code").init_name() == "v1-joint-asc+tag@code");
  CHECK_THROWS_WITH(find_preset("v3-joint-asc+tag+se"), Catch::Contains("did you mean v3-joint-asc+tag+sed?"));
  CHECK_THROWS_WITH(find_preset(""), Catch::Contains("--list-presets"));
}

TEST_CASE("presets: the configuration is the paper's, with either batch sizes", "[presets][config]") {
  const TrainConfig paper = load_config("", {}, "v3-joint-asc+sed");
  CHECK(paper.preset == "v3-joint-asc+sed");
  CHECK(paper.train.steps == 80000);
  CHECK(paper.data.asc.batch_size == 32);
  CHECK(paper.data.tag.batch_size == 24);
  CHECK(paper.data.sed.batch_size == 32);
  CHECK(paper.data.sed.crop_frames == 1500);
  CHECK(paper.train.mixup_alpha == 0.1);
  CHECK(paper.train.mixup_from_step == 3000);
  CHECK(paper.model.bn_stats == BnStats::kShared);
  CHECK(paper.data.reader.selection == Selection::kReference);
  const TrainConfig code = load_config("", {}, "v3-joint-asc+sed@code");
  CHECK(code.data.tag.batch_size == 32);
  CHECK(code.data.sed.batch_size == 24);
  CHECK(preset_config(find_preset("v1-nomixup-single-tag")).train.mixup_alpha == 0);
  CHECK(preset_config(find_preset("v1-nomixup-single-tag")).model.version == 1);
  CHECK(preset_config(find_preset("v1-single-tag")).train.mixup_alpha == 0.1);
}

TEST_CASE("presets: a file and --set go over a preset, whose tasks are trained whatever roots there are",
          "[presets][config]") {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "c.json") << R"({"model": {"width": "1/8"}, "train": {"lr": 0.01},
    "data": {"asc": {"root": "a"}, "tag": {"root": "t"}, "sed": {"root": "s"}}})";
  const TrainConfig c = load_config(folder / "c.json", {"train.lr=0.02", "train.seed=7"}, "v3-joint-asc+sed");
  CHECK(c.model.width == "1/8");
  CHECK(c.train.lr == 0.02);
  CHECK(c.trains(Task::kAsc));
  CHECK_FALSE(c.trains(Task::kTag));
  CHECK(c.trains(Task::kSed));
  CHECK(preset_changes(c) == std::vector<std::string>{"model.width=1/8", "train.lr=0.02"});
  CHECK(preset_changes(load_config("", {"data.asc.root=x", "train.seed=3", "init=m"}, "v3-single-asc")).empty());
  CHECK(load_config("", {"train.tasks=tag", "data.tag.root=x"}, "v3-single-asc").trains(Task::kTag));

  // As a checkpoint keeps it, and as a file may name it.
  const TrainConfig again = config_from_json(nlohmann::json::parse(to_json(c).dump()), "checkpoint");
  CHECK(to_json(again) == to_json(c));
  std::ofstream(folder / "p.json") << R"({"train": {"steps": 5}, "preset": "v3-single-tag@code"})";
  const TrainConfig named = load_config(folder / "p.json", {});
  CHECK(named.train.steps == 5);
  CHECK(named.data.sed.batch_size == 24);
  CHECK(named.train.tasks == "tag");
  CHECK_THROWS_WITH(load_config(folder / "p.json", {}, "v3-single-tag"), Catch::Contains("has the preset"));
  CHECK_THROWS_WITH(load_config("", {"preset=v3-single-tag"}), Catch::Contains("--preset"));
  CHECK_THROWS_WITH(load_config("", {"train.tasks=asc+dog"}), Catch::Contains("dog"));
  std::ofstream(folder / "q.json") << R"({"preset": "v4"})";
  CHECK_THROWS_WITH(load_config(folder / "q.json", {}), Catch::Contains("unknown preset"));
  std::ofstream(folder / "r.json") << R"({"preset": 3})";
  CHECK_THROWS_WITH(load_config(folder / "r.json", {}), Catch::Contains("preset"));
  std::ofstream(folder / "l.json") << "[1]";
  CHECK_THROWS_WITH(load_config(folder / "l.json", {}, "v3-single-tag"), Catch::Contains("no JSON object"));
}

TEST_CASE("presets: where a model comes from, as far as its file tells", "[presets]") {
  const std::string config = to_json(load_config("", {"train.seed=9", "train.steps=4"}, "v3-single-sed")).dump();
  const auto origin = run_origin({{"dcasenet.train", R"({"step": 12, "config": )" + config + "}"}});
  CHECK(origin["preset"] == "v3-single-sed");
  CHECK(origin["seed"] == 9);
  CHECK(origin["step"] == 12);
  CHECK(origin["changes"] == nlohmann::ordered_json{"train.steps=4"});
  CHECK(run_origin({{"dcasenet.config", config}})["step"].is_null());
  CHECK(run_origin({}).is_null());
  CHECK(run_origin({{"dcasenet.train", "nonsense"}}).is_null());
  CHECK(run_origin({{"dcasenet.train", R"({"config": {"train": {"steps": "many"}}})"}}).is_null());
  const std::string deep(200000, '[');
  CHECK(run_origin({{"dcasenet.config", R"({"init": )" + deep + std::string(200000, ']') + "}"}}).is_null());
}

}  // namespace dcase
