#pragma once
/// Class lists. The order of the classes is part of a model: it is stored in every checkpoint and never inferred from a
/// folder listing. The built-in lists are those of the three original data sets.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dcasenet/task.hpp"

#include "kernels/common/error.hpp"

namespace dcase {

/// "asc", "tag" or "sed"; anything else throws kUsage.
[[nodiscard]] Task parse_task(std::string_view name);

/// An ordered list of distinct class names. Default-constructed: empty, "no list for this task".
class LabelSet {
 public:
  LabelSet() = default;
  /// Throws kData naming `origin` (a file, "checkpoint", ...) unless the names are at least one, distinct, non-empty,
  /// UTF-8 without control characters and at most 256 bytes each.
  explicit LabelSet(std::vector<std::string> names, const std::string& origin = "class list");

  [[nodiscard]] std::int32_t size() const { return static_cast<std::int32_t>(names_.size()); }
  [[nodiscard]] bool empty() const { return names_.empty(); }
  [[nodiscard]] const std::string& operator[](std::int32_t index) const;
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

  [[nodiscard]] bool contains(std::string_view name) const { return find(name) >= 0; }
  /// Position of the name, or -1.
  [[nodiscard]] std::int32_t find(std::string_view name) const;
  /// Position of the name. Otherwise throws kData: "`where`: unknown label 'Brak'; did you mean 'Bark'? ...".
  [[nodiscard]] std::int32_t index(std::string_view name, const std::string& where) const;

  /// Equal names in equal order.
  [[nodiscard]] bool operator==(const LabelSet& other) const { return names_ == other.names_; }

 private:
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::int32_t> index_;
};

/// One class list per task; an empty one where the task is absent.
struct LabelSets {
  LabelSet asc;
  LabelSet tag;
  LabelSet sed;

  [[nodiscard]] LabelSet& operator[](Task task) { return task == Task::kAsc ? asc : task == Task::kTag ? tag : sed; }
  [[nodiscard]] const LabelSet& operator[](Task task) const {
    return task == Task::kAsc ? asc : task == Task::kTag ? tag : sed;
  }
  [[nodiscard]] bool operator==(const LabelSets& other) const = default;
};

/// The 10 scenes of TAU Urban Acoustic Scenes 2020, the 80 tags of FSDKaggle2019, the 14 events of TAU-NIGENS 2020.
[[nodiscard]] const LabelSet& builtin_labels(Task task);

/// The released code spells two SED classes `female_screem`, `male_screem`: accepted on import, returned corrected.
[[nodiscard]] std::string corrected_sed_name(std::string_view name);

/// The candidate nearest to `name` by edit distance (case ignored), or "" where none is near enough to suggest.
[[nodiscard]] std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);

/// `text` in quotes for a message: control characters escaped, shortened to 60 bytes. For text from outside.
[[nodiscard]] std::string in_quotes(std::string_view text);

/// Well-formed UTF-8: no overlong forms, surrogates or values above U+10FFFF.
[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace dcase
