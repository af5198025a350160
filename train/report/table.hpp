#pragma once
/// Tables as text for the terminal: columns as wide as their widest cell, numbers to the right.

#include <string>
#include <vector>

namespace dcase {

class Table {
 public:
  enum class Align : unsigned char { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kRight;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// One cell a column; throws Error(kArgument) for any other number.
  void add(std::vector<std::string> cells);
  /// Two blanks before and between columns, a line under the titles, no blanks at the ends of lines.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// "12.3457" with `digits` decimals; "n/a" for NaN, "inf" and "-inf".
[[nodiscard]] std::string number_text(double value, int digits = 4);
/// "68.33 %" of a value that is in percent already.
[[nodiscard]] std::string percent_text(double percent);

}  // namespace dcase
