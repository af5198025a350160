#pragma once
/// The lines of a manifest as they stand there: names instead of class numbers, no class list needed. The format is
/// described in manifest_dataset.hpp.

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "train/data/dataset.hpp"

namespace dcase {

struct NamedValue {
  std::string name;
  float value = 1;
};
struct NamedEvent {
  std::string label;
  double onset = 0;  // seconds from the beginning of the file
  double offset = 0;
};

struct ManifestRow {
  std::string where;  // file:line
  std::string audio;
  double start = 0;
  double end = std::numeric_limits<double>::infinity();
  std::optional<std::set<Task>> tasks;  // absent: all it has a target for
  std::optional<Split> split;
  std::optional<int> fold;
  std::string group;
  std::string device;
  ChannelRule channels;
  std::optional<std::vector<NamedValue>> scene;  // one value of 1, or soft values that sum to 1
  std::optional<std::vector<NamedValue>> tags;
  std::optional<std::vector<NamedEvent>> events;
  std::string events_soft;  // path; "" = none
};

struct ManifestRows {
  std::vector<ManifestRow> rows;
  std::vector<std::string> warnings;
};

/// One JSON object a line. Throws kData at file:line.
[[nodiscard]] ManifestRows read_jsonl_rows(const std::string& path);

/// A CSV or (.tsv) tab-separated manifest and its table of events; `events` "" means `<stem>_events` with the same
/// extension beside it if there is one. Throws kData at file:line.
[[nodiscard]] ManifestRows read_csv_rows(const std::string& path, const std::string& events);

}  // namespace dcase
