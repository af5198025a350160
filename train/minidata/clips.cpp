#include "train/minidata/clips.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <filesystem>
#include <set>
#include <span>

#include "kernels/common/error.hpp"
#include "train/data/audio_file.hpp"
#include "train/data/csv.hpp"
#include "train/data/dataset.hpp"

namespace dcase::minidata {
namespace {

constexpr std::array<std::string_view, 3> kRoles = {"scene", "event", "background"};
constexpr std::array<std::string_view, 3> kSplits = {"train", "valid", "test"};

CsvTable read_table(const std::string& clips_dir, const std::string& name) {
  const std::string path = clips_dir + "/" + name;
  if (!std::filesystem::is_regular_file(path)) {
    fail(ErrorKind::kIo, path, ": no such file; give the folder that holds clips.csv (train/minidata of the project)");
  }
  return CsvTable::read(path);
}

void check_one_of(std::span<const std::string_view> allowed, const std::string& value, const std::string& where) {
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
  std::string list;
  for (const std::string_view a : allowed) list += concat(list.empty() ? "" : ", ", a);
  fail(ErrorKind::kData, where, ": '", value, "' is none of ", list);
}

}  // namespace

std::vector<Clip> read_clip_table(const std::string& clips_dir) {
  const CsvTable table = read_table(clips_dir, "clips.csv");
  const auto file = table.column("file"), role = table.column("role"), label = table.column("label"),
             split = table.column("split"), recording = table.column("recording"), onset = table.column("onset"),
             offset = table.column("offset");
  std::vector<Clip> clips;
  std::set<std::string> seen;
  for (std::size_t r = 0; r < table.rows(); ++r) {
    Clip clip = {.file = table.at(r, file),
                 .role = table.at(r, role),
                 .label = table.at(r, label),
                 .split = table.at(r, split),
                 .recording = table.at(r, recording),
                 .onset = table.number(r, onset, "onset in seconds"),
                 .offset = table.number(r, offset, "offset in seconds"),
                 .samples = {}};
    const std::string where = table.where(r);
    check_relative_path(clip.file, where);  // nothing outside clips/ is read
    check_one_of(kRoles, clip.role, where);
    check_one_of(kSplits, clip.split, where);
    if (!seen.insert(clip.file).second) fail(ErrorKind::kData, where, ": ", clip.file, " is listed twice");
    if (clip.label.empty() || clip.recording.empty()) fail(ErrorKind::kData, where, ": empty label or recording");
    if (clip.onset < 0 || clip.offset <= clip.onset) {
      fail(ErrorKind::kData, where, ": onset ", clip.onset, " and offset ", clip.offset, " enclose nothing");
    }
    clips.push_back(std::move(clip));
  }
  if (clips.empty()) fail(ErrorKind::kData, table.name(), ": lists no clip");
  return clips;
}

std::vector<ClipLicence> read_clip_licences(const std::string& clips_dir) {
  const CsvTable table = read_table(clips_dir, "licences.csv");
  const auto file = table.column("file"), author = table.column("author"), licence = table.column("licence"),
             origin = table.column("origin");
  std::vector<ClipLicence> rows;
  for (std::size_t r = 0; r < table.rows(); ++r) {
    rows.push_back({table.at(r, file), table.at(r, author), table.at(r, licence), table.at(r, origin)});
  }
  return rows;
}

void load_clips(const std::string& clips_dir, std::vector<Clip>& clips) {
  constexpr std::int64_t kLongest = 120 * kClipRate;  // the longest shipped one has 50 s
  std::exception_ptr error;
  const auto count = static_cast<std::int64_t>(clips.size());
#pragma omp parallel for schedule(dynamic)
  for (std::int64_t i = 0; i < count; ++i) {
    try {
      Clip& clip = clips[static_cast<std::size_t>(i)];
      const std::string path = clips_dir + "/clips/" + clip.file;
      AudioData audio = load_audio(path, {.sample_rate = kClipRate}, kLongest);
      clip.samples = std::move(audio.signals.at(0));
      constexpr double kRounding = 0.02;  // the table has two decimals
      if (clip.offset > clip.seconds() + kRounding || clip.onset >= clip.seconds()) {
        fail(ErrorKind::kData, path, ": ends at ", clip.seconds(), " s, clips.csv says onset ", clip.onset, ", offset ",
             clip.offset);
      }
      clip.offset = std::min(clip.offset, clip.seconds());
    } catch (...) {
#pragma omp critical(minidata_clip_error)
      if (!error) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

std::vector<const Clip*> select_clips(const std::vector<Clip>& clips, std::string_view role, std::string_view label,
                                      std::string_view split) {
  std::vector<const Clip*> chosen;
  for (const Clip& clip : clips) {
    if (clip.role != role) continue;
    if (!label.empty() && clip.label != label) continue;
    if (!split.empty() && clip.split != split) continue;
    chosen.push_back(&clip);
  }
  return chosen;
}

}  // namespace dcase::minidata
