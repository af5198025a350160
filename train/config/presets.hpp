#pragma once
/// The paper's experiments by name: every row of its Tables 2 and 3, with the figures it publishes.
///
///     v3-single-sed                        Table 2: one task alone, from drawn weights
///     v3-joint-asc+tag+sed                 Table 3, left: two or three tasks at once, from drawn weights
///     v3-tune-sed-from-asc+tag+sed         Table 3, right: one task, from such a joint model
///
/// Systems are v1-nomixup, v1, v2 and v3. A name alone has the batch sizes of the paper (ASC 32, TAG 24, SED 32); with
/// "@code" behind it those of the released code (32, 32, 24). All else is the same in every row: 160 epochs of 500
/// steps, Adam with 1e-3, a cosine restarted after 80 epochs, crops of 5 s (SED 30 s), mix-up Beta(0.1, 0.1) from the
/// seventh epoch, the best epoch chosen on the reported data, shared batch-norm averages.

#include <array>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "dcasenet/task.hpp"

namespace dcase {

/// The four figures of the paper's tables. NaN: none is published, or the task is not in the row.
struct PaperScores {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  double accuracy = kNone;    ///< ASC, percent
  double lwlrap = kNone;      ///< TAG, percent
  double f1 = kNone;          ///< SED, percent, of the released metric
  double error_rate = kNone;  ///< SED, of the released metric
};

struct Preset {
  enum class Kind : std::uint8_t { kSingle, kJoint, kTune };
  enum class Batches : std::uint8_t { kPaper, kCode };

  std::string system;  ///< "v1-nomixup", "v1", "v2", "v3"
  int version = 3;
  bool mixup = true;
  Kind kind = Kind::kSingle;
  TaskSet tasks;       ///< trained
  TaskSet init_tasks;  ///< kTune: of the joint model that it starts from
  Batches batches = Batches::kPaper;
  PaperScores published;

  /// "v3-tune-sed-from-asc+tag+sed@code"
  [[nodiscard]] std::string name() const;
  /// The joint preset that a kTune starts from.
  [[nodiscard]] std::string init_name() const;
};

/// "asc+tag"
[[nodiscard]] std::string task_set_text(TaskSet tasks);

/// All of them: systems, batch sizes, then the order of the tables.
[[nodiscard]] const std::vector<Preset>& presets();
/// Throws Error(kUsage) for an unknown name, with the nearest known one.
[[nodiscard]] const Preset& find_preset(const std::string& name);

/// The tasks' numbers of examples in a step.
[[nodiscard]] std::int64_t batch_size(Preset::Batches batches, Task task);

}  // namespace dcase
