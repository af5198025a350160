#pragma once
/// Compares results with the tensors of one reference file, and keeps account of which of them have been used.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/archive.hpp"
#include "train/verify/tolerances.hpp"

namespace dcase {

/// One line of the report: everything compared under the same group name.
struct VerifyGroup {
  std::string name;
  std::int64_t tensors = 0;
  std::int64_t elements = 0;
  std::int64_t outliers = 0;  ///< elements over the bound, where the rule permits some
  std::int64_t outliers_allowed = 0;
  double worst = 0;      ///< largest deviation as a multiple of what is allowed: above 1 is a miss
  std::string worst_at;  ///< "conv2d_k3s1.y[17]: 0.25 against 0.26"
  bool passed = true;
};

struct VerifyReport {
  std::string path;
  std::string kind;
  std::vector<VerifyGroup> groups;   ///< in the order of the first comparison
  std::vector<std::string> remarks;  ///< how something was compared that a reader would not expect
  std::vector<std::string> misses;   ///< one line a tensor that is off
  std::vector<std::string> unknown;  ///< tensors that nothing in this build checks or uses
  std::int64_t tensors = 0;          ///< in the file
  std::int64_t compared = 0;
  std::int64_t inputs = 0;       ///< used to compute what was compared
  std::int64_t information = 0;  ///< documented as information only

  [[nodiscard]] bool passed() const;
  /// For the terminal: a table of the groups, then what is wrong.
  [[nodiscard]] std::string text() const;
};

class Checker {
 public:
  Checker(const Archive& file, ReferenceKind kind);
  [[nodiscard]] const Archive& file() const { return *file_; }

  // Inputs: the tensor counts as used. They throw Error(kData) when it is missing.
  [[nodiscard]] std::vector<float> floats(std::string_view name);
  [[nodiscard]] std::vector<double> doubles(std::string_view name);
  [[nodiscard]] std::vector<std::int64_t> integers(std::string_view name);
  /// A tensor that is there for people.
  void information(std::string_view name);

  void remark(std::string text) { report_.remarks.push_back(std::move(text)); }

  /// Compares with the stored tensor under the rule for its name. A missing tensor or rule is an Error(kData).
  void compare(const std::string& name, std::span<const float> actual);
  void compare(const std::string& name, std::span<const double> actual);
  void compare(const std::string& name, std::span<const std::int64_t> actual);
  /// Compares one part of what a tensor says, under the rule for "name#part". `expected` has been read from the tensor.
  void compare_part(const std::string& name, const std::string& part, std::span<const double> actual,
                    std::span<const double> expected);

  /// What came out. The checker is spent.
  [[nodiscard]] VerifyReport finish();

 private:
  enum class Use : std::uint8_t { kNone, kInput, kInformation, kCompared };
  void use(std::string_view name, Use how);
  void judge(const std::string& tensor, const std::string& key, std::span<const double> actual,
             std::span<const double> expected);
  [[nodiscard]] VerifyGroup& group(const ToleranceRule& rule);

  const Archive* file_;
  ReferenceKind kind_;
  VerifyReport report_;
  std::map<std::string, Use, std::less<>> uses_;
  std::vector<Tolerance> tolerances_;  // of report_.groups, for the outlier shares
};

}  // namespace dcase
