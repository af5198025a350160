#pragma once
/// Everything about a recording in one line of JSON. As `predict` writes it:
///
///     {"file": "a.wav", "seconds": 10.0, "scene": [{"label": "park", "probability": 0.7}, ...], "tags": [...],
///      "events": [{"label": "dog", "onset": 1.2, "offset": 2.7, "probability": 0.9}]}
///
/// Read as well are the lines of a project manifest: `audio` for the file, `scene` as one name, `tags` as names,
/// `device`. A key that is absent is unknown; an empty list says that there is nothing.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "train/formats/event_formats.hpp"

namespace dcase {

struct ScoredLabel {
  std::string label;
  double probability = std::numeric_limits<double>::quiet_NaN();  ///< NaN: a plain label
};

struct JsonRecording {
  std::string name;
  std::string where;
  std::optional<double> seconds;
  std::string device;
  std::optional<std::vector<ScoredLabel>> scene;  ///< one plain label, or scores
  std::optional<std::vector<ScoredLabel>> tags;   ///< plain labels, or scores
  std::optional<std::vector<LabelledEvent>> events;
};

/// Lines with an "error" instead of results are left out. Throws Error(kData) "file:line: ...".
[[nodiscard]] std::vector<JsonRecording> read_json_lines(std::string_view text, const std::string& file);
/// One line. Probabilities are written as floats, times to the microsecond.
[[nodiscard]] std::string json_line(const JsonRecording& recording);

}  // namespace dcase
