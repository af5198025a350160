#include "train/data/manifest_dataset.hpp"

#include <filesystem>

#include "tests/support/compare.hpp"
#include "tests/train/data_fixture.hpp"

namespace dcase {

using test::has;
using test::put;
using test::TemporaryFolder;

namespace {

class Manifest {
 public:
  explicit Manifest(std::string name = "m.jsonl") : name_(std::move(name)) {
    for (const char* file : {"a/1.wav", "a/2.wav", "3.wav"}) put(folder_ / file);
  }
  [[nodiscard]] std::string operator/(const std::string& name) const { return folder_ / name; }
  Dataset read(const std::string& text, ManifestOptions options = {}) const {
    put(folder_ / name_, text);
    options.manifest = folder_ / name_;
    return read_manifest(options);
  }

 private:
  TemporaryFolder folder_;
  std::string name_;
};

}  // namespace

TEST_CASE("manifest: an item of everything", "[manifest]") {
  const Manifest m;
  const Dataset dataset = m.read(
      "\xEF\xBB\xBF"
      R"({"audio":"a/1.wav","task":["asc","tag","sed"],"split":"train","group":"site-12","device":"a","scene":"park",)"
      R"("tags":["Stream","Bark"],"events":[{"onset":1.2,"offset":2.7,"label":"dog"},{"onset":0.5,"offset":9,"label":"cat"}],)"
      R"("channels":"each","start":1,"end":2.5})"
      "\r\n\r\n"
      R"({"audio":"a/2.wav","split":"valid","tags":[],"channels":2})"
      "\n"
      R"({"audio":"3.wav","split":"test","events":[]})");
  REQUIRE(dataset.items.size() == 3);
  const Item& item = dataset.items[0];
  CHECK(item.split == Split::kTrain);
  CHECK(item.group == "site-12");
  CHECK(item.device == "a");
  CHECK(item.channels.mode == ChannelRule::Mode::kEach);
  CHECK(item.start == 1);
  CHECK(item.end == 2.5);
  CHECK(dataset.labels.asc == LabelSet({"park"}));
  CHECK(dataset.labels.tag == LabelSet({"Bark", "Stream"}));
  CHECK(dataset.labels.sed == LabelSet({"cat", "dog"}));
  CHECK(*item.tags == std::vector<ClassTarget>{{.label = 0}, {.label = 1}});
  // Times count from the beginning of the file; the part is 1 to 2.5 s.
  REQUIRE(item.events->events.size() == 2);
  CHECK(item.events->events[0] == EventTarget{.label = 0, .onset = 0, .offset = 1.5});
  CHECK(item.events->events[1].onset == Approx(0.2));
  CHECK(item.events->events[1].offset == 1.5);

  // Missing is unknown, empty is nothing.
  const Item& second = dataset.items[1];
  CHECK(second.channels == ChannelRule{.mode = ChannelRule::Mode::kOne, .index = 2});
  CHECK_FALSE(second.knows(Task::kAsc));
  CHECK(second.knows(Task::kTag));
  CHECK(second.tags->empty());
  CHECK_FALSE(second.knows(Task::kSed));
  CHECK(dataset.items[2].knows(Task::kSed));
  CHECK(dataset.items[2].events->events.empty());
}

TEST_CASE("manifest: task limits what an item is used for", "[manifest]") {
  const Manifest m;
  const Dataset dataset = m.read(R"({"audio":"a/1.wav","split":"train","task":"asc","scene":"park","tags":["Bark"]})"
                                 "\n"
                                 R"({"audio":"a/2.wav","split":"train","task":["asc","sed"],"scene":"bus"})");
  CHECK_FALSE(dataset.items[0].knows(Task::kTag));
  CHECK(dataset.labels.tag.empty());
  CHECK(dataset.labels.asc == LabelSet({"bus", "park"}));  // two classes, not the built-in ten
}

TEST_CASE("manifest: soft targets", "[manifest]") {
  const Manifest m;
  put(m / "a/soft.tsv", "onset\toffset\train\tbird\n1.0\t2.0\t0.25\t1\n0.0\t1.0\t0.5\t0\n");
  const Dataset dataset =
      m.read(R"({"audio":"a/1.wav","split":"train","scene_soft":{"park":0.7,"bus":0.3},"tags_soft":{"x":0.1},)"
             R"("events_soft":"a/soft.tsv","start":0.95})");
  const Item& item = dataset.items[0];
  CHECK(dataset.labels.sed == LabelSet({"bird", "rain"}));
  CHECK(item.scene_index() == 1);
  CHECK((*item.scene)[0].value == Approx(0.3));
  CHECK((*item.tags)[0].value == Approx(0.1));
  test::Buffer<float> matrix({3, 2});
  fill_frames(*item.events, matrix.view().data, 3, 2);
  CHECK(matrix[0] == Approx(0.5));           // bird: half of the first frame
  CHECK(matrix[1] == Approx(0.25 + 0.125));  // rain: 0.5 for 50 ms, 0.25 for 50 ms
  CHECK(matrix[2] == Approx(1));
  CHECK(matrix[3] == Approx(0.25));

  const auto with = [&m](const std::string& fields) {
    return m.read(R"({"audio":"3.wav","split":"train",)" + fields + "}");
  };
  CHECK_ERROR(with(R"("scene_soft":{"a":0.5,"b":0.4})"), ErrorKind::kData,
              "m.jsonl:1: the values of scene_soft sum to 0.9");
  CHECK_ERROR(with(R"("tags_soft":{"a":1.5})"), ErrorKind::kData, "the soft value of 'a' is 1.5");
  CHECK_ERROR(with(R"("tags_soft":{"a":0.5},"tags":[])"), ErrorKind::kData, "tags and tags_soft exclude each other");
  CHECK_ERROR(with(R"("events_soft":"none.tsv")"), ErrorKind::kData, "which does not exist");
  CHECK_ERROR(with(R"("events_soft":"../soft.tsv")"), ErrorKind::kData, "leaves the data set's folder");
  put(m / "s.tsv", "onset\toffset\tx\n0\t1\t0.5\n0.5\t2\t0.5\n");
  CHECK_ERROR(with(R"("events_soft":"s.tsv")"), ErrorKind::kData, "s.tsv:3: the row begins at 0.5 s, before");
  put(m / "s.tsv", "onset\toffset\tx\n0\t1\t1.5\n");
  CHECK_ERROR(with(R"("events_soft":"s.tsv")"), ErrorKind::kData, "s.tsv:2: the score of 'x' is 1.5");
  put(m / "s.tsv", "onset\toffset\tx\n0\t1\t1\n");
  put(m / "labels.json", R"({"sed":["x","y"]})");
  CHECK_ERROR(with(R"("events_soft":"s.tsv")"), ErrorKind::kData, "has no column 'y'");
}

TEST_CASE("manifest: class lists from labels.json or the training items", "[manifest]") {
  const Manifest m;
  const std::string text = R"({"audio":"a/1.wav","split":"train","scene":"b"})"
                           "\n"
                           R"({"audio":"a/2.wav","split":"test","scene":"a"})";
  CHECK_ERROR(m.read(text), ErrorKind::kData, "m.jsonl:2: unknown label 'a'");
  put(m / "labels.json", R"({"asc":["c","b","a"]})");
  const Dataset dataset = m.read(text);
  CHECK(dataset.items[0].scene_index() == 1);
  CHECK(dataset.items[1].scene_index() == 2);
  ManifestOptions options;
  options.labels.asc = LabelSet({"a", "b"});
  CHECK(m.read(text, options).items[0].scene_index() == 1);
}

TEST_CASE("manifest: folds are assigned by option", "[manifest]") {
  const Manifest m;
  const std::string text = R"({"audio":"a/1.wav","fold":1,"tags":["x"]})"
                           "\n"
                           R"({"audio":"a/2.wav","fold":2,"tags":["x"]})"
                           "\n"
                           R"({"audio":"3.wav","fold":3,"tags":["x"]})";
  ManifestOptions options;
  options.valid_folds = {2};
  options.test_folds = {3};
  const Dataset dataset = m.read(text, options);
  CHECK(dataset.items[0].split == Split::kTrain);
  CHECK(dataset.items[1].split == Split::kValid);
  CHECK(dataset.items[2].split == Split::kTest);
  options.selection = Selection::kReference;
  CHECK(m.read(text, options).indices(Split::kValid) == std::vector<std::int32_t>{2});
}

TEST_CASE("manifest: a group never straddles splits", "[manifest]") {
  const Manifest m;
  const std::string first = R"({"audio":"a/1.wav","split":"train","group":"g","tags":["x"]})";
  CHECK_ERROR(m.read(first + "\n" + R"({"audio":"a/2.wav","split":"test","group":"g","tags":["x"]})"), ErrorKind::kData,
              "m.jsonl:2: group 'g' is test here and train at");
  // Parts of one file in two splits are possible, but worth a warning.
  const Dataset dataset = m.read(R"({"audio":"a/1.wav","split":"train","end":5,"tags":["x"]})"
                                 "\n"
                                 R"({"audio":"a/1.wav","split":"test","start":5,"tags":["x"]})");
  CHECK(has(dataset.warnings.at(0), "1 files have parts in more than one split"));
}

TEST_CASE("manifest: no path escapes unless allowed", "[manifest]") {
  const Manifest m("sub/m.jsonl");
  const std::string up = R"({"audio":"../3.wav","split":"train","tags":["x"]})";
  CHECK_ERROR(m.read(up), ErrorKind::kData, "m.jsonl:1: the path '../3.wav' leaves");
  const std::string absolute = R"({"audio":")" + (m / "3.wav") + R"(","split":"train","tags":["x"]})";
  CHECK_ERROR(m.read(absolute), ErrorKind::kData, "leaves the data set's folder");
  ManifestOptions options;
  options.allow_outside = true;
  CHECK(m.read(up, options).missing.empty());
  const Dataset dataset = m.read(absolute, options);
  CHECK(dataset.path_of(dataset.items.at(0)) == m / "3.wav");
  // A link inside the folder is its owner's business.
  std::filesystem::create_symlink("../3.wav", m / "sub/link.wav");
  CHECK(m.read(R"({"audio":"link.wav","split":"train","tags":["x"]})").items.size() == 1);
}

TEST_CASE("manifest: what is wrong with a line ends in one sentence", "[manifest]") {
  const Manifest m;
  const auto with = [&m](const std::string& fields) { return m.read("\n{" + fields + "}"); };
  const std::string good = R"("audio":"a/1.wav","split":"train","tags":["x"])";
  CHECK(with(good).items.size() == 1);
  CHECK_ERROR(with(good + R"(,"grup":"x")"), ErrorKind::kData,
              "m.jsonl:2: unknown field 'grup', did you mean 'group'?");
  CHECK_ERROR(with(good + R"(,"audio":"b")"), ErrorKind::kData, "m.jsonl:2: the key 'audio' stands twice");
  CHECK_ERROR(with(good + R"(,"events":[{"onset":1,"offset":2,"lable":"x"}])"), ErrorKind::kData,
              "did you mean 'label'?");
  CHECK_ERROR(with(good + R"(,"events":[{"onset":1,"offset":2}])"), ErrorKind::kData, "an event without label");
  CHECK_ERROR(with(good + R"(,"events":[{"onset":2,"offset":2,"label":"x"}])"), ErrorKind::kData,
              "the offset has to be after");
  CHECK_ERROR(with(good + R"(,"events":[{"onset":-1,"offset":2,"label":"x"}])"), ErrorKind::kData, "the onset is -1 s");
  CHECK_ERROR(with(good + R"(,"events":[{"onset":"1","offset":2,"label":"x"}])"), ErrorKind::kData,
              "the onset is '\"1\"'");
  CHECK_ERROR(with(good + R"(,"events":{"onset":1})"), ErrorKind::kData, "events is");
  CHECK_ERROR(with(good + R"(,"start":3,"end":2)"), ErrorKind::kData, "start is 3 and end 2");
  CHECK_ERROR(with(good + R"(,"channels":-1)"), ErrorKind::kData, "channels is '-1'");
  CHECK_ERROR(with(good + R"(,"channels":18446744073709551615)"), ErrorKind::kData, "channels is");
  CHECK_ERROR(with(good + R"(,"channels":"both")"), ErrorKind::kData, "channels is 'both'");
  CHECK_ERROR(with(good + R"(,"fold":1)"), ErrorKind::kData, "split and fold exclude each other");
  CHECK_ERROR(with(R"("audio":"a/1.wav","fold":4294967297,"tags":["x"])"), ErrorKind::kData, "fold is '4294967297'");
  CHECK_ERROR(with(R"("audio":"a/1.wav","fold":1.5,"tags":["x"])"), ErrorKind::kData, "fold is '1.5'");
  CHECK_ERROR(with(good + R"(,"task":"tags")"), ErrorKind::kData, "task is 'tags'");
  CHECK_ERROR(with(good + R"(,"start":1e999)"), ErrorKind::kData, "m.jsonl:2: not valid JSON");
  CHECK_ERROR(with(R"("audio":"a/1.wav","tags":["x"])"), ErrorKind::kData, "neither split nor fold");
  CHECK_ERROR(with(R"("audio":"a/1.wav","split":"dev","tags":["x"])"), ErrorKind::kData, "split is 'dev'");
  CHECK_ERROR(with(R"("audio":"a/1.wav","split":"train","tags":["x","x"])"), ErrorKind::kData, "'x' is named twice");
  CHECK_ERROR(with(R"("split":"train","tags":["x"])"), ErrorKind::kData, "no audio");
  CHECK_ERROR(with(R"("audio":7,"split":"train")"), ErrorKind::kData, "audio is '7'; it has to be a text");
  CHECK_ERROR(m.read("{" + good + "}\n{" + good + "}"), ErrorKind::kData, "m.jsonl:2: 'a/1.wav' is listed already, at");
  CHECK_ERROR(m.read("{\"audio\":"), ErrorKind::kData, "m.jsonl:1: not valid JSON near byte 10");
  CHECK_ERROR(m.read("[1,2]"), ErrorKind::kData, "m.jsonl:1: '[1,2]' where a line has to be one object");
  CHECK_ERROR(m.read(std::string("{\"audio\":\"a\0\"}", 14)), ErrorKind::kData, "not valid JSON");
  CHECK_ERROR(m.read("{\"audio\":\"\xFF\"}"), ErrorKind::kData, "not valid JSON");
  CHECK_ERROR(m.read(""), ErrorKind::kData, "lists no item");
  CHECK_ERROR(m.read(std::string(1'000'000, '[') + std::string(1'000'000, ']')), ErrorKind::kData,
              "nested more than 8 deep");
  CHECK_ERROR(m.read(std::string(5'000'000, 'x')), ErrorKind::kData, "m.jsonl:1: a line of 5000000 bytes");
  CHECK_ERROR(read_manifest({.manifest = m / "none.jsonl"}), ErrorKind::kData, "no such file");
  CHECK_ERROR(read_manifest({.manifest = m / "none/m.jsonl"}), ErrorKind::kIo, "does not exist");
  CHECK_ERROR(read_manifest({.manifest = m / "m.txt"}), ErrorKind::kUsage, "called .jsonl, .csv or .tsv");
}

TEST_CASE("manifest: CSV with its table of events", "[manifest]") {
  const Manifest m("m.csv");
  put(m / "m_events.csv",
      "filename,onset,offset,event_label\n"
      "a/1.wav,1.5,2.5,dog\na/1.wav,0,1,cat\n"
      "3.wav,,,\n"
      "other.wav,0,1,cow\n");
  const Dataset dataset = m.read(
      "audio,split,task,scene,tags,scene_soft,channels,start\r\n"
      "a/1.wav,train,,park,Bark;Stream,,each,\r\n"
      "a/2.wav,train,tag,,,,,\r\n"
      "3.wav,valid,,,,park:1.0,1,0.5\r\n");
  REQUIRE(dataset.items.size() == 3);
  CHECK(dataset.items[0].channels.mode == ChannelRule::Mode::kEach);
  CHECK(dataset.items[0].tags->size() == 2);
  CHECK(dataset.items[0].events->events.size() == 2);
  CHECK(dataset.items[0].events->events[0].label == 0);
  // An empty cell: nothing where the row names the task, unknown elsewhere.
  CHECK(dataset.items[1].knows(Task::kTag));
  CHECK(dataset.items[1].tags->empty());
  CHECK_FALSE(dataset.items[1].knows(Task::kAsc));
  CHECK_FALSE(dataset.items[1].knows(Task::kSed));
  CHECK_FALSE(dataset.items[2].knows(Task::kTag));
  CHECK(dataset.items[2].knows(Task::kAsc));
  CHECK(dataset.items[2].start == 0.5);
  CHECK(dataset.items[2].events->events.empty());
  CHECK(has(dataset.warnings.at(0), "1 files of"));

  CHECK_ERROR(m.read("audio,split,events\n3.wav,train,x\n"), ErrorKind::kData, "events stand in a table of their own");
  CHECK_ERROR(m.read("audio,splitt\n3.wav,train\n"), ErrorKind::kData,
              "m.csv:1: unknown field 'splitt', did you mean 'split'?");
  CHECK_ERROR(m.read("split\ntrain\n"), ErrorKind::kData, "m.csv:1: no column 'audio'");
  CHECK_ERROR(m.read("audio,split,tags_soft\n3.wav,train,Bark=1\n"), ErrorKind::kData,
              "m.csv:2: tags_soft holds 'Bark=1'");
  CHECK_ERROR(m.read("audio,split,start\n3.wav,train,-1\n"), ErrorKind::kData, "m.csv:2: start is -1 s");
  put(m / "m_events.csv", "filename,onset,offset,event_label\n3.wav,x,1,dog\n");
  CHECK_ERROR(m.read("audio,split\n3.wav,train\n"), ErrorKind::kData, "m_events.csv:2: the onset is 'x'");
}

}  // namespace dcase
