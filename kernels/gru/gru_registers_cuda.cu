#include "kernels/common/launch.hpp"
#include "kernels/gru/gru_registers_kernels.cuh"

namespace dcase::cuda {
namespace {

// The weights of more units do not fit the registers of a block.
constexpr int kMostUnits = 128;

template <class Steps>
void start(void (*kernel)(Steps, int), const char* name, const Steps& a, const Context& context) {
  const auto aligned = [](const float* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; };
  const bool vector = a.H % 4 == 0 && aligned(a.w_hh[0]) && aligned(a.w_hh[1]);
  launch(kernel,
         {.grid = {static_cast<unsigned>(a.N), 2},
          .block = static_cast<unsigned>(gru_threads(a.H)),
          .stream = context.stream,
          .name = name},
         a, vector ? 1 : 0);
}

}  // namespace

bool takes_gru_registers(std::int64_t H, const Context&) { return H <= kMostUnits; }

void gru_forward_registers(const GruForwardSteps& a, const Context& context) {
  start(a.H <= 32   ? gru_forward_registers_kernel<32>
        : a.H <= 64 ? gru_forward_registers_kernel<64>
                    : gru_forward_registers_kernel<128>,
        "gru_forward_registers", a, context);
}

void gru_backward_registers(const GruBackwardSteps& a, const Context& context) {
  start(a.H <= 32   ? gru_backward_registers_kernel<32>
        : a.H <= 64 ? gru_backward_registers_kernel<64>
                    : gru_backward_registers_kernel<128>,
        "gru_backward_registers", a, context);
}

}  // namespace dcase::cuda
