#include "train/data/csv.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "dcasenet/labels.hpp"

namespace dcase {

namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Reads one row after the other. Kept apart from the table so that its position is not state of the table.
class RowReader {
 public:
  RowReader(std::string_view text, const std::string& name, const CsvOptions& options)
      : text_(text), name_(name), options_(options) {}

  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  [[nodiscard]] std::int64_t line() const { return line_; }

  /// The fields of the next row, and the position behind its line end.
  std::vector<std::string> next() {
    std::vector<std::string> fields;
    for (;;) {
      fields.push_back(!at_end() && text_[at_] == '"' ? quoted_field() : plain_field());
      if (at_end()) return fields;
      const char c = text_[at_++];
      if (c == options_.separator) {
        if (fields.size() == options_.max_columns) {
          fail(ErrorKind::kData, name_, ":", line_, ": more than ", options_.max_columns, " columns");
        }
        continue;
      }
      if (c == '\r' && !at_end() && text_[at_] == '\n') ++at_;
      ++line_;
      return fields;
    }
  }

 private:
  std::string plain_field() {
    const std::size_t first = at_;
    while (!at_end() && text_[at_] != options_.separator && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
    check_length(at_ - first, line_);
    return std::string(text_.substr(first, at_ - first));
  }

  std::string quoted_field() {
    const std::int64_t opened = line_;
    std::string field;
    bool closed = false;
    for (++at_; !at_end() && !closed; ++at_) {
      const char c = text_[at_];
      if (c == '"') {
        const bool doubled = at_ + 1 < text_.size() && text_[at_ + 1] == '"';
        closed = !doubled;
        if (closed) continue;
        ++at_;  // two stand for one
      }
      if (c == '\n') ++line_;
      field += c;
      check_length(field.size(), opened);
    }
    if (!closed)
      fail(ErrorKind::kData, name_, ":", opened, ": a quote opened here is never closed; add the closing '\"'");
    if (!at_end() && text_[at_] != options_.separator && text_[at_] != '\n' && text_[at_] != '\r') {
      fail(ErrorKind::kData, name_, ":", line_,
           ": text after a closing quote; double the quotes inside a quoted field");
    }
    return field;
  }

  void check_length(std::size_t length, std::int64_t line) const {
    if (length > options_.max_field_bytes) {
      fail(ErrorKind::kData, name_, ":", line, ": a field of more than ", options_.max_field_bytes,
           " bytes; is this the table, and its separator a ", options_.separator == '\t' ? "tab" : "comma", "?");
    }
  }

  std::string_view text_;
  const std::string& name_;
  const CsvOptions& options_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;
};

}  // namespace

CsvTable CsvTable::read(const std::string& path, const CsvOptions& options) {
  return parse(read_text_file(path, options.max_file_bytes), path, options);
}

CsvTable CsvTable::parse(std::string_view text, const std::string& name, const CsvOptions& options) {
  if (text.substr(0, 2) == "\xFF\xFE" || text.substr(0, 2) == "\xFE\xFF") {
    fail(ErrorKind::kData, name, ":1: the text is UTF-16; save it as UTF-8");
  }
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    fail(ErrorKind::kData, name, ":",
         1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(nul), '\n'),
         ": a NUL byte; this is no text table");
  }

  CsvTable table;
  table.name_ = name;
  RowReader reader(text, table.name_, options);
  bool header_wanted = options.header;
  while (!reader.at_end()) {
    Row row;
    row.line = reader.line();
    row.fields = reader.next();
    if (row.fields.size() == 1 && row.fields[0].empty()) continue;
    if (header_wanted) {
      header_wanted = false;
      for (std::string& column : row.fields) column = std::string(trimmed(column));
      table.header_ = std::move(row.fields);
      std::vector<std::string> sorted = table.header_;
      std::sort(sorted.begin(), sorted.end());
      const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
      if (twice != sorted.end())
        fail(ErrorKind::kData, name, ":", row.line, ": two columns are called ", in_quotes(*twice));
      continue;
    }
    if (options.header && row.fields.size() != table.header_.size()) {
      fail(ErrorKind::kData, name, ":", row.line, ": ", row.fields.size(), " fields where the header has ",
           table.header_.size(), "; put quotes around a field that holds the separator");
    }
    if (table.rows_.size() == options.max_rows) {
      fail(ErrorKind::kData, name, ":", row.line, ": more than ", options.max_rows, " rows");
    }
    table.rows_.push_back(std::move(row));
  }
  if (header_wanted) fail(ErrorKind::kData, name, ":1: the table is empty; it needs a header and rows");
  return table;
}

std::optional<std::size_t> CsvTable::find_column(std::string_view column) const {
  const auto at = std::find(header_.begin(), header_.end(), column);
  if (at == header_.end()) return std::nullopt;
  return static_cast<std::size_t>(at - header_.begin());
}

std::size_t CsvTable::column(std::string_view column) const {
  if (const auto at = find_column(column)) return *at;
  std::string there;
  for (std::size_t i = 0; i < std::min<std::size_t>(header_.size(), 8); ++i)
    there += (i == 0 ? "" : ", ") + in_quotes(header_[i]);
  if (header_.size() > 8) there += concat(" and ", header_.size() - 8, " more");
  fail(ErrorKind::kData, name_, ":1: no column ", in_quotes(column), "; there are ", there,
       ". Is this the right table, and its separator the right one?");
}

std::int64_t CsvTable::integer(std::size_t r, std::size_t column, std::string_view what, std::int64_t low,
                               std::int64_t high) const {
  const auto value = parse_integer(at(r, column));
  if (!value || *value < low || *value > high) {
    fail(ErrorKind::kData, where(r), ": ", what, " is ", in_quotes(at(r, column)),
         "; it has to be a whole number from ", low, " to ", high);
  }
  return *value;
}

double CsvTable::number(std::size_t r, std::size_t column, std::string_view what) const {
  const auto value = parse_number(at(r, column));
  if (!value) fail(ErrorKind::kData, where(r), ": ", what, " is ", in_quotes(at(r, column)), "; it has to be a number");
  return *value;
}

namespace {

template <class Number>
std::optional<Number> parse_whole(std::string_view text) {
  text = trimmed(text);
  if (!text.empty() && text[0] == '+' && text.substr(1, 1) != "-") text.remove_prefix(1);  // from_chars takes no plus
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text) { return parse_whole<std::int64_t>(text); }

std::optional<double> parse_number(std::string_view text) {
  const auto value = parse_whole<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

std::vector<std::string> split_list(std::string_view text, char separator) {
  std::vector<std::string> parts;
  if (trimmed(text).empty()) return parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.emplace_back(trimmed(text.substr(0, end)));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string read_text_file(const std::string& path, std::size_t limit) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    fail(ErrorKind::kData, path, ": no such file; is the path the folder the data set was unpacked to?");
  }
  // A pipe or device could block or never end.
  if (status.type() != std::filesystem::file_type::regular) fail(ErrorKind::kData, path, ": not a regular file");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (file == nullptr) {
    fail(ErrorKind::kIo, path, ": cannot be opened: ", std::generic_category().message(errno));
  }
  std::string text;
  char block[1U << 16U];
  while (const std::size_t count = std::fread(block, 1, sizeof block, file.get())) {
    text.append(block, count);
    if (text.size() > limit) fail(ErrorKind::kData, path, ": larger than the ", limit, " bytes a table may have");
  }
  if (std::ferror(file.get()) != 0)
    fail(ErrorKind::kIo, path, ": cannot be read: ", std::generic_category().message(errno));
  return text;
}

}  // namespace dcase
