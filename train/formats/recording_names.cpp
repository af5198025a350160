#include "train/formats/recording_names.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <unordered_map>

#include "dcasenet/labels.hpp"
#include "train/data/reader_support.hpp"

namespace dcase {

namespace fs = std::filesystem;

bool is_audio_ending(std::string_view ending) {
  static constexpr std::array<std::string_view, 14> kEndings = {".wav", ".flac", ".ogg",  ".oga",  ".opus",
                                                                ".mp3", ".aif",  ".aiff", ".aifc", ".au",
                                                                ".snd", ".caf",  ".w64",  ".rf64"};
  std::string lower(ending);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::find(kEndings.begin(), kEndings.end(), lower) != kEndings.end();
}

std::string recording_key(std::string_view name, MatchBy by) {
  if (by == MatchBy::kName) name.remove_prefix(std::min(name.size(), name.find_last_of('/') + 1));
  while (by == MatchBy::kPath && name.substr(0, 2) == "./") name.remove_prefix(2);
  const std::size_t dot = name.find_last_of('.');
  if (dot != std::string_view::npos && dot > 0 && is_audio_ending(name.substr(dot))) name = name.substr(0, dot);
  return std::string(name);
}

RecordingMatch match_recordings(const std::vector<NamedRecording>& references,
                                const std::vector<NamedRecording>& outputs, MatchBy by) {
  const auto keys_of = [by](const std::vector<NamedRecording>& recordings) {
    std::unordered_map<std::string, std::size_t> keys;
    for (std::size_t i = 0; i < recordings.size(); ++i) {
      const auto [at, is_new] = keys.try_emplace(recording_key(recordings[i].name, by), i);
      if (is_new) continue;
      fail(ErrorKind::kData, recordings[i].where, ": the recording ", in_quotes(at->first),
           " is there twice, first at ", recordings[at->second].where,
           by == MatchBy::kName ? "; if they lie in different folders, compare whole paths (--match path)"
                                : "; remove one");
    }
    return keys;
  };
  const auto of_references = keys_of(references);
  const auto of_outputs = keys_of(outputs);
  RecordingMatch match;
  for (const NamedRecording& reference : references) {
    const auto at = of_outputs.find(recording_key(reference.name, by));
    match.output_of.push_back(at == of_outputs.end() ? std::nullopt : std::optional(at->second));
    if (at == of_outputs.end()) match.missing.push_back(reference.name);
  }
  for (const NamedRecording& output : outputs) {
    if (of_references.count(recording_key(output.name, by)) == 0) match.extra.push_back(output.name);
  }
  return match;
}

std::string first_names(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 3;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) text += (i > 0 ? ", " : "") + in_quotes(names[i]);
  if (names.size() > kShown) text += concat(" and ", names.size() - kShown, " more");
  return text;
}

std::vector<RecordingFile> recording_files(const std::vector<std::string>& paths,
                                           const std::vector<std::string>& endings) {
  const auto without_ending = [&](const std::string& name) {
    for (const std::string& ending : endings) {
      if (name.size() > ending.size() && name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
    }
    return name;
  };
  std::vector<RecordingFile> files;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.push_back({path, without_ending(fs::path(path).filename().string())});
      continue;
    }
    std::vector<RecordingFile> found;
    for (fs::recursive_directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().lexically_relative(path).generic_string();
      if (it->path().filename().string().starts_with('.') || is_sidecar(name) || !it->is_regular_file(error)) continue;
      if (without_ending(name) != name) found.push_back({it->path().string(), without_ending(name)});
    }
    if (error) fail(ErrorKind::kIo, path, ": cannot be listed: ", error.message());
    if (found.empty()) fail(ErrorKind::kData, path, ": no file called *", endings.front(), " in this folder");
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

RecordingPaths::RecordingPaths(std::string folder, std::string ending)
    : folder_(std::move(folder)), ending_(std::move(ending)) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) fail(ErrorKind::kIo, folder_, ": cannot be created: ", error.message());
}

std::string RecordingPaths::path_of(const std::string& recording) {
  const std::string stem = recording_key(recording);
  std::string name = stem;
  auto at = std::lower_bound(taken_.begin(), taken_.end(), name);
  for (int i = 2; at != taken_.end() && *at == name; ++i) {
    name = concat(stem, "-", i);
    at = std::lower_bound(taken_.begin(), taken_.end(), name);
  }
  taken_.insert(at, name);
  return folder_ + "/" + name + ending_;
}

}  // namespace dcase
