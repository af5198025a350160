#include "train/data/asc_dataset.hpp"

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "train/data/csv.hpp"
#include "train/data/reader_support.hpp"
#include "train/data/split.hpp"

namespace dcase {

namespace {

constexpr double kValidationShare = 0.3;
constexpr CsvOptions kTabs = {.separator = '\t'};

/// One row of a fold table.
struct Row {
  std::string audio;
  std::string scene;
  std::string identifier;
  std::string device;
  std::string where;  // file:line
};

/// A row of meta.csv by file name.
using Meta = std::map<std::string, Row>;

/// Rows of a table by file name, sidecars left out. `scene` is read where the table has it. A row that says again what
/// an earlier one says counts in `repeats`; one that says something else is an error.
std::vector<Row> read_rows(const CsvTable& table, bool labelled, std::int64_t& repeats) {
  const std::size_t file = table.column("filename");
  const std::size_t scene = labelled ? table.column("scene_label") : 0;
  std::vector<Row> rows;
  std::map<std::string, std::size_t> places;  // in `rows`
  for (std::size_t r = 0; r < table.rows(); ++r) {
    Row row{.audio = table.at(r, file), .where = table.where(r)};
    if (is_sidecar(row.audio)) continue;
    check_relative_path(row.audio, row.where);
    if (labelled) row.scene = table.at(r, scene);
    const auto [former, first] = places.emplace(row.audio, rows.size());
    if (!first) {
      const Row& earlier = rows[former->second];
      if (earlier.scene != row.scene) {
        fail(ErrorKind::kData, row.where, ": ", in_quotes(row.audio), " is ", in_quotes(row.scene), " here and ",
             in_quotes(earlier.scene), " at ", earlier.where, "; remove one of the two rows");
      }
      ++repeats;
      continue;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Meta read_meta(const std::string& path, std::int64_t& repeats) {
  const CsvTable table = CsvTable::read(path, kTabs);
  const std::size_t file = table.column("filename");
  const std::size_t scene = table.column("scene_label");
  const std::size_t identifier = table.column("identifier");
  const std::size_t device = table.column("source_label");
  Meta meta;
  for (std::size_t r = 0; r < table.rows(); ++r) {
    if (is_sidecar(table.at(r, file))) continue;
    const auto [former, first] = meta.emplace(table.at(r, file), Row{.audio = table.at(r, file),
                                                                     .scene = table.at(r, scene),
                                                                     .identifier = table.at(r, identifier),
                                                                     .device = table.at(r, device),
                                                                     .where = table.where(r)});
    if (first) continue;
    const Row& earlier = former->second;
    if (earlier.scene != table.at(r, scene) || earlier.identifier != table.at(r, identifier) ||
        earlier.device != table.at(r, device)) {
      fail(ErrorKind::kData, table.where(r), ": ", in_quotes(table.at(r, file)), " is listed otherwise at ",
           earlier.where, "; remove one of the two rows");
    }
    ++repeats;
  }
  return meta;
}

/// Adds identifier and device to the rows of a fold, and the scene where the fold has none: from meta.csv, or from the
/// file name for a file that meta.csv does not list.
void complete(std::vector<Row>& rows, const Meta& meta, bool labelled) {
  for (Row& row : rows) {
    const auto at = meta.find(row.audio);
    if (at == meta.end()) {
      const AscName name = parse_asc_name(row.audio, row.where);
      if (!labelled) row.scene = name.scene;
      row.identifier = name.identifier();
      row.device = name.device;
      continue;
    }
    if (labelled && row.scene != at->second.scene) {
      fail(ErrorKind::kData, row.where, ": ", in_quotes(row.audio), " is ", in_quotes(row.scene), " here and ",
           in_quotes(at->second.scene), " at ", at->second.where, "; correct one of the two");
    }
    row.scene = at->second.scene;
    row.identifier = at->second.identifier;
    row.device = at->second.device;
  }
}

std::string city_of(const std::string& identifier) { return identifier.substr(0, identifier.rfind('-')); }

std::vector<bool> validation_rows(const std::vector<Row>& train, const LabelSet& labels, std::uint64_t seed) {
  std::vector<GroupedRow> rows;
  rows.reserve(train.size());
  for (const Row& row : train) {
    rows.push_back(
        {.stratum = city_of(row.identifier), .group = row.identifier, .label = labels.index(row.scene, row.where)});
  }
  return hold_out_groups(rows, kValidationShare, seed, "asc/validation");
}

Item make_item(const Row& row, const LabelSet& labels, Split split) {
  Item item;
  item.audio = row.audio;
  item.split = split;
  item.group = row.identifier;
  item.device = row.device;
  item.scene = std::vector<ClassTarget>{{.label = labels.index(row.scene, row.where), .value = 1}};
  return item;
}

/// What a reader of the report should know about the tables.
void note_overlaps(Dataset& dataset, const std::vector<Row>& train, const std::vector<Row>& test, const Meta& meta) {
  std::map<std::string, const Row*> in_train;
  std::set<std::string> train_places;
  for (const Row& row : train) {
    in_train.emplace(row.audio, &row);
    train_places.insert(row.identifier);
  }
  std::set<std::string> shared_places;
  for (const Row& row : test) {
    if (const auto at = in_train.find(row.audio); at != in_train.end()) {
      fail(ErrorKind::kData, row.where, ": ", in_quotes(row.audio), " is a training file as well, at ",
           at->second->where, "; remove it from one of the two tables");
    }
    if (train_places.count(row.identifier) > 0) shared_places.insert(row.identifier);
  }
  if (!shared_places.empty()) {
    dataset.notes.push_back(concat(shared_places.size(),
                                   " places (identifiers) are in the training and the test part, the first is ",
                                   in_quotes(*shared_places.begin())));
  }
  std::size_t elsewhere = meta.size();
  for (const auto* rows : {&train, &test}) {
    for (const Row& row : *rows) elsewhere -= meta.count(row.audio);
  }
  if (elsewhere > 0) dataset.notes.push_back(concat(elsewhere, " files of meta.csv are in neither part"));
}

}  // namespace

Dataset read_asc(const AscOptions& options) {
  require_folder(options.root, "scene data set");
  const std::string folds = options.root + "/evaluation_setup/";
  std::int64_t repeats = 0;
  const Meta meta = read_meta(options.root + "/meta.csv", repeats);
  std::vector<Row> train = read_rows(CsvTable::read(folds + "fold1_train.csv", kTabs), true, repeats);
  complete(train, meta, true);
  // fold1_test.csv lists the files of fold1_evaluate.csv without their scenes: meta.csv has them.
  const bool evaluate = is_file(folds + "fold1_evaluate.csv") || !is_file(folds + "fold1_test.csv");
  std::vector<Row> test =
      read_rows(CsvTable::read(folds + (evaluate ? "fold1_evaluate.csv" : "fold1_test.csv"), kTabs), evaluate, repeats);
  complete(test, meta, evaluate);

  Dataset dataset;
  dataset.name = "TAU Urban Acoustic Scenes 2020 Mobile layout";
  dataset.root = options.root;
  dataset.selection = options.selection;
  std::set<std::string> scenes;
  for (const Row& row : train) scenes.insert(row.scene);
  const ClassList classes =
      choose_labels(Task::kAsc, options.labels, read_labels_json(options.root + "/labels.json").asc, {}, scenes);
  const LabelSet& labels = dataset.labels.asc = classes.labels;
  dataset.notes.push_back(describe(Task::kAsc, classes));
  if (repeats > 0)
    dataset.warnings.push_back(concat(repeats, " rows of the tables repeat an earlier one and count once"));
  if (!evaluate) dataset.notes.emplace_back("no fold1_evaluate.csv: scenes of fold1_test.csv taken from meta.csv");
  note_overlaps(dataset, train, test, meta);

  const bool reference = options.selection == Selection::kReference;
  const std::vector<bool> held =
      reference ? std::vector<bool>(train.size(), false) : validation_rows(train, labels, options.seed);
  dataset.selection_text = reference ? "selected on the test part, which is also reported (reference)"
                                     : "selected on 30 % of the training part, held out by place";
  for (std::size_t i = 0; i < train.size(); ++i) {
    add_item(dataset, make_item(train[i], labels, held[i] ? Split::kValid : Split::kTrain));
  }
  for (const Row& row : test) add_item(dataset, make_item(row, labels, Split::kTest));
  finish(dataset);
  return dataset;
}

AscName parse_asc_name(const std::string& audio, const std::string& where) {
  const std::string file = audio.substr(audio.rfind('/') + 1);
  const std::size_t dot = file.rfind('.');
  const std::vector<std::string> fields = split_list(file.substr(0, dot), '-');
  bool complete = fields.size() == 5 && dot != std::string::npos;
  for (const std::string& field : fields) complete = complete && !field.empty();
  if (!complete) {
    fail(ErrorKind::kData, where, ": ", in_quotes(audio),
         " is not in meta.csv and not named {scene}-{city}-{location}-{segment}-{device}.wav, so its place and device "
         "are "
         "unknown; add it to meta.csv");
  }
  return {.scene = fields[0], .city = fields[1], .location = fields[2], .segment = fields[3], .device = fields[4]};
}

std::string asc_device_group(const std::string& device) {
  if (device == "a" || device == "b" || device == "c") return "real";
  if (device == "s1" || device == "s2" || device == "s3") return "seen-sim";
  if (device == "s4" || device == "s5" || device == "s6") return "unseen-sim";
  return "";
}

}  // namespace dcase
