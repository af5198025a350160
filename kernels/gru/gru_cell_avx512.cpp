#if defined(DCASE_X86_VARIANTS)

#include "kernels/gru/gru_cell.hpp"

namespace dcase::cpu::gru {

void forward_avx512(const ForwardTask& task) { forward_rows<16, 8>(task); }
void backward_avx512(const BackwardTask& task) { backward_rows<16, 8>(task); }
void activate_avx512(const float* x, std::int64_t count, float* sigmoid, float* tanh) {
  activate<16>(x, count, sigmoid, tanh);
}

}  // namespace dcase::cpu::gru

#endif
