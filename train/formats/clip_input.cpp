#include "train/formats/clip_input.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "train/formats/fields.hpp"
#include "train/formats/json_lines.hpp"

namespace dcase {

namespace {

[[nodiscard]] ClipTable table_of(std::vector<JsonRecording> recordings, Task task, const std::string& file) {
  const char* key = task == Task::kAsc ? "scene" : "tags";
  ClipTable table;
  bool first = true;
  for (JsonRecording& r : recordings) {
    const auto& found = task == Task::kAsc ? r.scene : r.tags;
    if (!found) fail(ErrorKind::kData, r.where, ": no ", in_quotes(key), "; every line needs it to be scored");
    const auto plain = static_cast<std::size_t>(
        std::count_if(found->begin(), found->end(), [](const ScoredLabel& l) { return std::isnan(l.probability); }));
    ClipRow row{.name = r.name, .where = r.where, .device = r.device};
    if (plain == found->size()) {  // also an empty list: known to contain nothing
      for (const ScoredLabel& l : *found) row.labels.push_back(l.label);
    } else if (plain > 0) {
      fail(ErrorKind::kData, r.where, ": some of ", in_quotes(key), " have a probability and some have none");
    }
    const bool has_scores = !found->empty() && plain == 0;
    if (first) {
      table.has_labels = !has_scores;
      if (has_scores) {
        for (const ScoredLabel& l : *found) table.classes.push_back(l.label);
        std::sort(table.classes.begin(), table.classes.end());  // the file has them by probability
      }
    }
    first = false;
    if (has_scores == table.has_labels) {
      fail(ErrorKind::kData, r.where, ": ", in_quotes(key), table.has_labels ? " has probabilities" : " has none",
           ", unlike in the first line");
    }
    if (task == Task::kAsc && table.has_labels && row.labels.size() != 1) {
      fail(ErrorKind::kData, r.where, ": ", row.labels.size(), " scenes; a recording has one");
    }
    if (has_scores) {
      row.scores.assign(table.classes.size(), std::nan(""));
      for (const ScoredLabel& l : *found) {
        const auto at = std::lower_bound(table.classes.begin(), table.classes.end(), l.label);
        if (at == table.classes.end() || *at != l.label) {
          fail(ErrorKind::kData, r.where, ": the class ", in_quotes(l.label), " is not in the first line");
        }
        row.scores[static_cast<std::size_t>(at - table.classes.begin())] = l.probability;
      }
      const auto lacking = std::find_if(row.scores.begin(), row.scores.end(), [](double v) { return std::isnan(v); });
      if (lacking != row.scores.end()) {
        fail(ErrorKind::kData, r.where, ": no score of ",
             in_quotes(table.classes[static_cast<std::size_t>(lacking - row.scores.begin())]),
             ", which the first line has; scores of all classes are needed, not only the highest");
      }
    }
    table.rows.push_back(std::move(row));
  }
  if (table.rows.empty()) fail(ErrorKind::kData, file, ":1: no recording in this file");
  return table;
}

[[nodiscard]] ClipTable read_one(Task task, const std::string& path) {
  const std::string text = read_text_file(path, kMaxOutputBytes);
  if (path.ends_with(".jsonl")) return table_of(read_json_lines(text, path), task, path);
  return task == Task::kAsc ? read_scene_table(text, path) : read_tag_table(text, path);
}

/// Scores of `table` in the order of `classes`.
void reorder(ClipTable& table, const std::vector<std::string>& classes, const std::string& path,
             const std::string& first) {
  if (table.classes == classes) return;
  const LabelSet wanted(classes, first);
  if (table.classes.size() != classes.size()) {
    fail(ErrorKind::kData, path, ":1: ", table.classes.size(), " classes, ", first, " has ", classes.size());
  }
  std::vector<std::size_t> place;
  for (const std::string& name : table.classes) place.push_back(static_cast<std::size_t>(wanted.index(name, path)));
  for (ClipRow& row : table.rows) {
    std::vector<double> scores(classes.size());
    for (std::size_t k = 0; k < place.size(); ++k) scores[place[k]] = row.scores[k];
    row.scores = std::move(scores);
  }
  table.classes = classes;
}

}  // namespace

ClipTable read_clips(Task task, const std::vector<std::string>& paths) {
  DCASE_CHECK(task != Task::kSed && !paths.empty(), "read_clips: scenes or tags of at least one file");
  ClipTable all = read_one(task, paths[0]);
  for (std::size_t i = 1; i < paths.size(); ++i) {
    ClipTable next = read_one(task, paths[i]);
    if (next.has_labels != all.has_labels || next.classes.empty() != all.classes.empty()) {
      fail(ErrorKind::kData, paths[i], ":1: other columns than ", paths[0]);
    }
    reorder(next, all.classes, paths[i], paths[0]);
    std::move(next.rows.begin(), next.rows.end(), std::back_inserter(all.rows));
  }
  return all;
}

}  // namespace dcase
