#pragma once
/// Tables as text: comma or tab, UTF-8 with or without BOM, LF or CRLF, RFC 4180 quotes, last newline optional. Numbers
/// are read without regard to the locale. Every error is kData and begins with "file:line: ".

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/common/error.hpp"

namespace dcase {

struct CsvOptions {
  char separator = ',';
  bool header = true;  ///< the first row names the columns
  // Tables of the sets read here have under 30,000 rows and 81 columns; the limits bound memory on hostile files.
  std::size_t max_file_bytes = 64U << 20U;
  std::size_t max_field_bytes = 64U << 10U;
  std::size_t max_columns = 10'000;
  std::size_t max_rows = 4'000'000;
};

/// A table held in memory. Rows of only an empty field (blank lines) are left out. With a header every row has as many
/// fields as the header.
class CsvTable {
 public:
  /// Throws kData if there is no such file, it is too large, holds NUL bytes, is UTF-16, or a row is malformed.
  [[nodiscard]] static CsvTable read(const std::string& path, const CsvOptions& options = {});
  /// The same from text; `name` stands for the file in messages.
  [[nodiscard]] static CsvTable parse(std::string_view text, const std::string& name, const CsvOptions& options = {});

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::size_t rows() const { return rows_.size(); }
  [[nodiscard]] const std::vector<std::string>& header() const { return header_; }
  [[nodiscard]] const std::vector<std::string>& row(std::size_t r) const { return rows_[r].fields; }
  [[nodiscard]] const std::string& at(std::size_t r, std::size_t column) const { return rows_[r].fields[column]; }

  /// Position of a column by its header name, or nothing.
  [[nodiscard]] std::optional<std::size_t> find_column(std::string_view column) const;
  /// Position of a column by its header name; throws kData listing the columns there are.
  [[nodiscard]] std::size_t column(std::string_view column) const;

  /// "file:line" of a row, for messages.
  [[nodiscard]] std::string where(std::size_t r) const { return concat(name_, ":", rows_[r].line); }
  [[nodiscard]] std::int64_t line(std::size_t r) const { return rows_[r].line; }

  /// The field as a whole number in [low, high], or kData saying what was expected.
  [[nodiscard]] std::int64_t integer(std::size_t r, std::size_t column, std::string_view what, std::int64_t low,
                                     std::int64_t high) const;
  /// The field as a finite number, or kData.
  [[nodiscard]] double number(std::size_t r, std::size_t column, std::string_view what) const;

 private:
  struct Row {
    std::int64_t line = 0;  // where the row begins, from 1
    std::vector<std::string> fields;
  };
  std::string name_;
  std::vector<std::string> header_;
  std::vector<Row> rows_;
};

/// The whole text, blanks around it ignored, as a number; nothing if it is not one, out of range or not finite.
[[nodiscard]] std::optional<std::int64_t> parse_integer(std::string_view text);
[[nodiscard]] std::optional<double> parse_number(std::string_view text);

/// Parts between separators, blanks around each removed. "" gives no part.
[[nodiscard]] std::vector<std::string> split_list(std::string_view text, char separator);

/// The bytes of a file of at most `limit` bytes; kData if it is larger or missing, kIo if the system refuses.
[[nodiscard]] std::string read_text_file(const std::string& path, std::size_t limit);

}  // namespace dcase
