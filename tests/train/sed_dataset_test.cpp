#include "train/data/sed_dataset.hpp"

#include <filesystem>
#include <map>

#include "tests/support/compare.hpp"
#include "tests/train/data_fixture.hpp"

namespace dcase {

using test::has;
using test::put;
using test::TemporaryFolder;

namespace {

/// One recording a fold. That of fold 3 has an overlap, an event in frame 0, one in frame 599, and a gap within an
/// event number; a sidecar stands beside it.
class SedSet {
 public:
  SedSet() {
    for (int fold = 1; fold <= 6; ++fold) put_recording(fold, "10,3,0,30,-10\n11,3,0,30,-10\n");
    put_recording(3,
                  "0,5,1,10,0\n"
                  "20,12,2,-180,40\n21,12,2,-180,40\n21,3,3,170,-40\n22,3,3,160,-40\n"
                  "23,12,2,-170,40\n"
                  "599,13,4,0,0");
    put(folder_ / "metadata_dev/._fold3_room1_mix001_ov2.csv", "\x01\x02");
    put(folder_ / "mic_dev/._fold3_room1_mix001_ov2.wav");
  }
  void put_recording(int fold, const std::string& metadata) const {
    put(table(fold), metadata);
    for (const char* audio : {"mic_dev/", "foa_dev/"}) put(folder_ / (audio + stem(fold) + ".wav"));
  }
  [[nodiscard]] std::string table(int fold) const { return folder_ / ("metadata_dev/" + stem(fold) + ".csv"); }
  [[nodiscard]] std::string path() const { return folder_.path(); }
  [[nodiscard]] std::string operator/(const std::string& name) const { return folder_ / name; }
  static std::string stem(int fold) { return concat("fold", fold, "_room", fold == 6 ? 1 : 2, "_mix001_ov2"); }

 private:
  TemporaryFolder folder_;
};

Dataset read(const SedSet& set, SedColumns columns = SedColumns::kTrack) {
  return read_sed({.root = set.path(), .labels = {}, .columns = columns});
}

}  // namespace

TEST_CASE("sed: folds, channels and length", "[sed]") {
  const SedSet set;
  const Dataset dataset = read(set);
  REQUIRE(dataset.items.size() == 6);
  CHECK(dataset.listed == 6);
  CHECK(dataset.warnings.empty());
  using Indices = std::vector<std::int32_t>;
  CHECK(dataset.indices(Split::kTest) == Indices{0});
  CHECK(dataset.indices(Split::kValid) == Indices{1});
  CHECK(dataset.indices(Split::kTrain, Task::kSed) == Indices{2, 3, 4, 5});
  const Item& item = dataset.items[2];
  CHECK(item.audio == "mic_dev/fold3_room2_mix001_ov2.wav");
  CHECK(item.channels == ChannelRule{.mode = ChannelRule::Mode::kEach});
  CHECK(item.padded_seconds == 60);
  CHECK(item.group == "fold3_room2");
  CHECK(dataset.labels.sed == builtin_labels(Task::kSed));
  const auto all = examples(dataset, Split::kTrain, Task::kSed, [](std::int32_t) { return kSedChannels; });
  CHECK(all.size() == 16);  // each microphone is an example

  const Dataset reference = read_sed({.root = set.path(), .labels = {}, .selection = Selection::kReference});
  CHECK(reference.indices(Split::kUnused) == Indices{1});
  CHECK(reference.indices(Split::kValid) == Indices{0});
  CHECK(read_sed({.root = set.path(), .labels = {}, .audio = SedAudio::kFoa}).items[0].audio ==
        "foa_dev/fold1_room2_mix001_ov2.wav");
}

TEST_CASE("sed: label matrix and events of overlaps, gaps and the first and last frame", "[sed]") {
  const SedSet set;
  const Dataset dataset = read(set);
  const EventTargets& targets = *dataset.items[2].events;
  REQUIRE(targets.events.size() == 5);
  CHECK(targets.events[0] == EventTarget{.label = 5, .onset = 0, .offset = 0.1, .track = 1});
  CHECK(targets.events[1].label == 12);
  CHECK(targets.events[1].onset == Approx(2.0));
  CHECK(targets.events[1].offset == Approx(2.2));
  CHECK(targets.events[3].label == 12);  // the same event number after a gap is a new run
  CHECK(targets.events[3].onset == Approx(2.3));
  CHECK(targets.events[4].offset == Approx(60.0));

  test::Buffer<float> matrix({kSedFrames, 14});
  fill_frames(targets, matrix.view().data, kSedFrames, 14);
  std::map<std::pair<int, int>, float> expected = {{{0, 5}, 1.F},  {{20, 12}, 1.F}, {{21, 12}, 1.F}, {{21, 3}, 1.F},
                                                   {{22, 3}, 1.F}, {{23, 12}, 1.F}, {{599, 13}, 1.F}};
  int wrong = 0;
  for (int f = 0; f < kSedFrames; ++f) {
    for (int k = 0; k < 14; ++k) wrong += matrix[f * 14 + k] == expected[{f, k}] ? 0 : 1;
  }
  CHECK(wrong == 0);
  CHECK(matrix.guards_intact());
}

TEST_CASE("sed: every frame of a recording survives the way through seconds", "[sed]") {
  const SedSet set;
  std::string rows;
  for (int f = 0; f < kSedFrames; f += 2) rows += concat(f, ",", f % 14, ",0,0,0\n");
  set.put_recording(4, rows);
  const Dataset dataset = read(set);
  test::Buffer<float> matrix({kSedFrames, 14});
  fill_frames(*dataset.items[3].events, matrix.view().data, kSedFrames, 14);
  int wrong = 0;
  for (int f = 0; f < kSedFrames; ++f) {
    for (int k = 0; k < 14; ++k) wrong += matrix[f * 14 + k] == (f % 2 == 0 && k == f % 14 ? 1.F : 0.F) ? 0 : 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("sed: a recording without events is known to hold none", "[sed]") {
  const SedSet set;
  set.put_recording(5, "");
  const Dataset dataset = read(set);
  CHECK(dataset.items[4].knows(Task::kSed));
  CHECK(dataset.items[4].events->events.empty());
}

TEST_CASE("sed: forms of the metadata are chosen, not guessed", "[sed]") {
  const SedSet set;
  const auto all = [&set](const std::string& row) {
    for (int fold = 1; fold <= 6; ++fold) set.put_recording(fold, row);
  };
  all("7,2,-30,10\n8,2,-30,10\n8,2,90,10\n");
  const Dataset four = read(set, SedColumns::kNoTrack);
  REQUIRE(four.items[0].events->events.size() == 2);  // two directions in frame 8: two instances
  CHECK(four.items[0].events->events[0].offset == Approx(0.9));
  CHECK_ERROR(read(set), ErrorKind::kData, "mix001_ov2.csv:1: 4 fields where the chosen form of the metadata has 5");
  all("7,2,1,0.5,-0.25,0.8\r\n");
  CHECK(read(set, SedColumns::kCartesian).items[0].events->events[0].track == 1);
  all("7,2,1,-30,10,180");
  CHECK(read(set, SedColumns::kDistance).items[0].events->events.size() == 1);
}

TEST_CASE("sed: classes.csv names the numbers of the metadata", "[sed]") {
  const SedSet set;
  std::string classes = "index,class,clips\n";
  for (int k = 0; k < 14; ++k) classes += concat(k, ",", k == 10 ? "male_screem" : concat("kind", k), ",x y\n");
  put(set / "classes.csv", classes);
  const Dataset dataset = read(set);
  CHECK(dataset.labels.sed[3] == "kind3");
  CHECK(dataset.labels.sed[10] == "male_scream");

  // A checkpoint with the same names in another order: numbers are renamed, not taken over.
  std::vector<std::string> names = dataset.labels.sed.names();
  std::swap(names[3], names[0]);
  const Dataset other = read_sed({.root = set.path(), .labels = LabelSet(names)});
  CHECK(dataset.items[0].events->events[0].label == 3);
  CHECK(other.items[0].events->events[0].label == 0);
  // A checkpoint of other classes is refused.
  CHECK_ERROR(read_sed({.root = set.path(), .labels = builtin_labels(Task::kSed)}), ErrorKind::kData,
              "unknown label 'kind3'");

  put(set / "classes.csv", "0,alarm\n2,dog\n");
  CHECK_ERROR(read(set), ErrorKind::kData, "classes.csv:2: class index 2 where 1 follows");
  put(set / "classes.csv", "0,alarm\n1,dog\n");
  CHECK_ERROR(read(set), ErrorKind::kData, "class 3 where there are 2 (0 to 1)");
}

TEST_CASE("sed: what is wrong with a table ends in one sentence", "[sed]") {
  const SedSet set;
  CHECK_ERROR(read_sed({.root = set / "none"}), ErrorKind::kIo, "does not exist");
  const auto with_row = [&set](const std::string& row) {
    set.put_recording(1, "1,1,0,0,0\n" + row + "\n");
    return read(set);
  };
  CHECK_ERROR(with_row("600,1,0,0,0"), ErrorKind::kData,
              "fold1_room2_mix001_ov2.csv:2: the frame is '600'; it has to be a whole number from 0 to 599");
  CHECK_ERROR(with_row("-1,1,0,0,0"), ErrorKind::kData, ":2: the frame is '-1'");
  CHECK_ERROR(with_row("1.5,1,0,0,0"), ErrorKind::kData, ":2: the frame is '1.5'");
  CHECK_ERROR(with_row("999999999999999999999,1,0,0,0"), ErrorKind::kData, ":2: the frame");
  CHECK_ERROR(with_row("two,1,0,0,0"), ErrorKind::kData, ":2: the frame is 'two'");
  CHECK_ERROR(with_row("1,14,0,0,0"), ErrorKind::kData, ":2: class 14 where there are 14");
  CHECK_ERROR(with_row("1,1,0,0"), ErrorKind::kData, ":2: 4 fields");
  CHECK_ERROR(with_row("1,1,0,north,0"), ErrorKind::kData, ":2: the direction is 'north'");
  CHECK_ERROR(with_row("1,1,-1,0,0"), ErrorKind::kData, ":2: the event number is '-1'");
  set.put_recording(1, "1,1,0,0,0\n");

  put(set / "metadata_dev/fold7_room1_mix001_ov1.csv", "");
  put(set / "mic_dev/fold2_room1_mix099_ov1.wav");
  std::filesystem::remove(set / "mic_dev/fold3_room2_mix001_ov2.wav");
  const Dataset dataset = read(set);
  CHECK(dataset.items.size() == 5);
  CHECK(dataset.missing == std::vector<std::string>{"mic_dev/fold3_room2_mix001_ov2.wav"});
  REQUIRE(dataset.warnings.size() == 3);
  CHECK(has(dataset.warnings[0], "'fold7_room1_mix001_ov1.csv'"));
  CHECK(has(dataset.warnings[1], "'fold2_room1_mix099_ov1.wav'"));
  CHECK(has(dataset.warnings[2], "1 of 6 listed files do not exist"));

  std::filesystem::remove_all(set / "mic_dev");
  CHECK_ERROR(read(set), ErrorKind::kIo, "mic_dev' does not exist");
}

}  // namespace dcase
