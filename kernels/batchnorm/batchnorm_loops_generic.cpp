#include "kernels/batchnorm/batchnorm_loops.hpp"

namespace dcase::cpu::batchnorm {

struct Generic;
const Loops<float> kGenericFloat = Compiled<Generic, float>::kLoops;
const Loops<double> kGenericDouble = Compiled<Generic, double>::kLoops;

}  // namespace dcase::cpu::batchnorm
