#include "train/data/dataset.hpp"

#include <cmath>
#include <filesystem>

#include "tests/support/compare.hpp"
#include "tests/train/data_fixture.hpp"

namespace dcase {

using test::Buffer;

namespace {
Item item_of(Split split, ChannelRule::Mode mode, bool scene, bool events) {
  Item item;
  item.split = split;
  item.channels.mode = mode;
  if (scene) item.scene = std::vector<ClassTarget>{ClassTarget{.label = 1}};
  if (events) item.events.emplace();
  return item;
}
}  // namespace

TEST_CASE("dataset: parts by split and task; reference selection takes the test part", "[dataset]") {
  using Mode = ChannelRule::Mode;
  Dataset dataset;
  dataset.items = {item_of(Split::kTrain, Mode::kMix, true, false), item_of(Split::kTest, Mode::kEach, false, true),
                   item_of(Split::kUnused, Mode::kMix, true, true), item_of(Split::kValid, Mode::kMix, true, false),
                   item_of(Split::kTrain, Mode::kEach, true, true)};
  using Indices = std::vector<std::int32_t>;
  CHECK(dataset.indices(Split::kTrain) == Indices{0, 4});
  CHECK(dataset.indices(Split::kTrain, Task::kSed) == Indices{4});
  CHECK(dataset.indices(Split::kTrain, Task::kTag).empty());
  CHECK(dataset.indices(Split::kValid) == Indices{3});
  dataset.selection = Selection::kReference;
  CHECK(dataset.indices(Split::kValid) == Indices{1});

  int asked = 0;
  const auto all = examples(dataset, Split::kTrain, std::nullopt, [&asked](std::int32_t item) {
    ++asked;
    return item == 4 ? 3 : 0;
  });
  CHECK(asked == 1);
  REQUIRE(all.size() == 4);
  CHECK((all[0].item == 0 && all[0].signal == 0));
  CHECK((all[1].item == 4 && all[1].signal == 0));
  CHECK((all[3].item == 4 && all[3].signal == 2));
}

TEST_CASE("dataset: scene_index is the largest value, the lowest class on ties", "[dataset]") {
  Item item;
  CHECK(item.scene_index() == -1);
  item.scene = {{.label = 1, .value = 0.2F}, {.label = 4, .value = 0.4F}, {.label = 7, .value = 0.4F}};
  CHECK(item.scene_index() == 4);
}

TEST_CASE("dataset: target rows are overwritten", "[dataset]") {
  Buffer<float> row({5});
  fill_row({{.label = 3, .value = 0.25F}, {.label = 0}}, row.view().data, 5);
  const float expected[] = {1, 0, 0, 0.25F, 0};
  for (int k = 0; k < 5; ++k) CHECK(row[k] == expected[k]);
  CHECK(row.guards_intact());
  CHECK_THROWS_AS(fill_row({{.label = 5}}, row.view().data, 5), Error);
  CHECK_THROWS_AS(fill_row({{.label = -1}}, row.view().data, 5), Error);
}

TEST_CASE("dataset: events become frames of 100 ms", "[dataset]") {
  constexpr std::int64_t kFrames = 7;
  constexpr std::int32_t kClasses = 3;
  Buffer<float> matrix({kFrames, kClasses});
  EventTargets targets;
  targets.events = {
      {.label = 0, .onset = 0.3 - 1e-10, .offset = 0.5 + 1e-10},  // rounded to 0.3 and 0.5: frames 3, 4
      {.label = 1, .onset = 0.0, .offset = 0.05},                 // a part of frame 0
      {.label = 1, .onset = 0.25, .offset = 0.3000000001},        // rounded to 0.3: frame 2 alone
      {.label = 2, .onset = 0.65, .offset = 1e300},               // beyond the end: cut
  };
  fill_frames(targets, matrix.view().data, kFrames, kClasses);
  for (std::int64_t f = 0; f < kFrames; ++f) {
    INFO("frame " << f);
    CHECK(matrix[f * kClasses + 0] == (f == 3 || f == 4 ? 1.0F : 0.0F));
    CHECK(matrix[f * kClasses + 1] == (f == 0 || f == 2 ? 1.0F : 0.0F));
    CHECK(matrix[f * kClasses + 2] == (f == 6 ? 1.0F : 0.0F));
  }
  CHECK(matrix.guards_intact());
  targets.events = {{.label = 0, .onset = 500, .offset = 501}};
  fill_frames(targets, matrix.view().data, kFrames, kClasses);
  for (std::int64_t i = 0; i < matrix.size(); ++i) CHECK(matrix[i] == 0);
  CHECK(matrix.guards_intact());
}

TEST_CASE("dataset: soft rows are averaged over the time they share with a frame", "[dataset]") {
  Buffer<float> matrix({4, 2});
  EventTargets targets;
  targets.soft = {{.onset = 0.05, .offset = 0.15, .values = {0.8F, 0.2F}},
                  {.onset = 0.15, .offset = 0.3, .values = {0.4F, 0}}};
  fill_frames(targets, matrix.view().data, 4, 2);
  const float expected[] = {0.4F, 0.1F, 0.6F, 0.1F, 0.4F, 0, 0, 0};
  for (int i = 0; i < 8; ++i) {
    INFO("element " << i);
    CHECK(std::abs(matrix[i] - expected[i]) < 1e-6F);
  }
  CHECK_THROWS_AS(fill_frames(targets, matrix.view().data, 4, 1), Error);
}

TEST_CASE("dataset: a path from a table stays inside the folder", "[dataset]") {
  for (const char* good : {"a.wav", "audio/a.wav", "a..b/c...wav", "a b/\xC3\xBC.wav", "./a.wav"}) {
    CHECK_NOTHROW(check_relative_path(good, "t:1"));
  }
  for (const char* bad : {"", "/etc/passwd", "..", "../a.wav", "a/../b.wav", "a/..", "a\nb.wav"}) {
    CHECK_ERROR(check_relative_path(bad, "t.csv:9"), ErrorKind::kData, "t.csv:9: ");
  }
  CHECK_ERROR(check_relative_path(std::string("a\0b", 3), "t:1"), ErrorKind::kData, "'a\\x00b'");
}

TEST_CASE("dataset: files and folders that are there, and that are not", "[dataset]") {
  const test::TemporaryFolder folder;
  test::put(folder / "a.wav");
  std::filesystem::create_symlink("a.wav", folder / "link.wav");
  std::filesystem::create_symlink("loop", folder / "loop");
  CHECK(is_file(folder / "a.wav"));
  CHECK(is_file(folder / "link.wav"));
  CHECK_FALSE(is_file(folder / "loop"));
  CHECK_FALSE(is_file(folder.path()));
  CHECK_FALSE(is_file(folder / "a.wav/b.wav"));
  CHECK_FALSE(is_file(folder / std::string(5'000, 'x')));
  CHECK_NOTHROW(require_folder(folder.path(), "set"));
  CHECK_ERROR(require_folder(folder / "none", "set"), ErrorKind::kIo, "does not exist");
  CHECK_ERROR(require_folder(folder / "a.wav", "set"), ErrorKind::kIo, "is not a folder");
}

}  // namespace dcase
