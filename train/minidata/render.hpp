#pragma once
/// Renders the three small data sets from the recordings in clips/, in the layouts of the original ones:
///
///   OUT/asc   TAU Urban Acoustic Scenes 2020 Mobile: audio/*.wav (10 s, mono), meta.csv, evaluation_setup/fold1_*.csv
///   OUT/tag   FSDKaggle2019 (competition): train_curated/, test/ (mono), train_curated.csv, test_post_competition.csv,
///             sample_submission.csv
///   OUT/sed   TAU-NIGENS Spatial Sound Events 2020: mic_dev/*.wav (60 s, 4 channels, 24 kHz), metadata_dev/*.csv,
///             classes.csv
///   OUT/RENDERED  options, then checksum, size and name of every file
///
/// The files depend on the clips and the options alone, not on the number of threads. (Another version of the Vorbis
/// decoder or of the C library may round a sample differently.) What the recordings are, and how far the sets can be
/// trusted: SOURCES.md.

#include <cstdint>
#include <functional>
#include <string>

namespace dcase {

struct MinidataOptions {
  std::uint64_t seed = 1;
  double scale = 1;      ///< of the number of files: 1 takes 293 MB; 0.01 .. 10, with a file of each kind at least
  int rate = 24000;      ///< Hz, of asc and tag: 24000, which is all the clips hold, or 44100 as in the original sets
  bool replace = false;  ///< put a new rendering in the place of one that has other options or is damaged
};

struct MinidataProgress {
  std::int64_t done = 0;  ///< files written
  std::int64_t total = 0;
  std::string file;  ///< written last, relative to the output folder
};

struct MinidataReport {
  bool skipped = false;  ///< OUT held exactly this rendering already; nothing was written
  std::int64_t files = 0;
  std::int64_t bytes = 0;
  std::int64_t asc_train = 0, asc_test = 0;                 ///< segments; these counts are 0 when skipped
  std::int64_t tag_train = 0, tag_test = 0;                 ///< clips
  std::int64_t sed_train = 0, sed_valid = 0, sed_test = 0;  ///< recordings
};

/// `clips_dir` is the folder that holds clips.csv. Everything is written to OUT.partial and renamed when complete, so
/// OUT is whole or absent; what a killed run left there is cleared by the next. `progress` is called by one thread at
/// a time and may throw to stop.
/// Throws kUsage (options; OUT holds something else), kIo (missing or unwritable files, disk full, another process
/// renders to the same place), kData (tables or clips).
MinidataReport render_minidata(const std::string& clips_dir, const std::string& out_dir,
                               const MinidataOptions& options = {},
                               const std::function<void(const MinidataProgress&)>& progress = {});

}  // namespace dcase
