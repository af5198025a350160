#include <cstdint>
#include <utility>

#include "kernels/mel_stft/mel_lanes.hpp"

namespace dcase::cpu::baseline {
#include "kernels/mel_stft/mel_lanes_body.hpp"
}  // namespace dcase::cpu::baseline
