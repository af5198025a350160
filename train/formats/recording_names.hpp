#pragma once
/// Which recording a line or file speaks of. Reference and output name recordings in different ways
/// (audio/park-1-2-a.wav, park-1-2-a, park-1-2-a.txt): compared are keys.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "train/data/words.hpp"

namespace dcase {

/// kName: without folders and audio ending. kPath: without the ending only, for sets with equal names in several
/// folders.
enum class MatchBy : std::uint8_t { kName, kPath };
inline constexpr Words<MatchBy, 2> kMatchByWords = {{{"name", MatchBy::kName}, {"path", MatchBy::kPath}}};

[[nodiscard]] std::string recording_key(std::string_view name, MatchBy by = MatchBy::kName);

/// True for an ending that audio files have (.wav, .flac, ...), in any case.
[[nodiscard]] bool is_audio_ending(std::string_view ending);

/// A recording as a file names it; `where` is "file:line" or the file, for messages.
struct NamedRecording {
  std::string name;
  std::string where;
};

struct RecordingMatch {
  std::vector<std::optional<std::size_t>> output_of;  // [references]
  std::vector<std::string> missing;                   // references without output, as the reference names them
  std::vector<std::string> extra;                     // outputs without reference
};

/// Throws Error(kData) naming both places where two recordings of one side have the same key.
[[nodiscard]] RecordingMatch match_recordings(const std::vector<NamedRecording>& references,
                                              const std::vector<NamedRecording>& outputs, MatchBy by);

/// "a.wav, b.wav, c.wav and 7 more"
[[nodiscard]] std::string first_names(const std::vector<std::string>& names);

/// A file of one recording, found below a folder or named itself.
struct RecordingFile {
  std::string path;
  std::string name;  ///< relative to the folder, without `ending`
};
/// Files as given; of folders all files in them with one of the endings, sorted; macOS sidecars and hidden files left
/// out. Throws Error(kData) for a folder without any, Error(kIo) where the system refuses.
[[nodiscard]] std::vector<RecordingFile> recording_files(const std::vector<std::string>& paths,
                                                         const std::vector<std::string>& endings);

/// The path of a recording's own file in `folder`: its name without folders and audio ending, numbered ("-2") where
/// that was taken. Nothing in a recording's name leads out of the folder.
class RecordingPaths {
 public:
  /// Creates the folder. Throws Error(kIo).
  RecordingPaths(std::string folder, std::string ending);
  [[nodiscard]] std::string path_of(const std::string& recording);

 private:
  std::string folder_, ending_;
  std::vector<std::string> taken_;  // sorted
};

}  // namespace dcase
