#pragma once
/// What a run on a CUDA device found.

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/report.hpp"

namespace dcase::bench::gpu {

/// Under what a run was made.
struct DeviceRun {
  std::string version, commit, date;
  std::string device;     ///< with driver and runtime
  std::string precision;  ///< of products
  bool emulated = false;  ///< nothing is timed then
  int reps = 0;
  double copy_gigabytes = 0;  ///< a second, read and written: a copy of 256 MiB on the device; 0: not measured
};

/// One kernel at one case.
struct DeviceRow {
  std::string name, variant, shape;
  std::string failure;  ///< why it was not timed; empty: it matched
  double error = 0;     ///< relative to the simple kernel, or to the CPU
  bool deterministic = false;
  std::vector<double> samples;  ///< milliseconds; empty on an emulated device
  Cost cost;
  std::size_t memory = 0;  ///< most bytes of device memory in use

  /// 0 without samples.
  [[nodiscard]] double percentile(double p) const;
  [[nodiscard]] double teraflops() const;
  [[nodiscard]] double gigabytes() const;
};

struct DeviceReport {
  DeviceRun info;
  std::map<std::string, std::vector<std::string>> tables;  ///< every variant that there is, by operator
  std::vector<DeviceRow> rows;

  [[nodiscard]] nlohmann::ordered_json json() const;
  [[nodiscard]] std::string csv() const;
  [[nodiscard]] std::string text() const;
  /// Nothing failed.
  [[nodiscard]] bool passed() const;
};

}  // namespace dcase::bench::gpu
