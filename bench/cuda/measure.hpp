#pragma once
/// Runs cases on a CUDA device: results first, then times.

#include <iosfwd>
#include <string>
#include <vector>

#include "bench/cuda/case.hpp"
#include "bench/cuda/report.hpp"

namespace dcase::bench::gpu {

struct DeviceOptions {
  Device device;
  Precision precision = Precision::kFp32;
  int reps = 0;
  bool tiny = false;
};

/// A kernel whose result is wrong, or a case that finds no memory, is a row with a failure and without a time. Throws
/// CudaError for anything else that the device reports.
[[nodiscard]] DeviceReport measure_on_device(const std::vector<DeviceCase>& cases, const DeviceOptions& options,
                                             std::ostream& err);

}  // namespace dcase::bench::gpu
