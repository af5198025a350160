#include "train/data/asc_dataset.hpp"

#include <array>
#include <filesystem>
#include <map>
#include <set>

#include "tests/train/data_fixture.hpp"

namespace dcase {

using test::has;
using test::put;
using test::TemporaryFolder;

namespace {

constexpr std::array<const char*, 9> kDevices = {"a", "b", "c", "s1", "s2", "s3", "s4", "s5", "s6"};

/// Ten scenes in three cities with three places each for training and one for testing; training on six devices, the
/// test on nine. A sidecar row and file, a file that is listed and missing, one that is in neither part.
class AscSet {
 public:
  AscSet() {
    for (const std::string& scene : builtin_labels(Task::kAsc).names()) add_scene(scene);
    add(meta_, train_, "audio/._tram-lyon-27-0-a.wav", "tram", "lyon-27", "a");
    meta_ += "audio/bus-lyon-999-0-a.wav\tbus\tlyon-999\ta\n";
    write();
  }
  [[nodiscard]] std::string path() const { return folder_.path(); }
  [[nodiscard]] std::string operator/(const std::string& name) const { return folder_ / name; }
  [[nodiscard]] std::string train_table() const { return header() + train_; }
  void write_train(const std::string& text) const { put(folder_ / "evaluation_setup/fold1_train.csv", text); }
  void remove(const std::string& name) const { std::filesystem::remove(folder_ / name); }
  static std::string header() { return "filename\tscene_label\n"; }

 private:
  void add(std::string& meta, std::string& table, const std::string& file, const std::string& scene,
           const std::string& place, const std::string& device) {
    meta += file + "\t" + scene + "\t" + place + "\t" + device + "\n";
    table += file + "\t" + scene + "\n";
    put(folder_ / file);
  }
  void add_scene(const std::string& scene) {
    for (const char* city : {"lyon", "paris", "vienna"}) {
      for (int place = 0; place < 4; ++place) {
        const bool test = place == 3;
        const std::string identifier = concat(city, "-", place_++);
        for (std::size_t d = 0; d < (test ? 9U : 6U); ++d) {
          const std::string file = concat("audio/", scene, "-", identifier, "-", d, "-", kDevices[d], ".wav");
          add(meta_, test ? test_ : train_, file, scene, identifier, kDevices[d]);
        }
      }
    }
  }
  void write() const {
    put(folder_ / "meta.csv",
        "\xEF\xBB\xBF"
        "filename\tscene_label\tidentifier\tsource_label\n" +
            meta_);
    write_train(train_table());
    put(folder_ / "evaluation_setup/fold1_evaluate.csv", header() + test_.substr(0, test_.size() - 1));
  }

  TemporaryFolder folder_;
  std::string meta_, train_, test_;
  int place_ = 0;
};

Dataset read(const AscSet& set, Selection selection = Selection::kValidation, std::uint64_t seed = 0) {
  return read_asc({.root = set.path(), .labels = {}, .selection = selection, .seed = seed});
}

}  // namespace

TEST_CASE("asc: parts, devices and scenes of the tables", "[asc]") {
  const AscSet set;
  const Dataset dataset = read(set);
  CHECK(dataset.labels.asc == builtin_labels(Task::kAsc));
  CHECK(dataset.labels.tag.empty());
  CHECK(dataset.listed == 10 * 3 * (3 * 6 + 9));
  CHECK(dataset.missing.empty());
  CHECK(dataset.warnings.empty());
  CHECK(has(dataset.notes.at(0), "10 classes of the built-in list"));
  CHECK(has(dataset.notes.at(1), "1 files of meta.csv are in neither part"));

  std::map<std::string, int> devices;
  for (const std::int32_t i : dataset.indices(Split::kTest, Task::kAsc))
    ++devices[dataset.items[static_cast<std::size_t>(i)].device];
  REQUIRE(devices.size() == 9);
  for (const char* device : kDevices) CHECK(devices[device] == 30);

  const Item& first = dataset.items.front();
  CHECK(first.audio == "audio/airport-lyon-0-0-a.wav");
  CHECK(first.group == "lyon-0");
  CHECK(first.scene_index() == 0);
  CHECK(dataset.path_of(first) == set / "audio/airport-lyon-0-0-a.wav");
  CHECK(dataset.items.back().scene_index() == 9);
}

TEST_CASE("asc: validation is 30 % by place, with every city and scene on both sides", "[asc]") {
  const AscSet set;
  const Dataset dataset = read(set);
  std::map<std::string, std::set<Split>> places;
  std::set<std::string> cities;
  std::map<std::int32_t, int> scenes;
  for (const Item& item : dataset.items) {
    places[item.group].insert(item.split);
    if (item.split != Split::kValid) continue;
    cities.insert(item.group.substr(0, item.group.find('-')));
    ++scenes[item.scene_index()];
  }
  for (const auto& [place, splits] : places) CHECK(splits.size() == 1);
  CHECK(cities.size() == 3);
  REQUIRE(scenes.size() == 10);
  for (const auto& [scene, count] : scenes) CHECK(count == 18);  // 3 of 9 places: 30 % of 9 is 2.7
  CHECK(dataset.indices(Split::kTrain).size() == 360);

  const auto splits = [](const Dataset& d) {
    std::vector<Split> all;
    for (const Item& item : d.items) all.push_back(item.split);
    return all;
  };
  CHECK(splits(dataset) == splits(read(set)));
  CHECK(splits(dataset) != splits(read(set, Selection::kValidation, 1)));
}

TEST_CASE("asc: reference selection holds nothing out and selects on the test part", "[asc]") {
  const AscSet set;
  const Dataset dataset = read(set, Selection::kReference);
  CHECK(dataset.indices(Split::kTrain).size() == 540);
  CHECK(dataset.indices(Split::kValid) == dataset.indices(Split::kTest));
  CHECK(dataset.indices(Split::kTest).size() == 270);
  CHECK(has(dataset.selection_text, "reference"));
}

TEST_CASE("asc: a missing recording is counted and named and leaves the split as it was", "[asc]") {
  const AscSet set;
  const Dataset whole = read(set);
  set.remove(whole.items[4].audio);
  const Dataset dataset = read(set);
  CHECK(dataset.listed == whole.listed);
  CHECK(dataset.missing == std::vector<std::string>{whole.items[4].audio});
  REQUIRE(dataset.warnings.size() == 1);
  CHECK(has(dataset.warnings[0], "1 of 810 listed files do not exist"));
  CHECK(has(dataset.warnings[0], whole.items[4].audio));
  for (std::size_t i = 4; i < dataset.items.size(); ++i) REQUIRE(dataset.items[i].split == whole.items[i + 1].split);
}

TEST_CASE("asc: without fold1_evaluate.csv the scenes of fold1_test.csv come from meta.csv", "[asc]") {
  const AscSet set;
  const Dataset whole = read(set);
  set.remove("evaluation_setup/fold1_evaluate.csv");
  std::string table = "filename\r\n";
  for (const std::int32_t i : whole.indices(Split::kTest))
    table += whole.items[static_cast<std::size_t>(i)].audio + "\r\n";
  put(set / "evaluation_setup/fold1_test.csv", table);
  const Dataset dataset = read(set);
  REQUIRE(dataset.items.size() == whole.items.size());
  for (std::size_t i = 0; i < whole.items.size(); ++i) REQUIRE(dataset.items[i].scene == whole.items[i].scene);
}

TEST_CASE("asc: a file that meta.csv does not list takes place and device from its name", "[asc]") {
  const AscSet set;
  put(set / "audio/park-rome-77-1-s5.wav");
  set.write_train(set.train_table() + "audio/park-rome-77-1-s5.wav\tpark\n");
  const Dataset dataset = read(set, Selection::kReference);
  const Item& item = dataset.items.at(540);
  CHECK(item.group == "rome-77");
  CHECK(item.device == "s5");
  set.write_train(set.train_table() + "audio/park.wav\tpark\n");
  CHECK_ERROR(read(set), ErrorKind::kData, "fold1_train.csv:543: 'audio/park.wav' is not in meta.csv and not named");
}

TEST_CASE("asc: class lists by precedence", "[asc]") {
  const AscSet set;
  const LabelSet given({"tram", "street_traffic", "street_pedestrian", "shopping_mall", "public_square", "park",
                        "metro_station", "metro", "bus", "airport"});
  const Dataset dataset = read_asc({.root = set.path(), .labels = given});
  CHECK(dataset.labels.asc == given);
  CHECK(dataset.items.front().scene_index() == 9);
  CHECK_ERROR(read_asc({.root = set.path(), .labels = LabelSet({"airport", "buss"})}), ErrorKind::kData,
              "unknown label 'bus', did you mean 'buss'?");

  put(set / "labels.json", R"({"asc": ["x", "tram", "street_traffic", "street_pedestrian", "shopping_mall",
      "public_square", "park", "metro_station", "metro", "bus", "airport"]})");
  CHECK(read(set).labels.asc.find("airport") == 10);
  CHECK(read_asc({.root = set.path(), .labels = given}).labels.asc == given);
  put(set / "labels.json", R"({"acs": ["x"]})");
  CHECK_ERROR(read(set), ErrorKind::kData, "unknown key 'acs'");
  put(set / "labels.json", R"({"asc": ["x", 1]})");
  CHECK_ERROR(read(set), ErrorKind::kData, "labels.json: 'asc' has to be a list of class names");
  put(set / "labels.json", "[1");
  CHECK_ERROR(read(set), ErrorKind::kData, "labels.json: is not a JSON object");
}

TEST_CASE("asc: other scenes than the built-in ones are sorted", "[asc]") {
  const TemporaryFolder folder;
  put(folder / "meta.csv",
      "source_label\tidentifier\tscene_label\tfilename\n"
      "a\tx-0\twind\taudio/1.wav\na\tx-1\tbus\taudio/2.wav\na\tx-2\train\taudio/3.wav\n");
  put(folder / "evaluation_setup/fold1_train.csv", "filename\tscene_label\naudio/1.wav\twind\naudio/2.wav\tbus\n");
  put(folder / "evaluation_setup/fold1_evaluate.csv", "filename\tscene_label\naudio/3.wav\train\n");
  // A scene that is only tested is no class.
  CHECK_ERROR(read_asc({.root = folder.path()}), ErrorKind::kData, "fold1_evaluate.csv:2: unknown label 'rain'");
  put(folder / "evaluation_setup/fold1_evaluate.csv", "filename\tscene_label\n");
  for (const char* file : {"audio/1.wav", "audio/2.wav"}) put(folder / file);
  const Dataset dataset = read_asc({.root = folder.path()});
  CHECK(dataset.labels.asc == LabelSet({"bus", "wind"}));
  CHECK(dataset.warnings == std::vector<std::string>{"the test part is empty"});
}

TEST_CASE("asc: a row that stands twice counts once, with a warning", "[asc]") {
  const AscSet set;
  const std::size_t items = read(set).items.size();
  set.write_train(set.train_table() + "audio/airport-lyon-0-0-a.wav\tairport\n");
  const Dataset dataset = read(set);
  CHECK(dataset.items.size() == items);
  REQUIRE(dataset.warnings.size() == 1);
  CHECK(dataset.warnings[0] == "1 rows of the tables repeat an earlier one and count once");
}

TEST_CASE("asc: what is wrong with a table ends in one sentence", "[asc]") {
  const AscSet set;
  const std::string good = set.train_table();
  CHECK_ERROR(read_asc({.root = set / "none"}), ErrorKind::kIo, "does not exist");

  set.write_train("filename,scene_label\naudio/a.wav,bus\n");  // commas
  CHECK_ERROR(read(set), ErrorKind::kData, "fold1_train.csv:1: no column 'filename'");
  set.write_train(good + "audio/airport-lyon-0-0-a.wav\tbus\n");
  CHECK_ERROR(read(set), ErrorKind::kData,
              "fold1_train.csv:543: 'audio/airport-lyon-0-0-a.wav' is 'bus' here and 'airport' at");
  set.write_train(good + "audio/x-lyon-0-0-a.wav\n");
  CHECK_ERROR(read(set), ErrorKind::kData, "fold1_train.csv:543: 1 fields where the header has 2");
  set.write_train(good + "../airport-lyon-0-0-a.wav\tairport\n");
  CHECK_ERROR(read(set), ErrorKind::kData, "fold1_train.csv:543: the path '../airport-lyon-0-0-a.wav' leaves");
  set.write_train("filename\tscene_label\naudio/airport-lyon-0-0-a.wav\tbus\n");
  CHECK_ERROR(read(set), ErrorKind::kData, "is 'bus' here and 'airport' at");
  set.write_train(good + "audio/airport-lyon-3-0-a.wav\tairport\n");
  CHECK_ERROR(read(set), ErrorKind::kData, "is a training file as well, at");
  set.remove("evaluation_setup/fold1_train.csv");
  CHECK_ERROR(read(set), ErrorKind::kData, "fold1_train.csv: no such file");
  set.write_train(good);
  std::filesystem::remove_all(set / "audio");
  CHECK_ERROR(read(set), ErrorKind::kData, "none of the 810 files listed exists");
  set.remove("meta.csv");
  CHECK_ERROR(read(set), ErrorKind::kData, "meta.csv: no such file");
}

TEST_CASE("asc: file names and device groups", "[asc]") {
  const AscName name = parse_asc_name("audio/metro_station-lyon-1094-40889-s6.wav", "x");
  CHECK(name.scene == "metro_station");
  CHECK(name.identifier() == "lyon-1094");
  CHECK(name.segment == "40889");
  CHECK(name.device == "s6");
  for (const char* bad : {"a-b-c-d.wav", "a-b-c-d-e-f.wav", "a-b-c--e.wav", "a-b-c-d-e"}) {
    CHECK_THROWS_AS(parse_asc_name(bad, "x"), Error);
  }
  CHECK(asc_device_group("b") == "real");
  CHECK(asc_device_group("s3") == "seen-sim");
  CHECK(asc_device_group("s4") == "unseen-sim");
  CHECK(asc_device_group("d").empty());
}

}  // namespace dcase
