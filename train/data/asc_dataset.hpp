#pragma once
/// TAU Urban Acoustic Scenes 2020 Mobile, development set, as downloaded:
///   audio/*.wav  meta.csv  evaluation_setup/fold1_{train,test,evaluate}.csv   (tab-separated, columns by name)
/// Any set in this layout is read, with its own scenes, places and devices.

#include <cstdint>
#include <string>

#include "train/data/dataset.hpp"

namespace dcase {

struct AscOptions {
  std::string root;
  LabelSet labels;  ///< class list of a checkpoint or configuration; empty: labels.json, built-in, else sorted names
  Selection selection = Selection::kValidation;
  std::uint64_t seed = 0;  ///< of the validation part
};

/// Train: fold1_train.csv, of which 30 % by identifier (place) become validation, every city on both sides; test:
/// fold1_evaluate.csv. With Selection::kReference nothing is held out and the test part selects.
/// Item: group = identifier, device = source_label, scene = one class. Files are mono.
/// Throws kIo for a missing folder, kData for anything wrong in a table; listed files that do not exist are warned of.
[[nodiscard]] Dataset read_asc(const AscOptions& options);

/// Fields of {scene}-{city}-{location}-{segment}-{device}.wav.
struct AscName {
  std::string scene, city, location, segment, device;
  [[nodiscard]] std::string identifier() const { return city + "-" + location; }
};
/// From a path like "audio/airport-barcelona-0-0-a.wav"; throws kData at `where` for any other form.
[[nodiscard]] AscName parse_asc_name(const std::string& audio, const std::string& where);

/// Group of a device in reports: "real" (a b c), "seen-sim" (s1 s2 s3), "unseen-sim" (s4 s5 s6), "" for others.
[[nodiscard]] std::string asc_device_group(const std::string& device);

}  // namespace dcase
