#include "bench/cuda/report.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "train/report/table.hpp"

namespace dcase::bench::gpu {
namespace {

constexpr const char* kNoTimes = "an emulated device: results are compared, nothing is timed";
constexpr const char* kNoProducts = "measured with cuBLAS on a GPU: not built in";

nlohmann::ordered_json json_of(const DeviceRow& r, const DeviceRun& info) {
  nlohmann::ordered_json j = {{"name", r.name}, {"variant", r.variant}, {"shape", r.shape}};
  if (!r.failure.empty()) {
    j["failure"] = r.failure;
    return j;
  }
  j["error"] = r.error;
  j["deterministic"] = r.deterministic;
  j["memory_bytes"] = r.memory;
  if (r.samples.empty()) return j;
  j["median_ms"] = r.percentile(0.5);
  j["p10_ms"] = r.percentile(0.1);
  j["p90_ms"] = r.percentile(0.9);
  if (r.cost.flops > 0) j["tflops"] = r.teraflops();
  if (r.cost.bytes > 0) {
    j["gigabytes_per_s"] = r.gigabytes();
    j["percent_of_copy"] = 100 * r.gigabytes() / info.copy_gigabytes;
  }
  return j;
}

}  // namespace

double DeviceRow::percentile(double p) const {
  if (samples.empty()) return 0;
  std::vector<double> sorted = samples;
  std::sort(sorted.begin(), sorted.end());
  const double at = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double DeviceRow::teraflops() const { return samples.empty() ? 0 : cost.flops / percentile(0.5) / 1e9; }
double DeviceRow::gigabytes() const { return samples.empty() ? 0 : cost.bytes / percentile(0.5) / 1e6; }

bool DeviceReport::passed() const {
  return std::all_of(rows.begin(), rows.end(), [](const DeviceRow& r) { return r.failure.empty(); });
}

nlohmann::ordered_json DeviceReport::json() const {
  nlohmann::ordered_json j;
  j["run"] = {{"version", info.version},
              {"commit", info.commit},
              {"date", info.date},
              {"device", info.device},
              {"emulated", info.emulated},
              {"precision", info.precision},
              {"reps", info.reps},
              {"ceiling_tflops", nullptr},
              {"ceiling_tflops_reason", kNoProducts},
              {"ceiling_gigabytes_per_s", nullptr}};
  if (info.copy_gigabytes > 0) j["run"]["ceiling_gigabytes_per_s"] = info.copy_gigabytes;
  if (info.emulated) j["run"]["times"] = kNoTimes;
  j["tables"] = tables;
  j["rows"] = nlohmann::ordered_json::array();
  for (const DeviceRow& r : rows) j["rows"].push_back(json_of(r, info));
  return j;
}

std::string DeviceReport::csv() const {
  std::string text =
      csv_line({"commit", "version", "device", "precision", "name", "variant", "shape", "median_ms", "p10_ms", "p90_ms",
                "tflops", "gigabytes_per_s", "percent_of_copy", "memory_bytes", "deterministic", "error", "failure"});
  for (const DeviceRow& r : rows) {
    const bool matched = r.failure.empty();
    text += csv_line({info.commit, info.version, info.device, info.precision, r.name, r.variant, r.shape,
                      number(r.percentile(0.5), 6), number(r.percentile(0.1), 6), number(r.percentile(0.9), 6),
                      number(r.teraflops(), 3), number(r.gigabytes(), 1),
                      info.copy_gigabytes > 0 ? number(100 * r.gigabytes() / info.copy_gigabytes, 1) : "",
                      matched ? std::to_string(r.memory) : "", matched ? (r.deterministic ? "yes" : "no") : "",
                      matched ? fmt::format("{:.2g}", r.error) : "", r.failure});
  }
  return text;
}

std::string DeviceReport::text() const {
  using Align = Table::Align;
  std::string text = fmt::format("dcasenet {} (commit {})\n{}\n", info.version, info.commit, info.device);
  if (info.emulated) {
    text += fmt::format("products in {}; {}\n", info.precision, kNoTimes);
  } else {
    text += fmt::format("products in {}, median of {} samples\nceilings: {:.0f} GB/s (copy); products: {}\n",
                        info.precision, info.reps, info.copy_gigabytes, kNoProducts);
  }
  Table table({{"case", Align::kLeft},
               {"variant", Align::kLeft},
               {"ms"},
               {"p10"},
               {"p90"},
               {"TFLOP/s"},
               {"GB/s"},
               {"% of copy"},
               {"MiB"},
               {"same bits"},
               {"error"},
               {"shape", Align::kLeft}});
  std::string failures;
  std::size_t failed = 0;
  for (const DeviceRow& r : rows) {
    if (!r.failure.empty()) {
      ++failed;
      table.add({r.name, r.variant, "FAIL"});
      failures += fmt::format("FAIL    {} {}: {}\n", r.name, r.variant, r.failure);
      continue;
    }
    const auto time = [&](double p) { return r.samples.empty() ? "" : time_text(r.percentile(p)); };
    table.add({r.name, r.variant, time(0.5), time(0.1), time(0.9), number(r.teraflops(), 2), number(r.gigabytes(), 0),
               info.copy_gigabytes > 0 ? number(100 * r.gigabytes() / info.copy_gigabytes, 0) : "",
               number(static_cast<double>(r.memory) / 0x1p20, 1), r.deterministic ? "yes" : "NO",
               fmt::format("{:.1e}", r.error), r.shape});
  }
  return text + "\n" + table.text() + "\n" + failures +
         fmt::format("{} {}, {} failed\n", rows.size() - failed, info.emulated ? "compared" : "measured", failed);
}

}  // namespace dcase::bench::gpu
