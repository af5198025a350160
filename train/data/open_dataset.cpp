#include "train/data/open_dataset.hpp"

#include <filesystem>
#include <utility>
#include <vector>

#include "train/data/asc_dataset.hpp"
#include "train/data/manifest_dataset.hpp"

namespace dcase {
namespace {

namespace fs = std::filesystem;

Layout detect(const std::string& root) {
  std::error_code ignored;
  const auto has = [&](const char* name) { return fs::exists(fs::path(root) / name, ignored); };
  if (is_file(root)) return Layout::kManifest;
  require_folder(root, "data set");
  if (has("evaluation_setup")) return Layout::kTau2020;
  if (has("train_curated.csv") || has("FSDKaggle2019.meta")) return Layout::kFsdKaggle2019;
  if (has("metadata_dev")) return Layout::kNigens2020;
  fail(
      ErrorKind::kData, root, ": no known data set: neither evaluation_setup/ (TAU Urban Acoustic Scenes 2020) nor ",
      "train_curated.csv or FSDKaggle2019.meta/ (FSDKaggle2019) nor metadata_dev/ (TAU-NIGENS 2020) is in it; for own ",
      "recordings name the manifest file");
}

}  // namespace

Dataset open_dataset(const DataRequest& r) {
  const ReaderOptions& o = r.reader;
  switch (r.layout == Layout::kAuto ? detect(r.root) : r.layout) {
    case Layout::kTau2020:
      return read_asc({.root = r.root, .labels = r.labels.asc, .selection = o.selection, .seed = r.seed});
    case Layout::kFsdKaggle2019:
      return read_tag({.root = r.root,
                       .labels = r.labels.tag,
                       .evaluation = o.tag_evaluation,
                       .exclude_known_bad = o.tag_exclude_known_bad,
                       .noisy = o.tag_noisy,
                       .selection = o.selection,
                       .seed = r.seed});
    case Layout::kNigens2020:
      return read_sed({.root = r.root,
                       .labels = r.labels.sed,
                       .audio = o.sed_audio,
                       .columns = o.sed_columns,
                       .selection = o.selection});
    case Layout::kManifest:
      return read_manifest({.manifest = r.root,
                            .events = o.events_table,
                            .labels = r.labels,
                            .valid_folds = {o.valid_folds.begin(), o.valid_folds.end()},
                            .test_folds = {o.test_folds.begin(), o.test_folds.end()},
                            .selection = o.selection,
                            .allow_outside = o.allow_outside});
    case Layout::kAuto:
      break;
  }
  fail(ErrorKind::kArgument, "open_dataset: unknown layout");
}

std::string cache_path(const Dataset& dataset, const DataRequest& request, const std::string& folder) {
  const fs::path root(request.root);
  const std::string stem =
      is_file(request.root) ? root.filename().string() : fs::weakly_canonical(root).filename().string();
  const fs::path place = folder.empty() ? fs::path(dataset.root) / ".dcasenet" : fs::path(folder);
  return (place / (stem + ".pcm")).string();
}

PcmCache prepare_cache(const Dataset& dataset, const std::string& file, const CacheOptions& options,
                       const CacheProgressCallback& progress) {
  CacheRequest request{.file = file, .sources = {}};
  for (const Item& item : dataset.items) {
    request.sources.push_back({.path = dataset.path_of(item),
                               .channels = item.channels,
                               .statistics = item.knows(Task::kSed),
                               .start = item.start,
                               .end = item.end});
  }
  return PcmCache::prepare(request, options, progress);
}

}  // namespace dcase
