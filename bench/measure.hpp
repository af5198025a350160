#pragma once
/// Time and memory of a call, and the ceilings of the machine that it is held against.

#include <functional>
#include <vector>

#include "kernels/common/context.hpp"

namespace dcase::bench {

/// Milliseconds of each sample.
struct Timing {
  std::vector<double> samples;
  [[nodiscard]] double median() const;
  [[nodiscard]] double min() const;
  [[nodiscard]] double max() const;
};

[[nodiscard]] double median(std::vector<double> values);

/// Takes samples of one call: as many calls in a row as fill `sample_ms`, so that the clock and the wake-up of threads
/// do not count. Warms up when constructed.
class Sampler {
 public:
  Sampler(std::function<void()> call, double sample_ms);
  /// One sample: milliseconds a call.
  [[nodiscard]] double sample() const;

 private:
  std::function<void()> call_;
  int calls_ = 1;
};

/// Evicts what the caches hold, by writing 64 MiB. Before each sample of an operator: its first call finds the operands
/// in memory, those after it in the caches they fit, as in the network.
void flush_caches();

/// What this machine does at best with the threads of the run, measured.
struct Ceilings {
  double gflops = 0;     ///< sgemm of 1024^3
  double gigabytes = 0;  ///< copy of 64 MiB, read and written bytes
};
[[nodiscard]] Ceilings measure_ceilings(int samples);

/// Largest resident memory of this process so far, in MiB. (Not getrusage: its figure goes on from the process that
/// started this one.)
[[nodiscard]] double peak_memory_mib();

}  // namespace dcase::bench
