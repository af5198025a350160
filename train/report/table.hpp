#pragma once
/// Aligned tables for the terminal.

#include <cstddef>
#include <string>
#include <vector>

namespace dcase {

/// Columns are as wide as their widest cell, two spaces apart; cells are made printable (text.hpp).
///
///     class         F1      ER
///     ----------  ----  ------
///     dog         61.2    0.55
class Table {
 public:
  enum class Align : bool { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kRight;
  };

  /// Every line starts with `indent` blanks.
  explicit Table(std::vector<Column> columns, std::size_t indent = 0);

  /// One cell a column; fewer are filled with empty ones, more are an Error(kArgument).
  void add(std::vector<std::string> cells);
  /// A line across, above a row of totals.
  void add_rule();

  [[nodiscard]] std::size_t rows() const { return rows_.size(); }
  /// The whole table, each line ended; no trailing spaces.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<Column> columns_;
  std::size_t indent_;
  std::vector<std::vector<std::string>> rows_;  // an empty row is a rule
};

/// "12.3457" with `digits` decimals; "n/a" for NaN, "inf" and "-inf".
[[nodiscard]] std::string number_text(double value, int digits = 4);
/// "68.33 %" of a value that is in percent already; "n/a" for NaN.
[[nodiscard]] std::string percent_text(double percent);

}  // namespace dcase
