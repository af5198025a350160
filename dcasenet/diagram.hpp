#pragma once
/// A network as boxes and arrows. Nothing is described twice: a pass is run on record, and the operations between one
/// tapped value (Taps) and the next are a box. What the network computes is what is drawn.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dcasenet/network.hpp"

namespace dcase {

struct DiagramBox {
  std::string name;                     ///< of its part of the state_dict, "conv_block1"; the tap's where it has none
  std::vector<std::string> operations;  ///< as recorded, in order: "linear", "relu"
  std::vector<std::pair<std::string, Shape>> parameters;
  std::int64_t parameter_count = 0;
  Shape shape;                      ///< of its output, for one recording: [1,M,T,C], [1,T,F] or [1,K]
  std::vector<std::size_t> inputs;  ///< boxes that it reads, all before it
  TaskSet tasks;                    ///< whose outputs depend on it
  std::optional<Task> output;       ///< the box ends a task
};

/// The boxes of a network, the log-mel input first; shapes for `frames` input frames.
/// Throws Error(kArgument) for an architecture that cannot be built or fewer frames than kFramesPerStep.
[[nodiscard]] std::vector<DiagramBox> diagram_of(const Architecture& architecture, std::int64_t frames);

}  // namespace dcase
