#include "train/data/manifest_dataset.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "train/data/csv.hpp"
#include "train/data/manifest_rows.hpp"
#include "train/data/reader_support.hpp"

namespace dcase {

namespace {

namespace fs = std::filesystem;

ManifestRows read_rows(const ManifestOptions& options) {
  const fs::path extension = fs::path(options.manifest).extension();
  if (extension == ".jsonl") {
    if (!options.events.empty()) {
      fail(ErrorKind::kUsage, options.manifest,
           ": a .jsonl manifest holds its events itself; leave the events' table out");
    }
    return read_jsonl_rows(options.manifest);
  }
  if (extension == ".csv" || extension == ".tsv") return read_csv_rows(options.manifest, options.events);
  fail(ErrorKind::kUsage, options.manifest, ": a manifest is called .jsonl, .csv or .tsv");
}

/// Soft scores of one file: `onset offset class1 class2 ...`, tab-separated.
struct SoftTable {
  std::vector<std::string> names;  // of the values
  std::vector<SoftEventRow> rows;  // by onset, without overlap
};

SoftTable read_soft_table(const std::string& path) {
  const CsvTable csv = CsvTable::read(path, {.separator = '\t'});
  const std::size_t onset = csv.column("onset");
  const std::size_t offset = csv.column("offset");
  SoftTable table;
  std::vector<std::size_t> columns;
  for (std::size_t c = 0; c < csv.header().size(); ++c) {
    if (c == onset || c == offset) continue;
    columns.push_back(c);
    table.names.push_back(corrected_sed_name(csv.header()[c]));
  }
  std::vector<std::pair<double, std::size_t>> order;  // onset, row
  for (std::size_t r = 0; r < csv.rows(); ++r) {
    SoftEventRow row{.onset = csv.number(r, onset, "the onset"), .offset = csv.number(r, offset, "the offset")};
    if (!(row.onset >= 0 && row.offset > row.onset)) {
      fail(ErrorKind::kData, csv.where(r), ": a row from ", row.onset, " to ", row.offset,
           " s; the offset has to be after the onset, and neither below 0");
    }
    for (std::size_t k = 0; k < columns.size(); ++k) {
      const double value = csv.number(r, columns[k], table.names[k]);
      if (!(value >= 0 && value <= 1)) {
        fail(ErrorKind::kData, csv.where(r), ": the score of ", in_quotes(table.names[k]), " is ", value,
             "; it has to be from 0 to 1");
      }
      row.values.push_back(static_cast<float>(value));
    }
    order.emplace_back(row.onset, r);
    table.rows.push_back(std::move(row));
  }
  std::sort(order.begin(), order.end());
  std::vector<SoftEventRow> sorted;
  for (const auto& [at, r] : order) {
    if (!sorted.empty() && at < sorted.back().offset - 1e-6) {
      fail(ErrorKind::kData, csv.where(r), ": the row begins at ", at, " s, before the one before it ends (",
           sorted.back().offset, " s); the rows of a score table must not overlap");
    }
    sorted.push_back(table.rows[r]);
  }
  table.rows = std::move(sorted);
  return table;
}

/// Turns rows into items.
class ManifestReader {
 public:
  ManifestReader(const ManifestOptions& options, ManifestRows rows) : options_(options), rows_(std::move(rows.rows)) {
    const fs::path folder = fs::path(options.manifest).parent_path();
    dataset_.name = "manifest " + fs::path(options.manifest).filename().string();
    dataset_.root = folder.empty() ? "." : folder.string();
    dataset_.selection = options.selection;
    dataset_.warnings = std::move(rows.warnings);
    dataset_.selection_text = options.selection == Selection::kReference
                                  ? "selected on the test part, which is also reported (reference)"
                                  : "selected on the manifest's validation part";
  }

  Dataset read() {
    if (rows_.empty()) fail(ErrorKind::kData, options_.manifest, ": lists no item");
    for (ManifestRow& row : rows_) {
      check_path(row.audio, row.where);
      keep_tasks(row);
      read_soft(row);
    }
    check_duplicates();
    check_groups();
    for (const Task task : kAllTasks) choose_classes(task);
    for (const ManifestRow& row : rows_) add_item(dataset_, make_item(row));
    warn();
    finish(dataset_);
    return std::move(dataset_);
  }

 private:
  void check_path(const std::string& path, const std::string& where) const {
    if (options_.allow_outside) {
      // Still no control characters: the rest of the check is what the option lifts.
      check_relative_path(fs::path(path).filename().string(), where);
    } else {
      check_relative_path(path, where);
    }
  }

  [[nodiscard]] Split split_of(const ManifestRow& row) const {
    if (row.split) return *row.split;
    if (options_.test_folds.count(*row.fold) > 0) return Split::kTest;
    return options_.valid_folds.count(*row.fold) > 0 ? Split::kValid : Split::kTrain;
  }

  /// Drops the targets of tasks the row is not meant for.
  void keep_tasks(ManifestRow& row) {
    if (!row.tasks) return;
    const auto unwanted = [&row](Task task, bool present) { return present && row.tasks->count(task) == 0; };
    if (unwanted(Task::kAsc, row.scene.has_value())) row.scene.reset();
    if (unwanted(Task::kTag, row.tags.has_value())) row.tags.reset();
    if (unwanted(Task::kSed, row.events.has_value())) row.events.reset();
    if (unwanted(Task::kSed, !row.events_soft.empty())) row.events_soft.clear();
    const bool targetless = (row.tasks->count(Task::kAsc) > 0 && !row.scene) ||
                            (row.tasks->count(Task::kTag) > 0 && !row.tags) ||
                            (row.tasks->count(Task::kSed) > 0 && !row.events && row.events_soft.empty());
    if (targetless) ++targetless_;
  }

  void read_soft(const ManifestRow& row) {
    if (row.events_soft.empty() || soft_.count(row.events_soft) > 0) return;
    check_path(row.events_soft, row.where);
    const std::string path = (fs::path(dataset_.root) / row.events_soft).string();
    if (!is_file(path))
      fail(ErrorKind::kData, row.where, ": events_soft names ", in_quotes(path), ", which does not exist");
    soft_.emplace(row.events_soft, read_soft_table(path));
  }

  void check_duplicates() const {
    using Signal = std::tuple<std::string, double, double, ChannelRule::Mode, int>;
    std::map<Signal, const ManifestRow*> seen;
    for (const ManifestRow& row : rows_) {
      const auto [former, first] =
          seen.emplace(Signal(row.audio, row.start, row.end, row.channels.mode, row.channels.index), &row);
      if (!first) {
        fail(ErrorKind::kData, row.where, ": ", in_quotes(row.audio), " is listed already, at ", former->second->where,
             "; remove one of the two, or merge their labels into one");
      }
    }
  }

  void check_groups() {
    std::map<std::string, const ManifestRow*> groups;
    std::map<std::string, Split> files;
    std::set<std::string> straddling;
    for (const ManifestRow& row : rows_) {
      const auto [file, first_of_file] = files.emplace(row.audio, split_of(row));
      if (!first_of_file && file->second != split_of(row)) straddling.insert(row.audio);
      if (row.group.empty()) continue;
      const auto [former, first] = groups.emplace(row.group, &row);
      if (!first && split_of(*former->second) != split_of(row)) {
        fail(ErrorKind::kData, row.where, ": group ", in_quotes(row.group), " is ", split_name(split_of(row)),
             " here and ", split_name(split_of(*former->second)), " at ", former->second->where,
             "; a group must not straddle splits: move it to one, or give the items other groups");
      }
    }
    if (!straddling.empty()) {
      dataset_.warnings.push_back(concat(straddling.size(), " files have parts in more than one split, the first is ",
                                         in_quotes(*straddling.begin()), "; scores on them are flattered"));
    }
  }

  [[nodiscard]] std::vector<std::string> names_in(const ManifestRow& row, Task task) const {
    std::vector<std::string> names;
    if (task == Task::kSed) {
      if (row.events) {
        for (const NamedEvent& event : *row.events) names.push_back(event.label);
      }
      if (!row.events_soft.empty()) names = soft_.at(row.events_soft).names;
      return names;
    }
    const auto& values = task == Task::kAsc ? row.scene : row.tags;
    if (values) {
      for (const NamedValue& value : *values) names.push_back(value.name);
    }
    return names;
  }

  [[nodiscard]] static bool knows(const ManifestRow& row, Task task) {
    if (task == Task::kSed) return row.events || !row.events_soft.empty();
    return task == Task::kAsc ? row.scene.has_value() : row.tags.has_value();
  }

  /// A checkpoint's list, labels.json, else the sorted names of the training items (of all items where none trains).
  void choose_classes(Task task) {
    bool known = false;  // some row has a target
    bool named = false;  // some row names the task: it may want predictions alone, by the classes of a given list
    std::set<std::string> training;
    std::set<std::string> all;
    for (const ManifestRow& row : rows_) {
      known = known || knows(row, task);
      named = named || (row.tasks && row.tasks->count(task) > 0);
      for (const std::string& name : names_in(row, task)) {
        all.insert(name);
        if (split_of(row) == Split::kTrain) training.insert(name);
      }
    }
    if (!labels_json_) labels_json_ = read_labels_json(dataset_.root + "/labels.json");
    const bool listed = !options_.labels[task].empty() || !(*labels_json_)[task].empty();
    if (!known && !(named && listed)) return;
    // Not the built-in lists: a manifest that names two of ten scenes is a set of two classes.
    const std::set<std::string>& names = training.empty() ? all : training;
    ClassList sorted;
    if (!names.empty()) {
      sorted = {.labels = LabelSet({names.begin(), names.end()}, options_.manifest),
                .origin = training.empty() ? "the manifest, sorted" : "the training items, sorted"};
    }
    const ClassList list = choose_labels(task, options_.labels[task], (*labels_json_)[task], sorted, {});
    dataset_.labels[task] = list.labels;
    dataset_.notes.push_back(describe(task, list));
  }

  [[nodiscard]] static std::vector<ClassTarget> targets(const std::vector<NamedValue>& values, const LabelSet& labels,
                                                        const std::string& where) {
    std::vector<ClassTarget> out;
    for (const NamedValue& value : values)
      out.push_back({.label = labels.index(value.name, where), .value = value.value});
    std::sort(out.begin(), out.end(), [](const ClassTarget& a, const ClassTarget& b) { return a.label < b.label; });
    return out;
  }

  /// Times of the file -> times of the item; false for what lies outside of the part.
  [[nodiscard]] static bool shift(const ManifestRow& row, double& onset, double& offset) {
    onset = std::max(onset, row.start) - row.start;
    offset = std::min(offset, row.end) - row.start;
    return offset > onset;
  }

  EventTargets event_targets(const ManifestRow& row) {
    EventTargets out;
    const LabelSet& labels = dataset_.labels.sed;
    if (row.events_soft.empty()) {
      for (const NamedEvent& event : *row.events) {
        EventTarget target{.label = labels.index(event.label, row.where), .onset = event.onset, .offset = event.offset};
        if (shift(row, target.onset, target.offset)) {
          out.events.push_back(target);
        } else {
          ++outside_;
        }
      }
      sort_events(out.events);
      return out;
    }
    const SoftTable& table = soft_.at(row.events_soft);
    std::vector<std::int32_t> positions;
    std::set<std::int32_t> scored;
    for (const std::string& name : table.names) {
      positions.push_back(labels.index(name, row.where + ", " + row.events_soft));
      scored.insert(positions.back());
    }
    for (std::int32_t k = 0; k < labels.size(); ++k) {
      if (scored.count(k) == 0) {
        fail(ErrorKind::kData, row.where, ": ", in_quotes(row.events_soft), " has no column ", in_quotes(labels[k]),
             "; a score table needs one for every class");
      }
    }
    for (const SoftEventRow& from : table.rows) {
      SoftEventRow to{.onset = from.onset, .offset = from.offset};
      if (!shift(row, to.onset, to.offset)) continue;
      to.values.resize(static_cast<std::size_t>(labels.size()));
      for (std::size_t k = 0; k < positions.size(); ++k)
        to.values[static_cast<std::size_t>(positions[k])] = from.values[k];
      out.soft.push_back(std::move(to));
    }
    return out;
  }

  Item make_item(const ManifestRow& row) {
    Item item;
    item.audio = row.audio;
    item.channels = row.channels;
    item.start = row.start;
    item.end = row.end;
    item.split = split_of(row);
    item.group = row.group;
    item.device = row.device;
    if (row.scene) item.scene = targets(*row.scene, dataset_.labels.asc, row.where);
    if (row.tags) item.tags = targets(*row.tags, dataset_.labels.tag, row.where);
    if (knows(row, Task::kSed)) item.events = event_targets(row);
    return item;
  }

  void warn() {
    if (outside_ > 0) dataset_.notes.push_back(concat(outside_, " events lie outside of their items' start and end"));
    if (targetless_ > 0) {
      dataset_.warnings.push_back(
          concat(targetless_, " items name a task without a target for it: no loss, no score there"));
    }
  }

  const ManifestOptions& options_;
  std::vector<ManifestRow> rows_;
  Dataset dataset_;
  std::map<std::string, SoftTable> soft_;  // by events_soft
  std::optional<LabelSets> labels_json_;
  std::int64_t targetless_ = 0;
  std::int64_t outside_ = 0;
};

}  // namespace

Dataset read_manifest(const ManifestOptions& options) {
  const std::string folder = fs::path(options.manifest).parent_path().string();
  require_folder(folder.empty() ? "." : folder, "folder of the manifest");
  return ManifestReader(options, read_rows(options)).read();
}

}  // namespace dcase
