#pragma once
/// The results of `predict` in any of the formats, several at once.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dcasenet/labels.hpp"
#include "train/data/words.hpp"
#include "train/formats/event_formats.hpp"

namespace dcase {

enum class OutputFormat : std::uint8_t {
  kJson,       ///< one document: a list of recordings
  kJsonLines,  ///< json_lines.hpp
  kCsv,        ///< file,kind,label,probability,onset,offset
  kDcaseAsc,   ///< clip_tables.hpp: scenes
  kDcaseTag,   ///< clip_tables.hpp: tags
  kDcaseSed,   ///< event_formats.hpp: frame list
  kEvents,     ///< event_formats.hpp: event list
  kScores,     ///< score_table.hpp
  kAudacity,   ///< event_formats.hpp
  kRaven,      ///< event_formats.hpp
};
inline constexpr Words<OutputFormat, 10> kOutputFormatWords = {{{"json", OutputFormat::kJson},
                                                                {"jsonl", OutputFormat::kJsonLines},
                                                                {"csv", OutputFormat::kCsv},
                                                                {"dcase-asc", OutputFormat::kDcaseAsc},
                                                                {"dcase-tag", OutputFormat::kDcaseTag},
                                                                {"dcase-sed", OutputFormat::kDcaseSed},
                                                                {"events", OutputFormat::kEvents},
                                                                {"scores", OutputFormat::kScores},
                                                                {"audacity", OutputFormat::kAudacity},
                                                                {"raven", OutputFormat::kRaven}}};

/// True for formats with a file of its own for each recording, in a folder.
[[nodiscard]] bool has_folder(OutputFormat format);
/// The task whose results a format cannot do without, if there is one.
[[nodiscard]] std::optional<Task> task_of(OutputFormat format);

/// What was found in one recording; empty for tasks that were not asked for.
struct RecordingResult {
  std::string file;
  double seconds = 0;
  std::vector<float> scene;   // [K]
  std::vector<float> tags;    // [K]
  std::vector<float> frames;  // [T,K], 10 a second
  std::optional<std::vector<LabelledEvent>> events;
};

class OutputWriter {
 public:
  virtual ~OutputWriter() = default;
  virtual void add(const RecordingResult& result) = 0;
  /// A recording that could not be used.
  virtual void add_failure(const std::string& /*file*/, const std::string& /*reason*/) {}
  /// Single files are written here, whole or not at all; files of a recording when it is added.
  virtual void finish() {}
};

struct WriterOptions {
  std::string path;  ///< file or folder; "-": standard output
  LabelSets labels;
  int top_tags = 5;  ///< kJson and kCsv list so many
};

/// Throws Error(kUsage) for "-" where a folder is needed, Error(kIo) for a folder that cannot be created.
[[nodiscard]] std::unique_ptr<OutputWriter> make_writer(OutputFormat format, const WriterOptions& options);

/// Positions of the values from the highest down; equal ones in order.
[[nodiscard]] std::vector<std::size_t> descending(const std::vector<float>& values);

}  // namespace dcase
