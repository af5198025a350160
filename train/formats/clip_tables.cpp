#include "train/formats/clip_tables.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "kernels/common/error.hpp"
#include "train/formats/fields.hpp"

namespace dcase {

namespace {

/// Columns of the published tables that say something about a recording and are no class.
constexpr std::array<std::string_view, 12> kAboutRecordings = {
    "filename", "fname", "scene_label", "labels", "identifier",   "source_label",
    "license",  "usage", "mids",        "split",  "freesound_id", "flickr_video_URL"};

[[nodiscard]] bool is_class(std::string_view column) {
  return std::find(kAboutRecordings.begin(), kAboutRecordings.end(), column) == kAboutRecordings.end();
}

template <class Labels>
[[nodiscard]] ClipTable read_table(std::string_view text, const std::string& file, const char* label_column,
                                   Labels labels_of) {
  const CsvTable csv = CsvTable::parse(text, file, table_options(text));
  const auto fname = csv.find_column("fname");
  const std::size_t name = fname ? *fname : csv.column("filename");
  const auto labels = csv.find_column(label_column);
  const auto device = csv.find_column("source_label");
  ClipTable table{.has_labels = labels.has_value()};
  std::vector<std::size_t> columns;
  for (std::size_t c = 0; c < csv.header().size(); ++c) {
    if (!is_class(csv.header()[c])) continue;
    check_label(csv.header()[c], csv.name() + ":1");
    table.classes.push_back(csv.header()[c]);
    columns.push_back(c);
  }
  if (columns.empty() && !labels) {
    fail(ErrorKind::kData, file, ":1: neither a column ", label_column, " nor columns of scores, one a class");
  }
  for (std::size_t r = 0; r < csv.rows(); ++r) {
    ClipRow row{.name = csv.at(r, name), .where = csv.where(r)};
    check_label(row.name, row.where);
    if (labels) row.labels = labels_of(csv.at(r, *labels), row.where);
    if (device) row.device = csv.at(r, *device);
    row.scores.reserve(columns.size());
    for (const std::size_t c : columns) row.scores.push_back(csv.number(r, c, "the score of " + csv.header()[c]));
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

ClipTable read_scene_table(std::string_view text, const std::string& file) {
  return read_table(text, file, "scene_label", [](const std::string& field, const std::string& where) {
    check_label(field, where);
    return std::vector<std::string>{field};
  });
}

ClipTable read_tag_table(std::string_view text, const std::string& file) {
  return read_table(text, file, "labels", [](const std::string& field, const std::string& where) {
    std::vector<std::string> labels = split_list(field, ',');
    for (const std::string& label : labels) check_label(label, where);
    return labels;
  });
}

std::string scene_table_header(const std::vector<std::string>& classes) {
  std::string text = "filename\tscene_label";
  for (const std::string& name : classes) text += "\t" + tab_field(name);
  return text + "\n";
}

std::string scene_table_row(const std::string& name, const std::vector<std::string>& classes,
                            const std::vector<float>& probabilities) {
  DCASE_CHECK(!classes.empty() && classes.size() == probabilities.size(), "scene_table_row: ", probabilities.size(),
              " probabilities of ", classes.size(), " classes");
  const auto best = std::max_element(probabilities.begin(), probabilities.end()) - probabilities.begin();
  std::string text = tab_field(name) + "\t" + tab_field(classes[static_cast<std::size_t>(best)]);
  for (const float p : probabilities) text += "\t" + score_text(p);
  return text + "\n";
}

std::string tag_table_header(const std::vector<std::string>& classes) {
  std::string text = "fname";
  for (const std::string& name : classes) text += "," + comma_field(name);
  return text + "\n";
}

std::string tag_table_row(const std::string& name, const std::vector<float>& probabilities) {
  std::string text = comma_field(name);
  for (const float p : probabilities) text += "," + score_text(p);
  return text + "\n";
}

}  // namespace dcase
