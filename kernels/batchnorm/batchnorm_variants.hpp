#pragma once
/// The instruction-set variants of batch normalisation. Internal to kernels/batchnorm, its tests and the benchmarks.

#include <cstdint>
#include <span>

#include "kernels/batchnorm/batchnorm.hpp"

namespace dcase::cpu {
namespace batchnorm {

/// One row of windows in one run of neighbouring channels: what an innermost loop works on. Arrays of lanes start at
/// the run's first (kernels/pool2d/windows.hpp); pointers that a loop has no use for are null.
template <class Real>
struct Row {
  std::int64_t count = 0;        // windows
  std::int64_t width = 0;        // lanes of each
  std::int64_t fine_step = 0;    // in x and dx: from window to window,
  std::int64_t fine_row = 0;     // and inside one from row to row
  std::int64_t fine_frame = 0;   // and from frame to frame
  std::int64_t coarse_step = 0;  // in y and dy: from window to window
  int pool_m = 1;
  int pool_t = 1;
  bool relu = false;
  bool accumulate = false;  // dx += instead of dx =
  const Real* x = nullptr;
  const Real* dy = nullptr;
  Real* y = nullptr;
  Real* dx = nullptr;
  const Real* mean = nullptr;      // [width], as all below
  const Real* scale = nullptr;     // gamma / sqrt(variance + eps)
  const Real* beta = nullptr;      //
  const Real* offset = nullptr;    // dx = scale * dz - offset - slope * (x - mean)
  const Real* slope = nullptr;     //
  const double* origin = nullptr;  // statistics: a value of the channel
  double* first = nullptr;         // accumulated: sum of x - origin, or of dz
  double* second = nullptr;        // accumulated: sum of (x - origin)^2, or of dz * (x - mean)
};

template <class Real>
struct Loops {
  void (*statistics)(const Row<Real>&);
  void (*forward)(const Row<Real>&);
  void (*backward_sums)(const Row<Real>&);
  void (*backward_dx)(const Row<Real>&);
};

extern const Loops<float> kGenericFloat;
extern const Loops<double> kGenericDouble;
#if defined(DCASE_X86_VARIANTS)
extern const Loops<float> kAvx2Float;
extern const Loops<double> kAvx2Double;
#endif

}  // namespace batchnorm

struct BatchnormVariant {
  const char* name;
  bool (*supported)();  // by this machine
  const batchnorm::Loops<float>* float_loops;
  const batchnorm::Loops<double>* double_loops;
};

/// All variants of this build, the fastest first; the last one runs on every machine.
[[nodiscard]] std::span<const BatchnormVariant> batchnorm_variants();

/// By one of them, which the machine must support. Without the argument it is the first that does.
template <class Real>
void batchnorm_statistics(const BatchnormStatistics<Real>& a, const Context& context, const BatchnormVariant& variant);
template <class Real>
void batchnorm_forward(const BatchnormForward<Real>& a, const Context& context, const BatchnormVariant& variant);
template <class Real>
void batchnorm_backward(const BatchnormBackward<Real>& a, const Context& context, const BatchnormVariant& variant);

}  // namespace dcase::cpu
