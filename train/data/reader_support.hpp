#pragma once
/// What the readers of the data sets share.

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "train/data/dataset.hpp"

namespace dcase {

/// Class lists of a labels.json: {"asc": [...], "tag": [...], "sed": [...]}, each optional. No such file: all empty.
[[nodiscard]] LabelSets read_labels_json(const std::string& path);

/// A class list and where it comes from.
struct ClassList {
  LabelSet labels;
  std::string origin;
};

/// Applies the order of precedence: `given` (checkpoint or configuration), `in_labels_json`, `of_layout` (a list the
/// data set itself brings; may be empty), the built-in list if it holds all `found`, else `found` sorted. Throws kData
/// where there is no name at all.
[[nodiscard]] ClassList choose_labels(Task task, const LabelSet& given, const LabelSet& in_labels_json,
                                      const ClassList& of_layout, const std::set<std::string>& found);
/// A note for Dataset::notes: "tag: 80 classes of sample_submission.csv".
[[nodiscard]] std::string describe(Task task, const ClassList& list);

/// True for macOS AppleDouble files ("._name"), which archives carry along and which hold neither audio nor tables.
[[nodiscard]] bool is_sidecar(std::string_view path);

/// Counts the item as listed; keeps it if its file exists, else files it under missing.
void add_item(Dataset& dataset, Item item);

/// Warnings on missing files and empty parts. Throws kData if files are listed and none exists.
void finish(Dataset& dataset);

}  // namespace dcase
