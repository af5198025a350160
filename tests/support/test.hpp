#pragma once
/// The one header through which tests see Catch2 (v2 or v3), with the project's own helpers beside it.

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <string>

namespace dcase::test {

/// Leaves the current test case as "skipped, because ...". Every skip is listed and counted: test.sh holds the count
/// against tests/skips_allowed.txt.
[[noreturn]] void skip(const std::string& reason);

/// Folder of the reference files copied into the project.
[[nodiscard]] std::string golden(const std::string& file);

/// A fresh empty folder below the system's temporary one, removed at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace dcase::test
