#pragma once
/// Lists of sound events as text: the forms of DCASE, Audacity and Raven. Reader and writer of each stand side by side;
/// docs/formats.md shows an example of each. Every byte is untrusted: errors are kData and begin with "file:line: ".

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "dcasenet/labels.hpp"

namespace dcase {

/// Seconds from the start of the recording; onset <= offset.
struct LabelledEvent {
  double onset = 0;
  double offset = 0;
  std::string label;
  double probability = std::numeric_limits<double>::quiet_NaN();  ///< NaN: unknown

  [[nodiscard]] bool operator==(const LabelledEvent& other) const {
    return onset == other.onset && offset == other.offset && label == other.label;
  }
};

/// The events of one recording, in the order of the file.
struct RecordingEvents {
  std::string name;
  std::string where;  ///< for messages
  std::vector<LabelledEvent> events;
};

// DCASE event list: `filename onset offset event_label`, tab-separated with that header, all recordings in one file. A
// recording without events has a line of its name alone (as DESED's tables) and is so told from a missing one. Columns
// are found by name; others are ignored.
[[nodiscard]] std::vector<RecordingEvents> read_event_list(std::string_view text, const std::string& file);
[[nodiscard]] std::string event_list_header();
[[nodiscard]] std::string event_list_rows(const RecordingEvents& recording);

// DCASE 2020 Task 3: one CSV a recording, no header, a line a class and frame of 100 ms:
// `frame,class index,event number,azimuth,elevation`; the angles are 0 here and not read. Frames of an event number
// that follow each other are one event.
[[nodiscard]] std::vector<LabelledEvent> read_frame_list(std::string_view text, const std::string& file,
                                                         const LabelSet& classes);
[[nodiscard]] std::string write_frame_list(const std::vector<LabelledEvent>& events, const LabelSet& classes);

// Audacity label track: `onset TAB offset TAB label`, one file a recording. The lines of a spectral selection (they
// begin with a backslash) are skipped.
[[nodiscard]] std::vector<LabelledEvent> read_audacity(std::string_view text, const std::string& file);
[[nodiscard]] std::string write_audacity(const std::vector<LabelledEvent>& events);

// Raven selection table: tab-separated with header; `Begin Time (s)` and `End Time (s)` are read, the label from
// `Annotation`, `Species`, `Label` or `Tags`, the recording from `Begin File` where there is one.
[[nodiscard]] std::vector<RecordingEvents> read_raven(std::string_view text, const std::string& file,
                                                      const std::string& recording);
[[nodiscard]] std::string write_raven(const RecordingEvents& recording);

}  // namespace dcase
