#include "train/formats/event_input.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "train/formats/fields.hpp"
#include "train/formats/json_lines.hpp"
#include "train/formats/score_table.hpp"

namespace dcase {

namespace {

/// Endings of the files of each format in a folder.
[[nodiscard]] std::vector<std::string> endings_of(EventFormat format) {
  switch (format) {
    case EventFormat::kEvents:
    case EventFormat::kScores:
      return {".tsv", ".csv"};
    case EventFormat::kDcaseSed:
      return {".csv"};
    case EventFormat::kAudacity:
      return {".txt"};
    case EventFormat::kRaven:
      return {".selections.txt", ".Table.1.selections.txt", ".txt"};
    case EventFormat::kJsonLines:
      return {".jsonl"};
    case EventFormat::kAuto:
      break;
  }
  return {".jsonl", ".tsv", ".selections.txt", ".csv", ".txt"};
}

[[nodiscard]] EventFormat format_of(const std::string& path) {
  if (path.ends_with(".jsonl")) return EventFormat::kJsonLines;
  const std::string text = read_text_file(path, kMaxOutputBytes);
  std::string_view line = std::string_view(text).substr(0, text.find('\n'));
  if (line.substr(0, 3) == "\xEF\xBB\xBF") line.remove_prefix(3);
  const auto has = [&](std::string_view what) { return line.find(what) != std::string_view::npos; };
  if (line.starts_with("onset\toffset\t")) return EventFormat::kScores;
  if (has("filename") && has("event_label")) return EventFormat::kEvents;
  if (has("Begin Time (s)")) return EventFormat::kRaven;
  if (path.ends_with(".txt")) return EventFormat::kAudacity;
  if (path.ends_with(".csv") && (line.empty() || (line[0] >= '0' && line[0] <= '9'))) return EventFormat::kDcaseSed;
  fail(ErrorKind::kData, path, ":1: none of the formats of sound events (", list_of(kEventFormatWords),
       "); docs/formats.md shows an example of each");
}

void append(std::vector<RecordingEvents>& to, std::vector<RecordingEvents> from) {
  std::move(from.begin(), from.end(), std::back_inserter(to));
}

}  // namespace

EventInput read_events(const std::vector<std::string>& paths, EventFormat format, const LabelSet& classes) {
  DCASE_CHECK(!paths.empty(), "read_events: no files");
  EventInput in{.format = format};
  std::vector<RecordingFile> files = recording_files(paths, endings_of(format));
  if (format == EventFormat::kAuto) {
    in.format = format_of(files.front().path);
    files = recording_files(paths, endings_of(in.format));  // names without the ending of the format
  }
  if (in.format == EventFormat::kScores) {
    in.classes = read_score_header(read_text_file(files.front().path, kMaxOutputBytes), files.front().path);
    in.score_files = std::move(files);
    return in;
  }
  for (const RecordingFile& file : files) {
    const std::string text = read_text_file(file.path, kMaxOutputBytes);
    if (in.format == EventFormat::kEvents) {
      append(in.recordings, read_event_list(text, file.path));
    } else if (in.format == EventFormat::kRaven) {
      append(in.recordings, read_raven(text, file.path, file.name));
    } else if (in.format == EventFormat::kJsonLines) {
      for (JsonRecording& r : read_json_lines(text, file.path)) {
        if (!r.events) fail(ErrorKind::kData, r.where, ": no 'events'; every line needs them to be scored");
        in.recordings.push_back({.name = r.name, .where = r.where, .events = std::move(*r.events)});
        in.seconds.resize(in.recordings.size(), std::nan(""));
        if (r.seconds) in.seconds.back() = *r.seconds;
      }
    } else {
      in.recordings.push_back({.name = file.name,
                               .where = file.path,
                               .events = in.format == EventFormat::kAudacity
                                             ? read_audacity(text, file.path)
                                             : read_frame_list(text, file.path, classes)});
    }
  }
  in.seconds.resize(in.recordings.size(), std::nan(""));
  return in;
}

std::vector<RecordingLength> read_durations(std::string_view text, const std::string& file) {
  const CsvTable table = CsvTable::parse(text, file, table_options(text));
  const std::size_t name = table.column("filename");
  const std::size_t duration = table.column("duration");
  std::vector<RecordingLength> lengths;
  for (std::size_t r = 0; r < table.rows(); ++r) {
    check_label(table.at(r, name), table.where(r));
    const double seconds = table.number(r, duration, "the duration");
    if (!(seconds >= 0 && seconds <= kLongestSeconds)) {
      fail(ErrorKind::kData, table.where(r), ": a duration of ", seconds, " s; it has to be from 0 to ",
           kLongestSeconds);
    }
    lengths.push_back({{table.at(r, name), table.where(r)}, seconds});
  }
  return lengths;
}

}  // namespace dcase
