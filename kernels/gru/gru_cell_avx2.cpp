#if defined(DCASE_X86_VARIANTS)

#include "kernels/gru/gru_cell.hpp"

namespace dcase::cpu::gru {

void forward_avx2(const ForwardTask& task) { forward_rows<8, 4>(task); }
void backward_avx2(const BackwardTask& task) { backward_rows<8, 4>(task); }
void activate_avx2(const float* x, std::int64_t count, float* sigmoid, float* tanh) {
  activate<8>(x, count, sigmoid, tanh);
}

}  // namespace dcase::cpu::gru

#endif
