#include "train/formats/event_formats.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <unordered_map>

#include "train/data/csv.hpp"
#include "train/formats/fields.hpp"
#include "train/metrics/sed_events.hpp"

namespace dcase {

namespace {

constexpr double kFrameSeconds = 0.1;
constexpr std::int64_t kLastFrame = 100'000'000;  // 115 days

[[nodiscard]] LabelledEvent event_at(const CsvTable& table, std::size_t r, std::size_t onset, std::size_t offset,
                                     const std::string& label) {
  LabelledEvent e{
      .onset = table.number(r, onset, "the onset"), .offset = table.number(r, offset, "the offset"), .label = label};
  check_times(e.onset, e.offset, table.where(r));
  check_label(e.label, table.where(r));
  return e;
}

/// Groups events by recording, in the order in which recordings appear.
class ByRecording {
 public:
  RecordingEvents& at(const std::string& name, const std::string& where) {
    const auto [entry, is_new] = index_.try_emplace(name, recordings_.size());
    if (is_new) recordings_.push_back({.name = name, .where = where});
    return recordings_[entry->second];
  }
  std::vector<RecordingEvents> take() { return std::move(recordings_); }

 private:
  std::unordered_map<std::string, std::size_t> index_;
  std::vector<RecordingEvents> recordings_;
};

}  // namespace

std::vector<RecordingEvents> read_event_list(std::string_view text, const std::string& file) {
  const CsvTable table = CsvTable::parse(text, file, table_options(text));
  const std::size_t name = table.column("filename");
  const std::size_t onset = table.column("onset");
  const std::size_t offset = table.column("offset");
  const std::size_t label = table.column("event_label");
  ByRecording recordings;
  for (std::size_t r = 0; r < table.rows(); ++r) {
    check_label(table.at(r, name), table.where(r));
    RecordingEvents& recording = recordings.at(table.at(r, name), table.where(r));
    if (table.at(r, onset).empty() && table.at(r, offset).empty() && table.at(r, label).empty()) continue;
    recording.events.push_back(event_at(table, r, onset, offset, table.at(r, label)));
  }
  return recordings.take();
}

std::string event_list_header() { return "filename\tonset\toffset\tevent_label\n"; }

std::string event_list_rows(const RecordingEvents& recording) {
  const std::string name = tab_field(recording.name);
  if (recording.events.empty()) return name + "\t\t\t\n";
  std::string text;
  for (const LabelledEvent& e : recording.events) {
    text += fmt::format("{}\t{}\t{}\t{}\n", name, seconds_text(e.onset), seconds_text(e.offset), tab_field(e.label));
  }
  return text;
}

std::vector<LabelledEvent> read_frame_list(std::string_view text, const std::string& file, const LabelSet& classes) {
  const CsvTable table = CsvTable::parse(text, file, {.header = false, .max_file_bytes = kMaxOutputBytes});
  struct Cell {
    std::int64_t label, track, frame;
    [[nodiscard]] bool operator<(const Cell& o) const {
      return std::tie(label, track, frame) < std::tie(o.label, o.track, o.frame);
    }
  };
  std::vector<Cell> cells;
  for (std::size_t r = 0; r < table.rows(); ++r) {
    if (table.row(r).size() < 2) {
      fail(ErrorKind::kData, table.where(r), ": one field; a line is frame,class,event number,azimuth,elevation");
    }
    const std::int64_t frame = table.integer(r, 0, "the frame", 0, kLastFrame);
    const std::int64_t label = table.integer(r, 1, "the class", 0, classes.size() - 1);
    // 4 columns: the older form without an event number
    const std::int64_t track = table.row(r).size() == 4 || table.row(r).size() == 2
                                   ? 0
                                   : table.integer(r, 2, "the event number", 0, std::int64_t{1} << 40U);
    cells.push_back({label, track, frame});
  }
  std::sort(cells.begin(), cells.end());
  std::vector<LabelledEvent> events;
  for (std::size_t first = 0; first < cells.size();) {
    std::size_t last = first + 1;
    while (last < cells.size() && cells[last].label == cells[first].label && cells[last].track == cells[first].track &&
           cells[last].frame <= cells[last - 1].frame + 1) {
      ++last;
    }
    events.push_back({.onset = static_cast<double>(cells[first].frame) * kFrameSeconds,
                      .offset = static_cast<double>(cells[last - 1].frame + 1) * kFrameSeconds,
                      .label = classes[static_cast<std::int32_t>(cells[first].label)]});
    first = last;
  }
  return events;
}

std::string write_frame_list(const std::vector<LabelledEvent>& events, const LabelSet& classes) {
  struct Row {
    std::int64_t frame;
    std::int32_t label;
    std::size_t track;
  };
  std::vector<Row> rows;
  std::map<std::int32_t, std::size_t> tracks;
  for (const LabelledEvent& e : events) {
    const std::int32_t label = classes.index(e.label, "event list");
    const std::size_t track = tracks[label]++;
    // Every frame that the event overlaps; times are rounded first, so that 0.3 s is frame 3.
    const std::int64_t first = microseconds(e.onset) / 100'000;
    const std::int64_t last = (microseconds(e.offset) + 99'999) / 100'000;
    for (std::int64_t frame = first; frame < std::min(last, kLastFrame); ++frame) rows.push_back({frame, label, track});
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.frame < b.frame; });
  std::string text;
  for (const Row& row : rows) text += fmt::format("{},{},{},0,0\n", row.frame, row.label, row.track);
  return text;
}

std::vector<LabelledEvent> read_audacity(std::string_view text, const std::string& file) {
  const CsvTable table =
      CsvTable::parse(text, file, {.separator = '\t', .header = false, .max_file_bytes = kMaxOutputBytes});
  std::vector<LabelledEvent> events;
  for (std::size_t r = 0; r < table.rows(); ++r) {
    if (table.at(r, 0).starts_with('\\')) continue;  // frequencies of a spectral selection
    if (table.row(r).size() != 3) {
      fail(ErrorKind::kData, table.where(r), ": ", table.row(r).size(),
           " fields; a label is onset, offset and text with tabs between");
    }
    events.push_back(event_at(table, r, 0, 1, table.at(r, 2)));
  }
  return events;
}

std::string write_audacity(const std::vector<LabelledEvent>& events) {
  std::string text;
  for (const LabelledEvent& e : events) {
    text += fmt::format("{}\t{}\t{}\n", seconds_text(e.onset), seconds_text(e.offset), tab_field(e.label));
  }
  return text;
}

std::vector<RecordingEvents> read_raven(std::string_view text, const std::string& file, const std::string& recording) {
  const CsvTable table = CsvTable::parse(text, file, table_options(text));
  const std::size_t onset = table.column("Begin Time (s)");
  const std::size_t offset = table.column("End Time (s)");
  const auto begin_file = table.find_column("Begin File");
  std::optional<std::size_t> label;
  for (const char* name : {"Annotation", "Species", "Label", "Tags"}) {
    if (!label) label = table.find_column(name);
  }
  if (!label) label = table.column("Annotation");  // throws, listing the columns there are
  ByRecording recordings;
  if (!begin_file) static_cast<void>(recordings.at(recording, file));
  for (std::size_t r = 0; r < table.rows(); ++r) {
    const std::string& name = begin_file ? table.at(r, *begin_file) : recording;
    check_label(name, table.where(r));
    recordings.at(name, table.where(r)).events.push_back(event_at(table, r, onset, offset, table.at(r, *label)));
  }
  return recordings.take();
}

std::string write_raven(const RecordingEvents& recording) {
  std::string text =
      "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tBegin File\tAnnotation\t"
      "Confidence\n";
  for (std::size_t i = 0; i < recording.events.size(); ++i) {
    const LabelledEvent& e = recording.events[i];
    // Raven draws a box: the whole band of the network, 0 to 12 kHz.
    text += fmt::format("{}\tSpectrogram 1\t1\t{}\t{}\t0\t12000\t{}\t{}\t{}\n", i + 1, seconds_text(e.onset),
                        seconds_text(e.offset), tab_field(recording.name), tab_field(e.label),
                        std::isnan(e.probability) ? "" : fmt::format("{:.4f}", e.probability));
  }
  return text;
}

}  // namespace dcase
