#include "kernels/gru/gru_cell.hpp"

namespace dcase::cpu::gru {

void forward_generic(const ForwardTask& task) { forward_rows<4, 4>(task); }
void backward_generic(const BackwardTask& task) { backward_rows<4, 4>(task); }
void activate_generic(const float* x, std::int64_t count, float* sigmoid, float* tanh) {
  activate<4>(x, count, sigmoid, tanh);
}

}  // namespace dcase::cpu::gru
