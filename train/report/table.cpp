#include "train/report/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/common/error.hpp"
#include "train/report/text.hpp"

namespace dcase {

Table::Table(std::vector<Column> columns, std::size_t indent) : columns_(std::move(columns)), indent_(indent) {
  DCASE_CHECK(!columns_.empty(), "table: no columns");
}

void Table::add(std::vector<std::string> cells) {
  DCASE_CHECK(cells.size() <= columns_.size(), "table: ", cells.size(), " cells for ", columns_.size(), " columns");
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

void Table::add_rule() { rows_.emplace_back(); }

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t width = display_width(columns_[c].title);
    for (const auto& row : rows_) width = std::max(width, row.empty() ? 0 : display_width(row[c]));
    widths.push_back(width);
  }

  std::string out;
  const auto add_line = [&](const auto& cell_of) {
    out.append(indent_, ' ');
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const std::string& cell = cell_of(c);
      const std::string fill(widths[c] - display_width(cell), ' ');
      if (c > 0) out += "  ";
      out += columns_[c].align == Align::kLeft ? cell + fill : fill + cell;
    }
    out.erase(out.find_last_not_of(' ') + 1);
    out += '\n';
  };
  std::vector<std::string> rule;
  for (const std::size_t width : widths) rule.emplace_back(width, '-');
  const auto rule_of = [&](std::size_t c) -> const std::string& { return rule[c]; };

  add_line([&](std::size_t c) -> const std::string& { return columns_[c].title; });
  add_line(rule_of);
  for (const auto& row : rows_) {
    if (row.empty()) {
      add_line(rule_of);
    } else {
      add_line([&](std::size_t c) -> const std::string& { return row[c]; });
    }
  }
  return out;
}

std::string number_text(double value, int digits) {
  return std::isnan(value) ? "n/a" : fmt::format("{:.{}f}", value, digits);
}

std::string percent_text(double percent) { return std::isnan(percent) ? "n/a" : fmt::format("{:.2f} %", percent); }

}  // namespace dcase
