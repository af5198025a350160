#include "train/formats/score_table.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "kernels/common/error.hpp"
#include "train/formats/fields.hpp"

namespace dcase {

namespace {

/// Lines and fields of a table without quotes.
class Cursor {
 public:
  Cursor(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  /// The next line that is not empty, without its end.
  [[nodiscard]] bool next_line() {
    while (!text_.empty()) {
      const std::size_t end = std::min(text_.find('\n'), text_.size());
      rest_ = text_.substr(0, end);
      text_.remove_prefix(std::min(end + 1, text_.size()));
      ++line_;
      if (!rest_.empty() && rest_.back() == '\r') rest_.remove_suffix(1);
      if (!rest_.empty()) return true;
    }
    return false;
  }
  [[nodiscard]] std::string_view line() const { return rest_; }
  [[nodiscard]] std::string where() const { return concat(file_, ":", line_); }

  /// The next field of the line as a finite number; `what(column)` names it where it is none.
  template <class What>
  [[nodiscard]] double number(std::size_t column, std::size_t columns, What what) {
    double value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    const auto used = static_cast<std::size_t>(end - rest_.data());
    const bool last = column + 1 == columns;
    const bool ends = last ? used == rest_.size() : used < rest_.size() && rest_[used] == '\t';
    if (error != std::errc() || !ends || !std::isfinite(value)) bad(column, columns, what(column));
    rest_.remove_prefix(used + (last ? 0 : 1));
    return value;
  }

 private:
  [[noreturn]] void bad(std::size_t column, std::size_t columns, const std::string& what) const {
    const auto tabs = static_cast<std::size_t>(std::count(rest_.begin(), rest_.end(), '\t'));
    if (column + 1 + tabs != columns) {
      fail(ErrorKind::kData, where(), ": ", column + 1 + tabs, " fields where the header has ", columns);
    }
    fail(ErrorKind::kData, where(), ": ", what, " is ", in_quotes(rest_.substr(0, rest_.find('\t'))),
         "; it has to be a finite number");
  }

  std::string_view text_, rest_;
  const std::string& file_;
  std::int64_t line_ = 0;
};

[[nodiscard]] std::vector<std::string> header_of(Cursor& cursor, const std::string& file) {
  if (!cursor.next_line())
    fail(ErrorKind::kData, file, ":1: the file is empty; it needs the header onset, offset, classes");
  std::vector<std::string> names = CsvTable::parse(cursor.line(), file, {.separator = '\t'}).header();
  if (names.size() < 3 || names[0] != "onset" || names[1] != "offset") {
    fail(ErrorKind::kData, cursor.where(),
         ": the header has to be onset, offset and the classes, with tabs between (the form of sed_scores_eval)");
  }
  names.erase(names.begin(), names.begin() + 2);
  for (const std::string& name : names) check_label(name, cursor.where());
  return names;
}

[[nodiscard]] std::string_view without_mark(std::string_view text) {
  return text.substr(0, 3) == "\xEF\xBB\xBF" ? text.substr(3) : text;
}

}  // namespace

std::vector<std::string> read_score_header(std::string_view text, const std::string& file) {
  Cursor cursor(without_mark(text), file);
  return header_of(cursor, file);
}

FrameScores read_score_table(std::string_view text, const std::string& file, const LabelSet& classes) {
  Cursor cursor(without_mark(text), file);
  const std::vector<std::string> names = header_of(cursor, file);
  const auto width = static_cast<std::size_t>(classes.size());
  std::vector<std::size_t> place;  // [columns]
  for (const std::string& name : names) place.push_back(static_cast<std::size_t>(classes.index(name, cursor.where())));
  if (names.size() != width) {
    std::string lacking;
    for (const std::string& name : classes.names()) {
      if (lacking.empty() && std::find(names.begin(), names.end(), name) == names.end()) lacking = name;
    }
    fail(ErrorKind::kData, cursor.where(), ": scores of ", names.size(), " of ", width, " classes; ",
         in_quotes(lacking), " has none");
  }
  FrameScores scores{.classes = classes.size()};
  const auto what = [&](std::size_t column) {
    return column == 0   ? std::string("the onset")
           : column == 1 ? "the offset"
                         : "the score of " + in_quotes(names[column - 2]);
  };
  while (cursor.next_line()) {
    const std::string_view line = cursor.line();
    const double onset = cursor.number(0, width + 2, what);
    const double offset = cursor.number(1, width + 2, what);
    const auto where = [&] { return concat(cursor.where(), ", ", in_quotes(line.substr(0, 40))); };
    check_times(onset, offset, cursor.where());
    if (scores.times.empty()) scores.times.push_back(microseconds(onset));
    if (microseconds(onset) != scores.times.back() || microseconds(offset) <= scores.times.back()) {
      fail(ErrorKind::kData, where(), ": the frame before it ends at ",
           seconds_text(static_cast<double>(scores.times.back()) / 1e6),
           " s; frames follow each other without gap, overlap or empty frame");
    }
    scores.times.push_back(microseconds(offset));
    const std::size_t row = scores.values.size();
    scores.values.resize(row + width);
    for (std::size_t k = 0; k < width; ++k) scores.values[row + place[k]] = cursor.number(k + 2, width + 2, what);
  }
  return scores;
}

std::int64_t read_score_end(std::string_view text, const std::string& file) {
  text = without_mark(text);
  Cursor cursor(text, file);
  static_cast<void>(header_of(cursor, file));
  const std::string_view rows = text.substr(std::min(text.find('\n'), text.size()));
  const std::size_t end = rows.find_last_not_of("\r\n");
  if (end == std::string_view::npos) return 0;
  const std::size_t start = rows.find_last_of('\n', end);
  const std::vector<std::string> fields = split_list(rows.substr(start + 1, end - start), '\t');
  const auto offset = fields.size() < 2 ? std::nullopt : parse_number(fields[1]);
  if (!offset) fail(ErrorKind::kData, file, ": the last line has no number as its offset");
  check_times(0, *offset, file + ", last line");
  return microseconds(*offset);
}

std::string write_score_table(const std::vector<std::string>& classes, const std::vector<float>& values,
                              double frame_seconds, double seconds) {
  DCASE_CHECK(!classes.empty() && values.size() % classes.size() == 0, "write_score_table: ", values.size(),
              " values of ", classes.size(), " classes");
  std::string text = "onset\toffset";
  for (const std::string& name : classes) text += "\t" + tab_field(name);
  text += "\n";
  const std::size_t frames = values.size() / classes.size();
  for (std::size_t t = 0; t < frames; ++t) {
    const double onset = static_cast<double>(t) * frame_seconds;
    const double end = static_cast<double>(t + 1) * frame_seconds;
    text += seconds_text(onset) + "\t" + seconds_text(seconds > onset ? std::min(seconds, end) : end);
    for (std::size_t k = 0; k < classes.size(); ++k) text += "\t" + score_text(values[t * classes.size() + k]);
    text += "\n";
  }
  return text;
}

}  // namespace dcase
