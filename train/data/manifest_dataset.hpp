#pragma once
/// Own recordings with own classes, listed in a manifest: JSON Lines (.jsonl) or CSV with the same column names.
///
///   {"audio":"a/rec1.wav","task":["asc","tag","sed"],"split":"train","group":"site-12","device":"a","scene":"park",
///    "tags":["Bark","Stream"],"events":[{"onset":1.2,"offset":2.7,"label":"dog"}],"channels":"each"}
///
///   audio        path relative to the manifest
///   start, end   seconds: a part of the file. Event times always count from the beginning of the file.
///   task         what the item is used for; default: whatever it has a target for
///   split        train, valid or test; or `fold`, a number that ManifestOptions assigns to a split
///   group        never on two sides of a split; device: for reports
///   scene | scene_soft {name: p}, p summing to 1
///   tags  | tags_soft {name: p}
///   events | events_soft, path of a table `onset offset class1 class2 ...` (tab-separated, sed_scores_eval's form)
///   channels     "mix" (default), "each", or the number of one channel from 0
///
/// A missing field is unknown, an empty list is known to contain nothing. In CSV (or .tsv) `task` and `tags` are joined
/// by
/// ';', soft values are like Bark:0.7;Stream:0.2, an empty cell is unknown unless the row's `task` names the task, and
/// events stand in a second table `filename,onset,offset,event_label`, where a row with nothing but a file name says
/// that the file holds no event.

#include <set>
#include <string>

#include "train/data/dataset.hpp"

namespace dcase {

struct ManifestOptions {
  std::string manifest;       ///< path of the .jsonl or .csv file
  std::string events;         ///< CSV only: the events' table; "": `<stem>_events.csv` beside the manifest if it exists
  LabelSets labels;           ///< of a checkpoint or configuration; empty: labels.json beside the manifest, else the
                              ///< sorted names of the training items
  std::set<int> valid_folds;  ///< items with `fold` in here are validation,
  std::set<int> test_folds;   ///< in here test, all others training
  Selection selection = Selection::kValidation;
  bool allow_outside = false;  ///< take absolute paths and paths that leave the manifest's folder
};

/// Throws kIo for a missing folder, kData (file:line) for anything wrong in the manifest or a table it names.
[[nodiscard]] Dataset read_manifest(const ManifestOptions& options);

}  // namespace dcase
