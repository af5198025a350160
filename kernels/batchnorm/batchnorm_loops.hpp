#pragma once
/// The innermost loops of batch normalisation, for the sources batchnorm_loops_<instruction set>.cpp.
///
/// They stream one or two maps and do a few flops a value. What bounds them is memory, if only vector units keep up:
/// with SSE2 the conversions to double of the sums take as long as the stream, with AVX2 they do not.

#include <cstdint>

#include "kernels/batchnorm/batchnorm_variants.hpp"
#include "kernels/common/simd.hpp"

namespace dcase::cpu::batchnorm {

/// The difference comes first: folding the mean into one offset would cancel where |mean| >> deviation. Forward and
/// backward use this one expression, so that both see the same side of the ReLU.
template <class Real>
DCASE_INLINE Real normalise(const Row<Real>& r, Real x, std::int64_t j) {
  return (x - r.mean[j]) * r.scale[j] + r.beta[j];
}

/// The difference of two floats is exact in double, and so is nearly its square: the statistics of a float map are
/// those of exact arithmetic to about 1e-14. One position after another: four at a time would quarter the traffic of
/// the accumulators, but four streams halve what the prefetchers bring.
template <class Real>
DCASE_INLINE void statistics_row(const Row<Real>& row) {
  const Row<Real> r = row;
  for (std::int64_t i = 0; i < r.count; ++i) {
    const Real* x = r.x + i * r.fine_step;
#pragma omp simd
    for (std::int64_t j = 0; j < r.width; ++j) {
      const double d = static_cast<double>(x[j]) - r.origin[j];
      r.first[j] += d;
      r.second[j] += d * d;
    }
  }
}

/// Runs Loop::run with the window and the activation as constants where the window is one of the models' own (0
/// stands for any).
template <class Loop, class Real>
DCASE_INLINE void specialise(const Row<Real>& r) {
  if (r.pool_m == 1 && r.pool_t == 1)
    return r.relu ? Loop::template run<1, 1, true>(r) : Loop::template run<1, 1, false>(r);
  if (r.pool_m == 2 && r.pool_t == 2)
    return r.relu ? Loop::template run<2, 2, true>(r) : Loop::template run<2, 2, false>(r);
  if (r.pool_m == 2 && r.pool_t == 5)
    return r.relu ? Loop::template run<2, 5, true>(r) : Loop::template run<2, 5, false>(r);
  return r.relu ? Loop::template run<0, 0, true>(r) : Loop::template run<0, 0, false>(r);
}

struct ForwardLoop {
  template <int kM, int kT, bool kRelu, class Real>
  DCASE_INLINE static void run(const Row<Real>& row) {
    const Row<Real> r = row;
    const int window_m = kM > 0 ? kM : r.pool_m;
    const int window_t = kT > 0 ? kT : r.pool_t;
    const Real inverse = Real(1) / static_cast<Real>(window_m * window_t);
    for (std::int64_t i = 0; i < r.count; ++i) {
      const Real* x = r.x + i * r.fine_step;
      Real* y = r.y + i * r.coarse_step;
#pragma omp simd
      for (std::int64_t j = 0; j < r.width; ++j) {
        Real sum = 0;
        for (int m = 0; m < window_m; ++m) {
          for (int t = 0; t < window_t; ++t) {
            const Real z = normalise(r, x[m * r.fine_row + t * r.fine_frame + j], j);
            sum += kRelu && z < 0 ? Real(0) : z;  // a NaN passes
          }
        }
        y[j] = sum * inverse;
      }
    }
  }
};

/// The terms of one window are added in Real, the windows in double.
struct BackwardSumsLoop {
  template <int kM, int kT, bool kRelu, class Real>
  DCASE_INLINE static void run(const Row<Real>& row) {
    const Row<Real> r = row;
    const int window_m = kM > 0 ? kM : r.pool_m;
    const int window_t = kT > 0 ? kT : r.pool_t;
    const Real inverse = Real(1) / static_cast<Real>(window_m * window_t);
    for (std::int64_t i = 0; i < r.count; ++i) {
      const Real* x = r.x + i * r.fine_step;
      const Real* dy = r.dy + i * r.coarse_step;
#pragma omp simd
      for (std::int64_t j = 0; j < r.width; ++j) {
        const Real share = dy[j] * inverse;
        Real sum = 0;
        Real product = 0;
        for (int m = 0; m < window_m; ++m) {
          for (int t = 0; t < window_t; ++t) {
            const Real value = x[m * r.fine_row + t * r.fine_frame + j];
            const Real dz = kRelu && !(normalise(r, value, j) > 0) ? Real(0) : share;
            sum += dz;
            product += dz * (value - r.mean[j]);
          }
        }
        r.first[j] += static_cast<double>(sum);
        r.second[j] += static_cast<double>(product);
      }
    }
  }
};

template <bool kAccumulate>
struct BackwardDxLoop {
  template <int kM, int kT, bool kRelu, class Real>
  DCASE_INLINE static void run(const Row<Real>& row) {
    const Row<Real> r = row;
    const int window_m = kM > 0 ? kM : r.pool_m;
    const int window_t = kT > 0 ? kT : r.pool_t;
    const Real inverse = Real(1) / static_cast<Real>(window_m * window_t);
    for (std::int64_t i = 0; i < r.count; ++i) {
      const Real* dy = r.dy + i * r.coarse_step;
      for (int m = 0; m < window_m; ++m) {
        for (int t = 0; t < window_t; ++t) {
          const std::int64_t at = i * r.fine_step + m * r.fine_row + t * r.fine_frame;
          const Real* x = r.x + at;
          Real* dx = r.dx + at;
#pragma omp simd
          for (std::int64_t j = 0; j < r.width; ++j) {
            const Real share = dy[j] * inverse;
            const Real dz = kRelu && !(normalise(r, x[j], j) > 0) ? Real(0) : share;
            const Real value = r.scale[j] * dz - r.offset[j] - r.slope[j] * (x[j] - r.mean[j]);
            dx[j] = kAccumulate ? dx[j] + value : value;
          }
        }
      }
    }
  }
};

/// The loops as compiled by one source, which names itself by a type: its functions are then no other source's.
template <class InstructionSet, class Real>
struct Compiled {
  static void statistics(const Row<Real>& r) { statistics_row(r); }
  static void forward(const Row<Real>& r) { specialise<ForwardLoop>(r); }
  static void backward_sums(const Row<Real>& r) { specialise<BackwardSumsLoop>(r); }
  static void backward_dx(const Row<Real>& r) {
    if (r.accumulate) {
      specialise<BackwardDxLoop<true>>(r);
    } else {
      specialise<BackwardDxLoop<false>>(r);
    }
  }
  static constexpr Loops<Real> kLoops = {statistics, forward, backward_sums, backward_dx};
};

}  // namespace dcase::cpu::batchnorm
