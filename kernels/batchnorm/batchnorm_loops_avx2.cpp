#if defined(DCASE_X86_VARIANTS)

#include "kernels/batchnorm/batchnorm_loops.hpp"

namespace dcase::cpu::batchnorm {

struct Avx2;
const Loops<float> kAvx2Float = Compiled<Avx2, float>::kLoops;
const Loops<double> kAvx2Double = Compiled<Avx2, double>::kLoops;

}  // namespace dcase::cpu::batchnorm

#endif
