#pragma once
/// What a run found: rows, and the machine and build they hold for.

#include <iosfwd>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bench/measure.hpp"

namespace dcase::bench {

/// Under what a run was made.
struct RunInfo {
  std::string version, commit, cpu, isa, onednn, date;
  std::string pytorch;  ///< version and BLAS, or why there is none
  int threads = 0;
  int reps = 0;
  double load_before = 0;  ///< of the last minute: what else the machine did
  double load_after = 0;
  Ceilings ceilings;
};

/// The fields that do not depend on what is measured.
[[nodiscard]] RunInfo describe_run(int threads, int reps);
/// Runnable processes of the last minute.
[[nodiscard]] double load_average();

/// A cell: empty where the value is 0 (or less, as a difference of times may be).
[[nodiscard]] std::string number(double value, int digits);
/// Milliseconds with about five digits.
[[nodiscard]] std::string time_text(double ms);
/// One line of CSV.
[[nodiscard]] std::string csv_line(const std::vector<std::string>& cells);

struct PeerResult {
  std::string variant;  ///< the faster one
  Timing timing;
  std::map<std::string, double> medians;  ///< of all variants
  double ratio = 0;                       ///< median over pairs of peer / own
  double ratio_min = 0;
  double ratio_max = 0;
  double memory_mib = 0;
};

struct Row {
  std::string name, shape;
  bool operation = true;
  int threads = 0;
  std::string failure;  ///< why it was not timed; empty: it was
  Timing timing;
  Cost cost;
  double audio_seconds = 0;
  std::string note;
  double memory_mib = 0;  ///< 0: not measured
  std::optional<PeerResult> peer;
  std::vector<std::string> kept, broken;  ///< promises, with the numbers

  [[nodiscard]] double gflops() const { return cost.flops / timing.median() / 1e6; }
  [[nodiscard]] double gigabytes() const { return cost.bytes / timing.median() / 1e6; }
  /// Of the ceiling that is nearer, in percent.
  [[nodiscard]] double of_ceiling(const Ceilings& c) const;
  [[nodiscard]] double audio_speed() const { return 1e3 * audio_seconds / timing.median(); }
};

struct Report {
  RunInfo info;
  std::vector<Row> rows;
  std::vector<std::string> skipped;  ///< what could not be compared, and why

  [[nodiscard]] nlohmann::ordered_json json() const;
  /// One line a row under a line of names.
  [[nodiscard]] std::string csv() const;
  [[nodiscard]] std::string text() const;
};

}  // namespace dcase::bench
