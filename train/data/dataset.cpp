#include "train/data/dataset.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <system_error>
#include <tuple>

namespace dcase {

namespace {

// Times are compared as whole microseconds: 0.3 / 0.1 is no whole number in binary.
constexpr std::int64_t kFrameMicroseconds = 100'000;
// Longest time that is converted (11 days): beyond it a table holds nonsense, and the conversion could overflow.
constexpr double kMaxSeconds = 1e6;

std::int64_t microseconds(double seconds) {
  return static_cast<std::int64_t>(std::llround(std::clamp(seconds, 0.0, kMaxSeconds) * 1e6));
}

/// Frames [first, last) that [onset, offset) overlaps, cut to [0, frames).
struct FrameRange {
  std::int64_t first = 0;
  std::int64_t last = 0;
};
FrameRange overlapped_frames(double onset, double offset, std::int64_t frames) {
  const std::int64_t first = microseconds(onset) / kFrameMicroseconds;
  const std::int64_t last = (microseconds(offset) + kFrameMicroseconds - 1) / kFrameMicroseconds;
  return {.first = std::min(first, frames), .last = std::min(last, frames)};
}

}  // namespace

const char* split_name(Split split) {
  switch (split) {
    case Split::kTrain:
      return "train";
    case Split::kValid:
      return "valid";
    case Split::kTest:
      return "test";
    case Split::kUnused:
      break;
  }
  return "unused";
}

std::int32_t Item::scene_index() const {
  if (!scene || scene->empty()) return -1;
  const auto best = std::max_element(scene->begin(), scene->end(),
                                     [](const ClassTarget& a, const ClassTarget& b) { return a.value < b.value; });
  return best->label;
}

std::string Dataset::path_of(const Item& item) const {
  return (std::filesystem::path(root) / item.audio).string();  // an absolute path stays as it is
}

std::vector<std::int32_t> Dataset::indices(Split split, std::optional<Task> task) const {
  if (split == Split::kValid && selection == Selection::kReference) split = Split::kTest;
  std::vector<std::int32_t> found;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].split == split && (!task || items[i].knows(*task))) found.push_back(static_cast<std::int32_t>(i));
  }
  return found;
}

std::vector<Example> examples(const Dataset& dataset, Split split, std::optional<Task> task,
                              const std::function<std::int32_t(std::int32_t item)>& signals) {
  std::vector<Example> all;
  for (const std::int32_t i : dataset.indices(split, task)) {
    const bool each = dataset.items[static_cast<std::size_t>(i)].channels.mode == ChannelRule::Mode::kEach;
    const std::int32_t count = each ? signals(i) : 1;
    for (std::int32_t s = 0; s < count; ++s) all.push_back({.item = i, .signal = s});
  }
  return all;
}

void fill_row(const std::vector<ClassTarget>& targets, float* row, std::int32_t classes) {
  std::fill_n(row, classes, 0.0F);
  for (const ClassTarget& target : targets) {
    DCASE_CHECK(target.label >= 0 && target.label < classes, "fill_row: class ", target.label, " of ", classes);
    row[target.label] = target.value;
  }
}

void fill_frames(const EventTargets& targets, float* matrix, std::int64_t frames, std::int32_t classes) {
  std::fill_n(matrix, frames * classes, 0.0F);
  for (const EventTarget& event : targets.events) {
    DCASE_CHECK(event.label >= 0 && event.label < classes, "fill_frames: class ", event.label, " of ", classes);
    const FrameRange range = overlapped_frames(event.onset, event.offset, frames);
    for (std::int64_t f = range.first; f < range.last; ++f) matrix[f * classes + event.label] = 1;
  }
  for (const SoftEventRow& row : targets.soft) {
    DCASE_CHECK(static_cast<std::int32_t>(row.values.size()) == classes, "fill_frames: a soft row of ",
                row.values.size(), " classes for a matrix of ", classes);
    const std::int64_t onset = microseconds(row.onset);
    const std::int64_t offset = microseconds(row.offset);
    const FrameRange range = overlapped_frames(row.onset, row.offset, frames);
    for (std::int64_t f = range.first; f < range.last; ++f) {
      const std::int64_t shared =
          std::min(offset, (f + 1) * kFrameMicroseconds) - std::max(onset, f * kFrameMicroseconds);
      const float weight = static_cast<float>(shared) / static_cast<float>(kFrameMicroseconds);
      for (std::int32_t k = 0; k < classes; ++k) {
        matrix[f * classes + k] += weight * row.values[static_cast<std::size_t>(k)];
      }
    }
  }
}

void sort_events(std::vector<EventTarget>& events) {
  std::sort(events.begin(), events.end(), [](const EventTarget& a, const EventTarget& b) {
    return std::tie(a.onset, a.label, a.offset, a.track) < std::tie(b.onset, b.label, b.offset, b.track);
  });
}

void check_relative_path(const std::string& path, const std::string& where) {
  const bool printable = std::none_of(path.begin(), path.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
  if (path.empty() || !printable) {
    fail(ErrorKind::kData, where, ": ", in_quotes(path), " is no file name; give a path relative to the data set");
  }
  const std::filesystem::path parts(path);
  const bool climbs = std::any_of(parts.begin(), parts.end(), [](const auto& part) { return part == ".."; });
  if (parts.is_absolute() || climbs) {
    fail(ErrorKind::kData, where, ": the path ", in_quotes(path),
         " leaves the data set's folder; give it relative to that folder and without '..'");
  }
}

bool is_file(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::none && error != std::errc::filename_too_long &&
      error != std::errc::too_many_symbolic_link_levels) {
    fail(ErrorKind::kIo, path, ": cannot be looked at: ", error.message());
  }
  return status.type() == std::filesystem::file_type::regular;
}

void require_folder(const std::string& path, const std::string& what) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::directory) return;
  fail(ErrorKind::kIo, what, ": ", in_quotes(path),
       status.type() == std::filesystem::file_type::not_found ? " does not exist" : " is not a folder that can be read",
       "; give the folder the data set was unpacked to");
}

}  // namespace dcase
