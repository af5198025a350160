#pragma once
/// What the text formats share: limits, numbers and names as fields.

#include <cstddef>
#include <string>
#include <string_view>

#include "train/data/csv.hpp"

namespace dcase {

/// Of one file of references or outputs.
inline constexpr std::size_t kMaxOutputBytes = std::size_t{1} << 30U;

/// Tab where the first line holds one, else comma.
[[nodiscard]] CsvOptions table_options(std::string_view text);

/// Throws Error(kData) unless 0 <= onset <= offset and both are within what a recording can be.
void check_times(double onset, double offset, const std::string& where);

/// Throws Error(kData) for an empty label or name, one that is no UTF-8 or is longer than 1024 bytes.
void check_label(std::string_view label, const std::string& where);

/// "1.2", "0.333333": at most six decimals, as many as it takes.
[[nodiscard]] std::string seconds_text(double seconds);

/// Shortest text that reads back as the same float: predictions are float.
[[nodiscard]] std::string score_text(float score);

/// A field between tabs: quoted (RFC 4180) where it holds a tab, quote or line break.
[[nodiscard]] std::string tab_field(const std::string& text);
/// A field between commas, likewise.
[[nodiscard]] std::string comma_field(const std::string& text);

}  // namespace dcase
