#pragma once
/// The three tasks of the paper.

#include <array>
#include <cstdint>

namespace dcase {

enum class Task : std::uint8_t {
  kAsc,  ///< acoustic scene classification: one scene a recording
  kTag,  ///< audio tagging: any number of tags a recording
  kSed,  ///< sound event detection: any number of classes in each 100 ms frame
};

inline constexpr std::array<Task, 3> kAllTasks = {Task::kAsc, Task::kTag, Task::kSed};

/// "asc", "tag", "sed"
[[nodiscard]] constexpr const char* task_name(Task task) {
  return task == Task::kAsc ? "asc" : task == Task::kTag ? "tag" : "sed";
}

/// A set of tasks.
class TaskSet {
 public:
  constexpr TaskSet() = default;
  constexpr TaskSet(Task task) : bits_(1U << static_cast<unsigned>(task)) {}  // NOLINT(google-explicit-constructor)
  [[nodiscard]] static constexpr TaskSet all() { return TaskSet(Task::kAsc) | Task::kTag | Task::kSed; }
  [[nodiscard]] constexpr bool has(Task task) const { return ((bits_ >> static_cast<unsigned>(task)) & 1U) != 0; }
  [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
  friend constexpr TaskSet operator|(TaskSet a, TaskSet b) {
    TaskSet c;
    c.bits_ = a.bits_ | b.bits_;
    return c;
  }
  friend constexpr bool operator==(TaskSet, TaskSet) = default;

 private:
  unsigned bits_ = 0;
};

}  // namespace dcase
