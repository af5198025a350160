#pragma once
/// Options that are one of a few words: one table for the command line, the configuration and the messages.

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "kernels/common/error.hpp"

namespace dcase {

/// Word and value, in the order in which help lists them.
template <class Value, std::size_t Count>
using Words = std::array<std::pair<const char*, Value>, Count>;

/// "fold0, test-public or test-all"
template <class Value, std::size_t Count>
[[nodiscard]] std::string list_of(const Words<Value, Count>& words) {
  std::string list;
  for (std::size_t i = 0; i < Count; ++i) {
    list += concat(i == 0 ? "" : i + 1 < Count ? ", " : " or ", words[i].first);
  }
  return list;
}

/// Throws kUsage for a word that is not in the table; `what` names the option.
template <class Value, std::size_t Count>
[[nodiscard]] Value value_of(const Words<Value, Count>& words, std::string_view word, std::string_view what) {
  for (const auto& [name, value] : words) {
    if (word == name) return value;
  }
  fail(ErrorKind::kUsage, what, ": \"", word, "\" is not allowed; it takes ", list_of(words));
}

template <class Value, std::size_t Count>
[[nodiscard]] std::string word_of(const Words<Value, Count>& words, Value value) {
  for (const auto& [name, candidate] : words) {
    if (candidate == value) return name;
  }
  fail(ErrorKind::kArgument, "no word for the value ", static_cast<int>(value));
}

}  // namespace dcase
