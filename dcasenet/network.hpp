#pragma once
/// What the three networks have in common. v1.hpp, v2.hpp and v3.hpp say what each of them computes.

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "dcasenet/task.hpp"
#include "layers/module.hpp"

namespace dcase {

/// Sizes of a network. Hidden widths are those of the paper divided by `divisor`; outputs are the class counts.
struct Architecture {
  int version = 3;           ///< DcaseNet v1, v2 or v3
  std::int64_t divisor = 1;  ///< 1, 2, 4 or 8
  std::int64_t classes_asc = 10;
  std::int64_t classes_tag = 80;
  std::int64_t classes_sed = 14;
  [[nodiscard]] std::int64_t classes(Task task) const {
    return task == Task::kAsc ? classes_asc : task == Task::kTag ? classes_tag : classes_sed;
  }
  friend bool operator==(const Architecture&, const Architecture&) = default;
};

inline constexpr std::int64_t kMaxClasses = 100000;

/// What a pass computes: absent for tasks that were not asked for.
struct Outputs {
  Variable asc;  ///< [N,K] logits
  Variable tag;  ///< [N,K] logits
  Variable sed;  ///< [N,8*(T/40),K] probabilities, one a label frame of 100 ms (five input frames)
};

/// Intermediate results by name, for inspection: "block1" .. "dense_TAG".
using Taps = std::map<std::string, Variable>;

/// Input frames for one output step: three pools by 2 and one by 5.
inline constexpr std::int64_t kFramesPerStep = 40;
/// Label frames for one output step.
inline constexpr int kLabelsPerStep = 8;

class Network {
 public:
  virtual ~Network() = default;
  /// x: log-mel [N,128,T,1], T >= 40. Throws Error(kArgument) for other shapes. Runs what `tasks` need and no more, but
  /// for one side effect of the released code that v3 keeps (v3.cpp).
  [[nodiscard]] virtual Outputs forward(const Variable& x, TaskSet tasks, const Pass& pass,
                                        Taps* taps = nullptr) const = 0;
};

/// The linear layer whose rows are the classes of a task, by its name in the state_dict: the same in all three.
[[nodiscard]] const char* head_of(Task task);

/// Declares the network's parameters in `store`, which is not allocated yet. Throws Error(kArgument) for sizes that
/// cannot be built.
[[nodiscard]] std::unique_ptr<Network> make_network(const Architecture& architecture, ParameterStore& store);

}  // namespace dcase
