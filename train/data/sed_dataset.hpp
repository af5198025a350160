#pragma once
/// TAU-NIGENS Spatial Sound Events 2020, development set, as downloaded:
///   mic_dev/*.wav or foa_dev/*.wav (60 s, 4 channels)   metadata_dev/*.csv (100 ms frames, no header)
/// with names fold{F}_room{R}_mix{NNN}_ov{O}. Any set in this layout is read; classes.csv names other classes.

#include <cstdint>
#include <string>

#include "train/data/dataset.hpp"
#include "train/data/words.hpp"

namespace dcase {

enum class SedAudio : std::uint8_t { kMic, kFoa };
inline constexpr Words<SedAudio, 2> kSedAudioWords = {{{"mic", SedAudio::kMic}, {"foa", SedAudio::kFoa}}};

/// Columns of the metadata. The six-column forms cannot be told apart by looking, so the form is an option.
enum class SedColumns : std::uint8_t {
  kTrack,      ///< frame, class, event number, azimuth, elevation (2020 and STARSS22)
  kNoTrack,    ///< frame, class, azimuth, elevation
  kCartesian,  ///< frame, class, event number, x, y, z
  kDistance,   ///< frame, class, event number, azimuth, elevation, distance (STARSS23)
};
inline constexpr Words<SedColumns, 4> kSedColumnsWords = {{{"track", SedColumns::kTrack},
                                                           {"no-track", SedColumns::kNoTrack},
                                                           {"cartesian", SedColumns::kCartesian},
                                                           {"distance", SedColumns::kDistance}}};

struct SedOptions {
  std::string root;
  LabelSet labels;  ///< of a checkpoint or configuration; empty: labels.json, classes.csv, built-in
  SedAudio audio = SedAudio::kMic;
  SedColumns columns = SedColumns::kTrack;
  Selection selection = Selection::kValidation;
};

inline constexpr std::int32_t kSedFrames = 600;  ///< label frames of 100 ms in a recording
inline constexpr double kSedSeconds = 60;        ///< recordings are cut or filled with zeros to this length
inline constexpr std::int32_t kSedChannels = 4;

/// Train: folds 3-6, validation: fold 2, test: fold 1; with Selection::kReference fold 1 selects and fold 2 is unused.
/// Item: channels = each, padded_seconds = 60, group = "fold{F}_room{R}", events = maximal runs of frames per
/// (class, event number). Without event numbers (kNoTrack) runs are per class and direction.
/// Throws kIo for a missing folder, kData for anything wrong in a table; listed files that do not exist are warned of.
[[nodiscard]] Dataset read_sed(const SedOptions& options);

}  // namespace dcase
