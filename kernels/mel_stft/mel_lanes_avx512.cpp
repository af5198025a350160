#if defined(DCASE_X86_VARIANTS)

#include <cstdint>
#include <utility>

#include "kernels/mel_stft/mel_lanes.hpp"

namespace dcase::cpu::avx512 {
#include "kernels/mel_stft/mel_lanes_body.hpp"
}  // namespace dcase::cpu::avx512

#endif
