#pragma once
/// Scenes and tags of recordings as tables, a row a recording. The same tables carry references and outputs:
///
///     scenes   filename scene_label [CLASS ...]     tab-separated: DCASE 2020 Task 1A submission; meta.csv, fold files
///     tags     fname,CLASS,...                      the submission of DCASE 2019 Task 2
///              fname,labels                         its references: labels in one field, separated by commas
///
/// Tab or comma is told from the header; `filename` and `fname` are the same. Columns about the recordings that the
/// published tables have (identifier, source_label, license, ...) are no classes.

#include <string>
#include <string_view>
#include <vector>

namespace dcase {

/// A row of a table: a plain answer, scores, or both.
struct ClipRow {
  std::string name;
  std::string where;                // "file:line"
  std::vector<std::string> labels;  // one for scenes; any number for tags
  std::vector<double> scores;       // [K] in ClipTable::classes, or empty
  std::string device;               // `source_label`; "" where unknown
};

struct ClipTable {
  std::vector<std::string> classes;  ///< of the scores; empty where there are only labels
  bool has_labels = false;
  std::vector<ClipRow> rows;
};

/// Throws Error(kData) "file:line: ..." for a table without names, labels and scores, an empty scene, a score that is
/// no finite number.
[[nodiscard]] ClipTable read_scene_table(std::string_view text, const std::string& file);
[[nodiscard]] ClipTable read_tag_table(std::string_view text, const std::string& file);

[[nodiscard]] std::string scene_table_header(const std::vector<std::string>& classes);
[[nodiscard]] std::string scene_table_row(const std::string& name, const std::vector<std::string>& classes,
                                          const std::vector<float>& probabilities);
[[nodiscard]] std::string tag_table_header(const std::vector<std::string>& classes);
[[nodiscard]] std::string tag_table_row(const std::string& name, const std::vector<float>& probabilities);

}  // namespace dcase
