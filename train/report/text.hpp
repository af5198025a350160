#pragma once
/// Text as a terminal shows it: widths in columns, not bytes.

#include <cstddef>
#include <string>
#include <string_view>

namespace dcase {

/// Columns that UTF-8 text takes: 0 for combining marks, 2 for East Asian wide characters and emoji, 1 for the others
/// and for each byte that is not UTF-8.
[[nodiscard]] std::size_t display_width(std::string_view text);

/// The longest beginning of `text` that fits `columns`, with "…" as its last column where something was cut.
[[nodiscard]] std::string fit_columns(std::string_view text, std::size_t columns);

/// `text` with control characters (also ESC, which could rewrite the screen) and bytes that are not UTF-8 as "?". For
/// text from outside: labels, file names.
[[nodiscard]] std::string printable(std::string_view text);

/// "0:42", "12:05", "3:07:09"
[[nodiscard]] std::string duration_text(double seconds);

}  // namespace dcase
