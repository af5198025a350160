#include "train/data/tag_dataset.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <iomanip>
#include <map>
#include <set>
#include <sstream>
#include <utility>
#include <vector>

#include "train/data/csv.hpp"
#include "train/data/reader_support.hpp"
#include "train/data/split.hpp"

namespace dcase {

namespace {

namespace fs = std::filesystem;

/// Five clips with a wrong label and one without any signal, all curated.
constexpr std::array<std::string_view, 6> kKnownBad = {"f76181c4.wav", "77b925c2.wav", "6a1f682a.wav",
                                                       "c7db12aa.wav", "7752cc8a.wav", "1d44b0bd.wav"};

/// The names of one part in the two distributions. The tables of the test part exist in one form only.
struct Part {
  const char* kaggle_table;  // nullptr: none
  const char* zenodo_table;
  const char* kaggle_audio;
  const char* zenodo_audio;
};
constexpr Part kCurated = {"train_curated.csv", "train_curated_post_competition.csv", "train_curated",
                           "FSDKaggle2019.audio_train_curated"};
constexpr Part kNoisy = {"train_noisy.csv", "train_noisy_post_competition.csv", "train_noisy",
                         "FSDKaggle2019.audio_train_noisy"};
constexpr Part kTest = {nullptr, "test_post_competition.csv", "test", "FSDKaggle2019.audio_test"};

struct Row {
  std::string audio;  // with its folder
  std::vector<std::string> labels;
  std::string usage;  // "Public" or "Private" in the test table
  std::string where;
};

struct Table {
  std::string file;  // relative to the root
  std::string audio_folder;
  bool kaggle = false;  // in the names of the competition
  std::vector<Row> rows;
};

/// The label table of a part: that of the competition, that of Zenodo in its folder, or the latter without the folder.
std::string find_table(const std::string& root, const Part& part) {
  std::vector<std::string> candidates;
  if (part.kaggle_table != nullptr) candidates.emplace_back(part.kaggle_table);
  candidates.push_back(std::string("FSDKaggle2019.meta/") + part.zenodo_table);
  candidates.emplace_back(part.zenodo_table);
  for (const std::string& candidate : candidates) {
    if (is_file(root + "/" + candidate)) return candidate;
  }
  std::string tried;
  for (const std::string& candidate : candidates) tried += (tried.empty() ? "" : ", ") + candidate;
  fail(ErrorKind::kData, root, ": no label table; looked for ", tried, ". Is this the folder of FSDKaggle2019?");
}

Table read_table(const std::string& root, const Part& part) {
  Table table;
  table.file = find_table(root, part);
  table.kaggle = part.kaggle_table != nullptr && table.file == part.kaggle_table;
  // The audio may carry the other distribution's name: people rename folders, and only one of them is there.
  std::error_code ignored;
  const bool kaggle_audio = fs::is_directory(root + "/" + part.kaggle_audio, ignored);
  const bool zenodo_audio = fs::is_directory(root + "/" + part.zenodo_audio, ignored);
  if (!kaggle_audio && !zenodo_audio) {
    fail(ErrorKind::kData, root, ": there is ", table.file, " but no folder ", part.kaggle_audio, " or ",
         part.zenodo_audio, "; unpack the audio archive here (the noisy one is split: join it with `zip -s 0` first)");
  }
  table.audio_folder = kaggle_audio && (table.kaggle || !zenodo_audio) ? part.kaggle_audio : part.zenodo_audio;

  const CsvTable csv = CsvTable::read(root + "/" + table.file);
  const std::size_t fname = csv.column("fname");
  const std::size_t labels = csv.column("labels");
  const auto usage = csv.find_column("usage");
  std::map<std::string, std::int64_t> lines;
  for (std::size_t r = 0; r < csv.rows(); ++r) {
    const std::string& name = csv.at(r, fname);
    if (is_sidecar(name)) continue;
    check_relative_path(name, csv.where(r));
    const auto [former, first] = lines.emplace(name, csv.line(r));
    if (!first) {
      fail(ErrorKind::kData, csv.where(r), ": ", in_quotes(name), " stands in line ", former->second,
           " already; remove one of the two rows");
    }
    table.rows.push_back({.audio = table.audio_folder + "/" + name,
                          .labels = split_list(csv.at(r, labels), ','),
                          .usage = usage ? csv.at(r, *usage) : "",
                          .where = csv.where(r)});
  }
  return table;
}

/// The class list the layout brings: the columns of sample_submission.csv, or vocabulary.csv, one row a class with an
/// index before the name or without.
ClassList layout_labels(const std::string& root) {
  if (const std::string path = root + "/sample_submission.csv"; is_file(path)) {
    std::vector<std::string> names = CsvTable::read(path).header();
    if (names.empty() || names[0] != "fname") fail(ErrorKind::kData, path, ":1: the first column has to be 'fname'");
    names.erase(names.begin());
    return {.labels = LabelSet(std::move(names), path), .origin = "sample_submission.csv"};
  }
  for (const char* file : {"FSDKaggle2019.meta/vocabulary.csv", "vocabulary.csv"}) {
    const std::string path = root + "/" + file;
    if (!is_file(path)) continue;
    const CsvTable csv = CsvTable::read(path, {.header = false});
    std::vector<std::string> names;
    for (std::size_t r = 0; r < csv.rows(); ++r) {
      const std::vector<std::string>& row = csv.row(r);
      const auto index = parse_integer(row[0]);
      if (r == 0 && (row[0] == "index" || row[0] == "label" || row[0] == "name")) continue;  // a header
      if (index && *index != static_cast<std::int64_t>(names.size())) {
        fail(ErrorKind::kData, csv.where(r), ": index ", *index, " where ", names.size(),
             " follows; the classes have to be numbered 0, 1, 2 ... in order");
      }
      if (index && row.size() < 2) fail(ErrorKind::kData, csv.where(r), ": an index without a class name");
      names.push_back(index ? row[1] : row[0]);
    }
    return {.labels = LabelSet(std::move(names), path), .origin = file};
  }
  return {};
}

std::vector<ClassTarget> targets_of(const Row& row, const LabelSet& labels) {
  std::set<std::int32_t> classes;
  for (const std::string& label : row.labels) classes.insert(labels.index(label, row.where));
  std::vector<ClassTarget> targets;
  for (const std::int32_t k : classes) targets.push_back({.label = k, .value = 1});
  return targets;
}

bool is_known_bad(const Row& row) {
  const std::string_view file = std::string_view(row.audio).substr(row.audio.rfind('/') + 1);
  return std::find(kKnownBad.begin(), kKnownBad.end(), file) != kKnownBad.end();
}

/// Splits of the curated rows: the evaluated fifth, then a sixth of what is left for validation.
std::vector<Split> curated_splits(const std::vector<Row>& rows, const TagOptions& options, Dataset& dataset) {
  std::vector<Split> splits(rows.size(), Split::kTrain);
  if (options.evaluation == TagEvaluation::kFold0) {
    const std::vector<std::int64_t> evaluated = paper_evaluation_rows(std::ssize(rows));
    for (const std::int64_t row : evaluated) splits[static_cast<std::size_t>(row)] = Split::kTest;
    std::ostringstream crc;
    crc << std::hex << std::setw(8) << std::setfill('0') << rows_crc32(evaluated);
    dataset.notes.push_back(concat("evaluated: ", evaluated.size(), " of ", rows.size(), " curated rows, CRC-32 0x",
                                   crc.str(), rows.size() == 4970 ? " (the paper's: 0xcacf1126)" : ""));
  }
  if (options.exclude_known_bad) {
    std::int64_t excluded = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!is_known_bad(rows[i])) continue;
      splits[i] = Split::kUnused;
      ++excluded;
    }
    dataset.notes.push_back(concat(excluded, " known bad clips excluded"));
  }
  if (options.selection == Selection::kReference) {
    dataset.selection_text = "selected on the test part, which is also reported (reference)";
    return splits;
  }
  std::vector<std::size_t> training;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (splits[i] == Split::kTrain) training.push_back(i);
  }
  const std::int64_t n = std::ssize(training);
  for (const std::int64_t i : random_subset(n, (n + 3) / 6, options.seed, "tag/validation")) {  // a sixth, rounded
    splits[training[static_cast<std::size_t>(i)]] = Split::kValid;
  }
  dataset.selection_text = "selected on a sixth of the curated training rows";
  return splits;
}

bool is_evaluated(const Row& row, TagEvaluation evaluation) {
  if (evaluation == TagEvaluation::kTestAll) return true;
  if (row.usage != "Public" && row.usage != "Private") {
    fail(ErrorKind::kData, row.where, ": usage is ", in_quotes(row.usage),
         " where Public or Private is needed; use the whole table with test-all");
  }
  return (row.usage == "Public") == (evaluation == TagEvaluation::kTestPublic);
}

}  // namespace

Dataset read_tag(const TagOptions& options) {
  require_folder(options.root, "tagging data set");
  Dataset dataset;
  dataset.name = "FSDKaggle2019 layout";
  dataset.root = options.root;
  dataset.selection = options.selection;

  Table curated = read_table(options.root, kCurated);
  dataset.notes.push_back(concat("curated: ", curated.file, ", ", curated.audio_folder, "/"));
  // The paper's split counts rows in the order of the competition's table, which is sorted. Whether Zenodo's is, nobody
  // has promised.
  const auto by_name = [](const Row& a, const Row& b) { return a.audio < b.audio; };
  if (!curated.kaggle && !std::is_sorted(curated.rows.begin(), curated.rows.end(), by_name)) {
    std::sort(curated.rows.begin(), curated.rows.end(), by_name);
    dataset.notes.emplace_back("curated rows were not in the order of their names: sorted");
  }
  Table noisy;
  if (options.noisy) {
    noisy = read_table(options.root, kNoisy);
    dataset.notes.push_back(concat("noisy: ", noisy.file, ", ", noisy.audio_folder, "/"));
  }

  std::set<std::string> names;
  for (const auto* rows : {&curated.rows, &noisy.rows}) {
    for (const Row& row : *rows) names.insert(row.labels.begin(), row.labels.end());
  }
  const ClassList classes =
      choose_labels(Task::kTag, options.labels, read_labels_json(options.root + "/labels.json").tag,
                    layout_labels(options.root), names);
  const LabelSet& labels = dataset.labels.tag = classes.labels;
  dataset.notes.push_back(describe(Task::kTag, classes));

  const auto add = [&](const Row& row, Split split) {
    Item item;
    item.audio = row.audio;
    item.split = split;
    item.tags = targets_of(row, labels);
    add_item(dataset, std::move(item));
  };
  const std::vector<Split> splits = curated_splits(curated.rows, options, dataset);
  for (std::size_t i = 0; i < curated.rows.size(); ++i) add(curated.rows[i], splits[i]);
  for (const Row& row : noisy.rows) add(row, Split::kTrain);
  if (options.evaluation != TagEvaluation::kFold0) {
    const Table test = read_table(options.root, kTest);
    dataset.notes.push_back(concat("test: ", test.file, ", ", test.audio_folder, "/"));
    for (const Row& row : test.rows) add(row, is_evaluated(row, options.evaluation) ? Split::kTest : Split::kUnused);
  }
  finish(dataset);
  return dataset;
}

}  // namespace dcase
