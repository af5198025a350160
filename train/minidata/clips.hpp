#pragma once
/// The recordings that the project ships, and what its table says about them.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dcase::minidata {

inline constexpr int kClipRate = 24000;  // Hz

/// A row of clips.csv with the decoded recording.
struct Clip {
  std::string file;       // relative to clips/
  std::string role;       // scene | event | background
  std::string label;      // scene or event class; "any" for backgrounds
  std::string split;      // train | valid | test
  std::string recording;  // what the clip was cut from; two clips of one recording differ in time only
  double onset = 0;       // seconds: where the event sounds
  double offset = 0;
  std::vector<float> samples;  // at kClipRate

  [[nodiscard]] double seconds() const { return static_cast<double>(samples.size()) / kClipRate; }
};

/// Licence of a clip, a row of licences.csv.
struct ClipLicence {
  std::string file, author, licence, origin;
};

/// Reads clips.csv without opening a clip. Throws kIo or kData naming the file.
[[nodiscard]] std::vector<Clip> read_clip_table(const std::string& clips_dir);
[[nodiscard]] std::vector<ClipLicence> read_clip_licences(const std::string& clips_dir);
/// Decodes every clip of the table, in parallel. Throws kIo for a missing clip, kData for a bad one.
void load_clips(const std::string& clips_dir, std::vector<Clip>& clips);

/// Clips of a role, and of a label and split where given, in the order of the table.
[[nodiscard]] std::vector<const Clip*> select_clips(const std::vector<Clip>& clips, std::string_view role,
                                                    std::string_view label, std::string_view split);

}  // namespace dcase::minidata
