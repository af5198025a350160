#include "train/data/sed_dataset.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "train/data/csv.hpp"
#include "train/data/reader_support.hpp"

namespace dcase {

namespace {

namespace fs = std::filesystem;

constexpr double kFrameSeconds = 0.1;
constexpr std::int64_t kMaxTrack = 1'000'000;

/// Fields of fold{F}_room{R}_mix{NNN}_ov{O}; nothing for any other name.
struct MixName {
  std::int64_t fold = 0;
  std::int64_t room = 0;
};
std::optional<MixName> parse_mix_name(const std::string& stem) {
  const std::vector<std::string> parts = split_list(stem, '_');
  if (parts.size() != 4) return std::nullopt;
  const auto number = [&parts](std::size_t part, std::string_view word) -> std::optional<std::int64_t> {
    if (parts[part].compare(0, word.size(), word) != 0) return std::nullopt;
    const std::string digits = parts[part].substr(word.size());
    if (digits.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
    return parse_integer(digits);
  };
  const auto fold = number(0, "fold");
  const auto room = number(1, "room");
  if (!fold || !room || !number(2, "mix") || !number(3, "ov")) return std::nullopt;
  if (*fold < 1 || *fold > 6) return std::nullopt;
  return MixName{.fold = *fold, .room = *room};
}

/// Names in a folder with an extension, without it, sorted; sidecars left out.
std::vector<std::string> stems(const std::string& folder, const std::string& extension) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const fs::path& file = at->path();
    if (file.extension() == extension && !is_sidecar(file.filename().string())) found.push_back(file.stem().string());
  }
  if (error) fail(ErrorKind::kIo, folder, ": cannot be listed: ", error.message());
  std::sort(found.begin(), found.end());
  return found;
}

/// classes.csv: index and name, with a header or without; further columns are remarks.
LabelSet read_classes(const std::string& path) {
  const CsvTable csv = CsvTable::read(path, {.header = false});
  std::vector<std::string> names;
  for (std::size_t r = 0; r < csv.rows(); ++r) {
    const std::vector<std::string>& row = csv.row(r);
    if (r == 0 && row[0] == "index") continue;
    if (row.size() < 2)
      fail(ErrorKind::kData, csv.where(r), ": ", row.size(), " field; a row is an index and a class name");
    const auto next = static_cast<std::int64_t>(names.size());
    if (csv.integer(r, 0, "the class index", 0, 1'000'000) != next) {
      fail(ErrorKind::kData, csv.where(r), ": class index ", row[0], " where ", next,
           " follows; the classes have to be numbered 0, 1, 2 ... in order");
    }
    names.push_back(corrected_sed_name(row[1]));
  }
  return LabelSet(std::move(names), path);
}

/// What a row of the metadata says apart from its frame. Directions tell instances apart only where no track does.
struct Instance {
  std::int32_t label = 0;
  std::int32_t track = 0;
  double azimuth = 0;
  double elevation = 0;
  [[nodiscard]] bool operator<(const Instance& other) const {
    return std::tie(label, track, azimuth, elevation) <
           std::tie(other.label, other.track, other.azimuth, other.elevation);
  }
};

std::size_t column_count(SedColumns columns) {
  return columns == SedColumns::kNoTrack ? 4 : columns == SedColumns::kTrack ? 5 : 6;
}

/// Events of one recording. `numbering` names the class numbers of the file, `labels` is the list in use.
EventTargets read_events(const std::string& path, SedColumns columns, const LabelSet& numbering,
                         const LabelSet& labels) {
  const CsvTable csv = CsvTable::read(path, {.header = false});
  std::map<Instance, std::set<std::int64_t>> frames;
  for (std::size_t r = 0; r < csv.rows(); ++r) {
    if (csv.row(r).size() != column_count(columns)) {
      fail(ErrorKind::kData, csv.where(r), ": ", csv.row(r).size(),
           " fields where the chosen form of the metadata has ", column_count(columns),
           "; choose the form by option (4 columns, 5, 6 Cartesian, 6 with distance)");
    }
    const std::int64_t frame = csv.integer(r, 0, "the frame", 0, kSedFrames - 1);
    const std::int64_t number = csv.integer(r, 1, "the class", 0, 1'000'000);
    if (number >= numbering.size()) {
      fail(ErrorKind::kData, csv.where(r), ": class ", number, " where there are ", numbering.size(), " (0 to ",
           numbering.size() - 1, "); name all classes in classes.csv (index,name)");
    }
    Instance instance;
    instance.label = labels.index(numbering[static_cast<std::int32_t>(number)], csv.where(r));
    std::size_t place = 2;  // first column of the direction
    if (columns != SedColumns::kNoTrack) {
      instance.track = static_cast<std::int32_t>(csv.integer(r, 2, "the event number", 0, kMaxTrack));
      place = 3;
    }
    // Unused, but a shifted column shows here.
    for (std::size_t c = place; c < csv.row(r).size(); ++c) (void)csv.number(r, c, "the direction");
    if (columns == SedColumns::kNoTrack) {
      instance.azimuth = csv.number(r, 2, "the azimuth");
      instance.elevation = csv.number(r, 3, "the elevation");
    }
    frames[instance].insert(frame);
  }

  EventTargets targets;
  for (const auto& [instance, active] : frames) {
    for (auto at = active.begin(); at != active.end();) {
      const std::int64_t first = *at;
      std::int64_t last = first;
      while (++at != active.end() && *at == last + 1) last = *at;
      targets.events.push_back({.label = instance.label,
                                .onset = kFrameSeconds * static_cast<double>(first),
                                .offset = kFrameSeconds * static_cast<double>(last + 1),
                                .track = instance.track});
    }
  }
  sort_events(targets.events);
  return targets;
}

Split split_of(std::int64_t fold, Selection selection) {
  if (fold == 1) return Split::kTest;
  if (fold == 2) return selection == Selection::kReference ? Split::kUnused : Split::kValid;
  return Split::kTrain;
}

void warn_of_names(Dataset& dataset, const std::vector<std::string>& names, const std::string& what) {
  if (!names.empty()) dataset.warnings.push_back(concat(names.size(), what, ", the first is ", in_quotes(names[0])));
}

}  // namespace

Dataset read_sed(const SedOptions& options) {
  require_folder(options.root, "event data set");
  const std::string audio = options.audio == SedAudio::kMic ? "mic_dev" : "foa_dev";
  for (const std::string& folder : {audio, std::string("metadata_dev")}) {
    require_folder(options.root + "/" + folder, "event data set");
  }

  Dataset dataset;
  dataset.name = "TAU-NIGENS Spatial Sound Events 2020 layout";
  dataset.root = options.root;
  dataset.selection = options.selection;
  // The metadata number the classes; what the numbers mean is the folder's affair, not that of a checkpoint.
  const LabelSet in_json = read_labels_json(options.root + "/labels.json").sed;
  const std::string classes_csv = options.root + "/classes.csv";
  ClassList of_folder;
  if (is_file(classes_csv)) of_folder = {.labels = read_classes(classes_csv), .origin = "classes.csv"};
  const LabelSet& builtin = builtin_labels(Task::kSed);
  const LabelSet& numbering = !of_folder.labels.empty() ? of_folder.labels : !in_json.empty() ? in_json : builtin;
  const ClassList classes = choose_labels(Task::kSed, options.labels, in_json, of_folder,
                                          {numbering.names().begin(), numbering.names().end()});
  dataset.labels.sed = classes.labels;
  dataset.notes.push_back(describe(Task::kSed, classes));

  std::vector<std::string> misnamed;
  const std::vector<std::string> listed = stems(options.root + "/metadata_dev", ".csv");
  for (const std::string& stem : listed) {
    const auto name = parse_mix_name(stem);
    if (!name) {
      misnamed.push_back(stem + ".csv");
      continue;
    }
    Item item;
    item.audio = concat(audio, "/", stem, ".wav");
    item.channels = {.mode = ChannelRule::Mode::kEach};
    item.padded_seconds = kSedSeconds;
    item.split = split_of(name->fold, options.selection);
    item.group = concat("fold", name->fold, "_room", name->room);
    item.events =
        read_events(concat(options.root, "/metadata_dev/", stem, ".csv"), options.columns, numbering, classes.labels);
    add_item(dataset, std::move(item));
  }
  if (dataset.listed == 0) {
    fail(ErrorKind::kData, options.root,
         "/metadata_dev: no table is named fold1_room1_mix001_ov1.csv or alike, folds 1 to 6");
  }
  std::vector<std::string> unlabelled;
  for (const std::string& stem : stems(options.root + "/" + audio, ".wav")) {
    if (!std::binary_search(listed.begin(), listed.end(), stem)) unlabelled.push_back(stem + ".wav");
  }
  warn_of_names(
      dataset, misnamed,
      " tables of metadata_dev are not named fold{F}_room{R}_mix{NNN}_ov{O}.csv with folds 1 to 6 and left out");
  warn_of_names(dataset, unlabelled, " recordings have no table in metadata_dev and are left out");
  dataset.selection_text = options.selection == Selection::kReference
                               ? "selected on fold 1, which is also reported (reference); fold 2 unused"
                               : "selected on fold 2";
  finish(dataset);
  return dataset;
}

}  // namespace dcase
