#pragma once
/// Small data sets written by the tests themselves. The readers never open audio, so a recording is an empty file.

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "kernels/common/error.hpp"
#include "tests/support/test.hpp"

namespace dcase::test {

/// Writes a file, and the folders above it.
inline void put(const std::string& path, std::string_view content = "") {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream out(path, std::ios::binary);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  REQUIRE(out.good());
}

/// The message of the Error that `call` must throw, of that kind.
template <class Call>
std::string error_of(ErrorKind kind, const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    INFO(error.what());
    CHECK(static_cast<int>(error.kind()) == static_cast<int>(kind));
    return error.what();
  }
  FAIL("no error was thrown");
  return "";
}

inline bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace dcase::test

/// CHECKs that `expression` throws Error of `kind` with `part` in its message.
#define CHECK_ERROR(expression, kind, part)                                                 \
  do {                                                                                      \
    const std::string message = ::dcase::test::error_of(kind, [&] { (void)(expression); }); \
    INFO(message);                                                                          \
    CHECK(::dcase::test::has(message, part));                                               \
  } while (false)
