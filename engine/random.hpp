#pragma once
/// Named random streams of a training run: (seed, step) are set once a step, each consumer names its purpose.

#include <cstdint>
#include <string_view>

#include "kernels/common/philox.hpp"

namespace dcase {

struct RandomState {
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  [[nodiscard]] RandomKey key(std::string_view purpose) const { return {seed, purpose_id(purpose), step}; }
};

}  // namespace dcase
