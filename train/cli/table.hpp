#pragma once
/// Aligned tables for the terminal.

#include <cstddef>
#include <string>
#include <vector>

namespace dcase::cli {

/// Columns are as wide as their widest cell, two spaces apart; cells are made printable (text.hpp).
///
///     class         F1      ER
///     ----------  ----  ------
///     dog         61.2    0.55
class Table {
 public:
  enum class Align : bool { kLeft, kRight };
  struct Column {
    std::string name;
    Align align = Align::kRight;
  };

  explicit Table(std::vector<Column> columns);

  /// One cell a column; fewer are filled with empty ones, more are an Error(kArgument).
  void add(std::vector<std::string> cells);
  /// A line across, above a row of totals.
  void add_rule();

  [[nodiscard]] std::size_t rows() const { return rows_.size(); }
  /// The whole table, each line ended; no trailing spaces.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;  // an empty row is a rule
};

}  // namespace dcase::cli
