#include "train/data/tag_dataset.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include "tests/train/data_fixture.hpp"
#include "train/data/split.hpp"

namespace dcase {

using test::has;
using test::put;
using test::TemporaryFolder;

namespace {

std::string clip(int i) {
  std::string digits = std::to_string(i);
  return std::string(8 - digits.size(), '0') + digits + ".wav";
}

/// `rows` curated clips, class i modulo 80, every seventh with a second label; in the names of one distribution.
void write_curated(const TemporaryFolder& folder, int rows, bool zenodo, bool backward = false) {
  const LabelSet& labels = builtin_labels(Task::kTag);
  std::vector<std::string> lines;
  for (int i = 0; i < rows; ++i) {
    const std::string& label = labels[i % 80];
    const std::string field = i % 7 == 0 ? "\"" + label + "," + labels[(i + 3) % 80] + "\"" : label;
    lines.push_back(clip(i) + "," + field + (zenodo ? ",1234,http://example.org/license" : "") + "\r\n");
    put(folder / ((zenodo ? "FSDKaggle2019.audio_train_curated/" : "train_curated/") + clip(i)));
  }
  if (backward) std::reverse(lines.begin(), lines.end());
  std::string table = zenodo ? "fname,labels,freesound_id,license\r\n" : "fname,labels\r\n";
  for (const std::string& line : lines) table += line;
  put(folder / (zenodo ? "FSDKaggle2019.meta/train_curated_post_competition.csv" : "train_curated.csv"), table);
}

void write_test_part(const TemporaryFolder& folder, const std::string& table_folder, const std::string& audio_folder) {
  std::string table = "fname,labels,usage,freesound_id,license\n";
  for (int i = 0; i < 5; ++i) {
    table += clip(500 + i) + ",Bark," + (i < 2 ? "Public" : "Private") + ",1,cc0\n";
    put(folder / (audio_folder + clip(500 + i)));
  }
  put(folder / (table_folder + "test_post_competition.csv"), table);
}

Dataset read(const TemporaryFolder& folder, TagEvaluation evaluation = TagEvaluation::kFold0, bool bad = false) {
  return read_tag({.root = folder.path(), .labels = {}, .evaluation = evaluation, .exclude_known_bad = bad});
}

std::vector<std::string> files_of(const Dataset& dataset, Split split) {
  std::vector<std::string> files;
  for (const std::int32_t i : dataset.indices(split)) {
    const std::string& audio = dataset.items[static_cast<std::size_t>(i)].audio;
    files.push_back(audio.substr(audio.rfind('/') + 1));
  }
  return files;
}

}  // namespace

TEST_CASE("tag: the competition's layout, with the paper's fifth as test part", "[tag]") {
  const TemporaryFolder folder;
  write_curated(folder, 100, false);
  const Dataset dataset = read(folder);
  CHECK(dataset.labels.tag == builtin_labels(Task::kTag));
  CHECK(dataset.listed == 100);
  CHECK(dataset.indices(Split::kTest).size() == 20);
  CHECK(dataset.indices(Split::kValid).size() == 13);  // a sixth of 80 rows
  CHECK(dataset.indices(Split::kTrain).size() == 67);
  CHECK(dataset.warnings.empty());
  std::vector<std::string> expected;
  for (const std::int64_t row : paper_evaluation_rows(100)) expected.push_back(clip(static_cast<int>(row)));
  CHECK(files_of(dataset, Split::kTest) == expected);

  const Item& two = dataset.items[7];
  CHECK(two.audio == "train_curated/00000007.wav");
  CHECK(*two.tags == std::vector<ClassTarget>{{.label = 7}, {.label = 10}});
  CHECK(*dataset.items[8].tags == std::vector<ClassTarget>{{.label = 8}});
  CHECK(files_of(read(folder), Split::kValid) == files_of(dataset, Split::kValid));
}

TEST_CASE("tag: rows of the competition's table count in file order", "[tag]") {
  const TemporaryFolder folder;
  write_curated(folder, 60, false, true);
  std::vector<std::string> expected;
  for (const std::int64_t row : paper_evaluation_rows(60)) expected.push_back(clip(59 - static_cast<int>(row)));
  CHECK(files_of(read(folder), Split::kTest) == expected);
}

TEST_CASE("tag: the full table gives the paper's CRC", "[tag]") {
  const TemporaryFolder folder;
  std::string table = "fname,labels\n";
  for (int i = 0; i < 4970; ++i) table += clip(i) + ",Bark\n";
  put(folder / "train_curated.csv", table);
  put(folder / "train_curated/00000000.wav");
  const Dataset dataset = read(folder);
  CHECK(dataset.listed == 4970);
  CHECK(dataset.missing.size() == 4969);
  CHECK(std::any_of(dataset.notes.begin(), dataset.notes.end(), [](const std::string& note) {
    return has(note, "evaluated: 994 of 4970 curated rows, CRC-32 0xcacf1126");
  }));
}

TEST_CASE("tag: the Zenodo release gives the same parts, whatever the order of its rows", "[tag]") {
  const TemporaryFolder kaggle;
  const TemporaryFolder zenodo;
  write_curated(kaggle, 60, false);
  write_curated(zenodo, 60, true, true);
  const Dataset a = read(kaggle);
  const Dataset b = read(zenodo);
  for (const Split split : {Split::kTrain, Split::kValid, Split::kTest})
    CHECK(files_of(a, split) == files_of(b, split));
  CHECK(b.items[0].audio == "FSDKaggle2019.audio_train_curated/00000000.wav");
  CHECK(std::any_of(b.notes.begin(), b.notes.end(), [](const std::string& note) { return has(note, "sorted"); }));
}

TEST_CASE("tag: the labelled test table can be reported instead, also beside the competition's files", "[tag]") {
  const TemporaryFolder folder;
  write_curated(folder, 30, false);
  write_test_part(folder, "", "test/");
  CHECK(read(folder).listed == 30);
  const Dataset all = read(folder, TagEvaluation::kTestAll);
  CHECK(all.indices(Split::kTest).size() == 5);
  CHECK(all.indices(Split::kValid).size() == 5);  // a sixth of all 30 curated rows
  CHECK(all.indices(Split::kTrain).size() == 25);
  CHECK(files_of(read(folder, TagEvaluation::kTestPublic), Split::kTest) ==
        std::vector<std::string>{clip(500), clip(501)});
  const Dataset closed = read(folder, TagEvaluation::kTestPrivate);
  CHECK(closed.indices(Split::kTest).size() == 3);
  CHECK(closed.indices(Split::kUnused).size() == 2);

  const TemporaryFolder zenodo;
  write_curated(zenodo, 30, true);
  write_test_part(zenodo, "FSDKaggle2019.meta/", "FSDKaggle2019.audio_test/");
  CHECK(files_of(read(zenodo, TagEvaluation::kTestAll), Split::kTest) == files_of(all, Split::kTest));
}

TEST_CASE("tag: reference selection", "[tag]") {
  const TemporaryFolder folder;
  write_curated(folder, 50, false);
  const Dataset dataset = read_tag({.root = folder.path(), .labels = {}, .selection = Selection::kReference});
  CHECK(dataset.indices(Split::kTrain).size() == 40);
  CHECK(dataset.indices(Split::kValid) == dataset.indices(Split::kTest));
}

TEST_CASE("tag: known bad clips are used unless excluded, and never move the split", "[tag]") {
  const TemporaryFolder folder;
  std::string table = "fname,labels\n";
  const std::vector<std::string> bad = {"f76181c4.wav", "77b925c2.wav", "6a1f682a.wav",
                                        "c7db12aa.wav", "7752cc8a.wav", "1d44b0bd.wav"};
  for (int i = 0; i < 24; ++i) {
    const std::string name = i % 4 == 0 ? bad[static_cast<std::size_t>(i / 4)] : clip(i);
    table += name + ",Bark\n";
    put(folder / ("train_curated/" + name));
  }
  put(folder / "train_curated.csv", table);
  CHECK(read(folder).indices(Split::kUnused).empty());
  const Dataset dataset = read(folder, TagEvaluation::kFold0, true);
  const auto unused = files_of(dataset, Split::kUnused);
  CHECK(std::set<std::string>(unused.begin(), unused.end()) == std::set<std::string>(bad.begin(), bad.end()));
  for (const std::int64_t row : paper_evaluation_rows(24)) {
    CHECK(dataset.items[static_cast<std::size_t>(row)].split == (row % 4 == 0 ? Split::kUnused : Split::kTest));
  }
}

TEST_CASE("tag: noisy clips only train", "[tag]") {
  const TemporaryFolder folder;
  write_curated(folder, 30, true);
  put(folder / "FSDKaggle2019.meta/train_noisy_post_competition.csv",
      "fname,labels,flickr_video_URL,license\nab.wav,Bus,u,l\n");
  put(folder / "FSDKaggle2019.audio_train_noisy/ab.wav");
  const Dataset dataset = read_tag({.root = folder.path(), .labels = {}, .noisy = true});
  CHECK(dataset.items.back().audio == "FSDKaggle2019.audio_train_noisy/ab.wav");
  CHECK(dataset.items.back().split == Split::kTrain);
  CHECK(dataset.listed == 31);
  CHECK(files_of(dataset, Split::kTest) == files_of(read(folder), Split::kTest));
}

TEST_CASE("tag: class lists by precedence", "[tag]") {
  const TemporaryFolder folder;
  put(folder / "train_curated.csv", "fname,labels\na.wav,\"Wind,Bark\"\nb.wav,Sea\n");
  for (const char* name : {"a.wav", "b.wav"}) put(folder / (std::string("train_curated/") + name));
  CHECK(read(folder).labels.tag == LabelSet({"Bark", "Sea", "Wind"}));
  put(folder / "vocabulary.csv", "0,Wind,/m/1\n1,Sea,/m/2\n2,Bark,/m/3\n");
  CHECK(read(folder).labels.tag == LabelSet({"Wind", "Sea", "Bark"}));
  put(folder / "vocabulary.csv", "Wind\nSea\nBark\n");
  CHECK(read(folder).labels.tag == LabelSet({"Wind", "Sea", "Bark"}));
  put(folder / "vocabulary.csv", "1,Wind\n2,Sea\n");
  CHECK_ERROR(read(folder), ErrorKind::kData, "vocabulary.csv:1: index 1 where 0 follows");
  put(folder / "sample_submission.csv", "fname,Sea,Bark,Wind\n");
  CHECK(read(folder).labels.tag == LabelSet({"Sea", "Bark", "Wind"}));
  put(folder / "labels.json", R"({"tag": ["Bark", "Wind", "Sea", "Rain"]})");
  CHECK(read(folder).labels.tag.size() == 4);
  CHECK_ERROR(read_tag({.root = folder.path(), .labels = LabelSet({"Bark", "Winds"})}), ErrorKind::kData,
              "train_curated.csv:2: unknown label 'Wind', did you mean 'Winds'?");
}

TEST_CASE("tag: what is wrong with a table ends in one sentence", "[tag]") {
  const TemporaryFolder folder;
  CHECK_ERROR(read_tag({.root = folder / "none"}), ErrorKind::kIo, "does not exist");
  CHECK_ERROR(read(folder), ErrorKind::kData, "no label table; looked for train_curated.csv, FSDKaggle2019.meta/");
  const auto with_rows = [&folder](const std::string& rows) {
    put(folder / "train_curated.csv", rows);
    return read(folder);
  };
  CHECK_ERROR(with_rows("fname,labels\n"), ErrorKind::kData, "no folder train_curated");
  put(folder / "train_curated/a.wav");
  CHECK_ERROR(with_rows("fname,label\na.wav,Bark\n"), ErrorKind::kData, "train_curated.csv:1: no column 'labels'");
  CHECK_ERROR(with_rows("fname,labels\na.wav,Bark,Slam\n"), ErrorKind::kData, "train_curated.csv:2: 3 fields");
  CHECK_ERROR(with_rows("fname,labels\na.wav,Bark\na.wav,Bark\n"), ErrorKind::kData,
              "train_curated.csv:3: 'a.wav' stands in line 2");
  CHECK_ERROR(with_rows("fname,labels\n../a.wav,Bark\n"), ErrorKind::kData, "leaves the data set's folder");
  put(folder / "sample_submission.csv", "fname,Bark,Bus\n");
  CHECK_ERROR(with_rows("fname,labels\na.wav,Brak\n"), ErrorKind::kData, "unknown label 'Brak', did you mean 'Bark'?");
  CHECK_ERROR(with_rows("fname,labels\na.wav,\"Bark,,Bus\"\n"), ErrorKind::kData, "unknown label ''");
  CHECK(with_rows("fname,labels\n._a.wav,Bark\na.wav,Bark").listed == 1);
  put(folder / "test_post_competition.csv", "fname,labels,usage\nt.wav,Bark,Publik\n");
  put(folder / "test/t.wav");
  CHECK_ERROR(read(folder, TagEvaluation::kTestPublic), ErrorKind::kData, "usage is 'Publik'");
  CHECK_ERROR(value_of(kTagEvaluationWords, "fold1", "--tag-eval"), ErrorKind::kUsage,
              "--tag-eval: \"fold1\" is not allowed; it takes fold0, test-public, test-private or test-all");
  CHECK(value_of(kTagEvaluationWords, "test-all", "") == TagEvaluation::kTestAll);
  CHECK(word_of(kTagEvaluationWords, TagEvaluation::kTestPublic) == "test-public");
}

}  // namespace dcase
