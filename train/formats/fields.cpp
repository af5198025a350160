#include "train/formats/fields.hpp"

#include <fmt/format.h>

#include <cmath>

#include "dcasenet/labels.hpp"
#include "train/metrics/sed_events.hpp"

namespace dcase {

namespace {

[[nodiscard]] std::string quoted_if(const std::string& text, const char* special) {
  if (text.find_first_of(special) == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

CsvOptions table_options(std::string_view text) {
  const bool tabs = text.substr(0, text.find('\n')).find('\t') != std::string_view::npos;
  return {.separator = tabs ? '\t' : ',', .max_file_bytes = kMaxOutputBytes};
}

void check_times(double onset, double offset, const std::string& where) {
  if (onset >= 0 && onset <= offset && offset <= static_cast<double>(kLatestMicrosecond) / 1e6) return;
  fail(ErrorKind::kData, where, ": an event from ", onset, " to ", offset,
       " s; the times are seconds, not below 0, and the offset is not before the onset");
}

void check_label(std::string_view label, const std::string& where) {
  constexpr std::size_t kLongest = 1024;
  if (label.empty()) fail(ErrorKind::kData, where, ": an empty name; every line names its recording and class");
  if (label.size() > kLongest || !is_utf8(label)) {
    fail(ErrorKind::kData, where, ": the name ", in_quotes(label), " is ",
         label.size() > kLongest ? "longer than 1024 bytes" : "not UTF-8; save the file as UTF-8");
  }
}

std::string seconds_text(double seconds) {
  std::string text = fmt::format("{:.6f}", seconds);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string score_text(float score) { return fmt::format("{}", score); }

std::string tab_field(const std::string& text) { return quoted_if(text, "\t\"\n\r"); }
std::string comma_field(const std::string& text) { return quoted_if(text, ",\"\n\r"); }

}  // namespace dcase
