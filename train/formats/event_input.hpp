#pragma once
/// Sound events, or frame scores, from any file or folder that has them.

#include <string>
#include <vector>

#include "dcasenet/labels.hpp"
#include "train/data/words.hpp"
#include "train/formats/event_formats.hpp"
#include "train/formats/recording_names.hpp"

namespace dcase {

enum class EventFormat : std::uint8_t { kAuto, kEvents, kScores, kDcaseSed, kAudacity, kRaven, kJsonLines };
inline constexpr Words<EventFormat, 7> kEventFormatWords = {{{"auto", EventFormat::kAuto},
                                                             {"events", EventFormat::kEvents},
                                                             {"scores", EventFormat::kScores},
                                                             {"dcase-sed", EventFormat::kDcaseSed},
                                                             {"audacity", EventFormat::kAudacity},
                                                             {"raven", EventFormat::kRaven},
                                                             {"jsonl", EventFormat::kJsonLines}}};

struct EventInput {
  EventFormat format = EventFormat::kAuto;  ///< never kAuto once read
  std::vector<RecordingEvents> recordings;  ///< all but kScores
  std::vector<double> seconds;              ///< [recordings], NaN where the file does not say
  std::vector<RecordingFile> score_files;   ///< kScores: read one at a time
  std::vector<std::string> classes;         ///< kScores: of the first file
};

/// Of kAuto the format is told from the first line of the first file. `classes` numbers those of kDcaseSed. Several
/// files of one format are taken together. Throws Error(kData) "file:line: ...".
[[nodiscard]] EventInput read_events(const std::vector<std::string>& paths, EventFormat format,
                                     const LabelSet& classes);

/// `filename duration` in seconds, tab or comma, with header: the lengths of all recordings of a set.
struct RecordingLength {
  NamedRecording recording;
  double seconds = 0;
};
[[nodiscard]] std::vector<RecordingLength> read_durations(std::string_view text, const std::string& file);

/// Longest recording that is scored; segments of all classes have to fit the memory.
inline constexpr double kLongestSeconds = 864'000;  // ten days

}  // namespace dcase
