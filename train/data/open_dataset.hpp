#pragma once
/// From a path to the items and audio of a data set: which layout it has, and its cache.

#include <memory>
#include <string>
#include <vector>

#include "train/data/batcher.hpp"
#include "train/data/dataset.hpp"
#include "train/data/pcm_cache.hpp"
#include "train/data/sed_dataset.hpp"
#include "train/data/tag_dataset.hpp"
#include "train/data/words.hpp"

namespace dcase {

enum class Layout : std::uint8_t {
  kAuto,           ///< told from the files that are there
  kTau2020,        ///< TAU Urban Acoustic Scenes 2020 Mobile
  kFsdKaggle2019,  ///< FSDKaggle2019, both namings
  kNigens2020,     ///< TAU-NIGENS Spatial Sound Events 2020
  kManifest,       ///< a project manifest (.jsonl or .csv)
};
inline constexpr Words<Layout, 5> kLayoutWords = {{{"auto", Layout::kAuto},
                                                   {"tau2020", Layout::kTau2020},
                                                   {"fsdkaggle2019", Layout::kFsdKaggle2019},
                                                   {"nigens2020", Layout::kNigens2020},
                                                   {"manifest", Layout::kManifest}}};

/// What the readers can be told; each takes what concerns its layout.
struct ReaderOptions {
  Selection selection = Selection::kValidation;
  TagEvaluation tag_evaluation = TagEvaluation::kFold0;
  bool tag_exclude_known_bad = false;
  bool tag_noisy = false;
  SedAudio sed_audio = SedAudio::kMic;
  SedColumns sed_columns = SedColumns::kTrack;
  std::string events_table;      ///< of a manifest in CSV; "": <stem>_events.csv beside it if it exists
  std::vector<int> valid_folds;  ///< of a manifest with folds
  std::vector<int> test_folds;
  bool allow_outside = false;  ///< a manifest may name recordings outside its folder
};

struct DataRequest {
  std::string root;  ///< folder of the set, or the manifest file
  Layout layout = Layout::kAuto;
  LabelSets labels;  ///< of a model; empty lists are taken from the data
  ReaderOptions reader = {};
  std::uint64_t seed = 0;  ///< of the validation part
};

/// Throws kIo where nothing is there, kData where the layout cannot be told or a table is wrong.
[[nodiscard]] Dataset open_dataset(const DataRequest& request);

/// The cache file of a data set: `folder`/<name>.pcm, or where `folder` is empty .dcasenet/ inside the set.
[[nodiscard]] std::string cache_path(const Dataset& dataset, const DataRequest& request, const std::string& folder);

/// Decodes and resamples whatever the cache at `file` does not hold yet.
[[nodiscard]] PcmCache prepare_cache(const Dataset& dataset, const std::string& file, const CacheOptions& options,
                                     const CacheProgressCallback& progress = {});

}  // namespace dcase
