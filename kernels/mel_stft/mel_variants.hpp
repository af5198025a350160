#pragma once
/// The instruction-set variants of mel_forward. Internal to kernels/mel_stft, its tests and the benchmarks.

#include <span>

#include "kernels/mel_stft/mel_lanes.hpp"
#include "kernels/mel_stft/mel_stft.hpp"

namespace dcase::cpu {

struct MelVariant {
  const char* name;
  int lanes;
  bool (*supported)();  // by this machine
  void (*run)(const MelLanes& block);
};

/// All variants of this build, the fastest first; the last one runs on every machine.
[[nodiscard]] std::span<const MelVariant> mel_variants();

/// mel_forward by one of them, which the machine must support. Without the argument it is the first that does.
void mel_forward(std::span<const MelForward> items, const MelTables& tables, const Context& context,
                 const MelVariant& variant);

}  // namespace dcase::cpu
