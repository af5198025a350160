#include "bench/report.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fstream>

#include "dcasenet/version.hpp"
#include "kernels/common/onednn.hpp"
#include "train/report/table.hpp"

namespace dcase::bench {
namespace {

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  std::map<std::string, std::string> fields;  // of the first processor
  for (std::string line; std::getline(file, line) && !line.empty();) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || colon + 2 > line.size()) continue;
    fields[line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1)] = line.substr(colon + 2);
  }
  if (fields["model name"].empty()) return "unknown";
  // Virtual machines shorten the name; the numbers still tell which one it is.
  return fmt::format("{} (family {}, model {}, stepping {})", fields["model name"], fields["cpu family"],
                     fields["model"], fields["stepping"]);
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[32] = {};
  std::tm parts = {};
  std::strftime(text, sizeof(text), "%Y-%m-%d", gmtime_r(&now, &parts));
  return text;
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

nlohmann::ordered_json json_of(const PeerResult& p) {
  return {{"variant", p.variant},     {"median_ms", p.timing.median()},  {"min_ms", p.timing.min()},
          {"max_ms", p.timing.max()}, {"variants_median_ms", p.medians}, {"ratio", p.ratio},
          {"ratio_min", p.ratio_min}, {"ratio_max", p.ratio_max},        {"memory_mib", p.memory_mib}};
}

nlohmann::ordered_json json_of(const Row& r, const Ceilings& ceilings) {
  nlohmann::ordered_json j = {{"name", r.name}, {"shape", r.shape}, {"threads", r.threads}};
  if (!r.failure.empty()) {
    j["failure"] = r.failure;
    return j;
  }
  j["median_ms"] = r.timing.median();
  j["min_ms"] = r.timing.min();
  j["max_ms"] = r.timing.max();
  j["samples_ms"] = r.timing.samples;
  if (r.cost.flops > 0) {
    j["gflops"] = r.gflops();
    j["gigabytes_per_s"] = r.gigabytes();
    j["percent_of_ceiling"] = r.of_ceiling(ceilings);
  }
  if (r.audio_seconds > 0) j["audio_s_per_s"] = r.audio_speed();
  if (!r.note.empty()) j["note"] = r.note;
  if (r.memory_mib > 0) j["memory_mib"] = r.memory_mib;
  if (r.peer) j["peer"] = json_of(*r.peer);
  if (!r.kept.empty()) j["kept"] = r.kept;
  if (!r.broken.empty()) j["broken"] = r.broken;
  return j;
}

std::string whole_table(const std::vector<Row>& rows) {
  using Align = Table::Align;
  Table table({{"case", Align::kLeft},
               {"ms"},
               {"min"},
               {"max"},
               {"audio s/s"},
               {"MiB"},
               {"PyTorch ms"},
               {"PyTorch MiB"},
               {"ratio"},
               {"of pairs"},
               {"variant", Align::kLeft}});
  for (const Row& r : rows) {
    if (r.operation) continue;
    if (!r.failure.empty()) {
      table.add({r.name, "FAIL"});
      continue;
    }
    std::vector<std::string> cells = {r.name,
                                      time_text(r.timing.median()),
                                      time_text(r.timing.min()),
                                      time_text(r.timing.max()),
                                      number(r.audio_speed(), 0),
                                      number(r.memory_mib, 0)};
    if (r.peer) {
      cells.insert(cells.end(), {time_text(r.peer->timing.median()), number(r.peer->memory_mib, 0),
                                 fmt::format("{:.2f}", r.peer->ratio),
                                 fmt::format("{:.2f}..{:.2f}", r.peer->ratio_min, r.peer->ratio_max), r.peer->variant});
    }
    table.add(cells);
  }
  return table.rows() > 0 ? table.text() + "\n" : "";
}

std::string operation_table(const std::vector<Row>& rows, const Ceilings& ceilings) {
  using Align = Table::Align;
  Table table({{"operator", Align::kLeft},
               {"ms"},
               {"min"},
               {"max"},
               {"GFLOP/s"},
               {"GB/s"},
               {"% of ceiling"},
               {"shape", Align::kLeft},
               {"code", Align::kLeft}});
  for (const Row& r : rows) {
    if (!r.operation) continue;
    if (!r.failure.empty()) {
      table.add({r.name, "FAIL"});
      continue;
    }
    table.add({r.name, time_text(r.timing.median()), time_text(r.timing.min()), time_text(r.timing.max()),
               number(r.gflops(), 1), number(r.gigabytes(), 1), number(r.of_ceiling(ceilings), 0), r.shape, r.note});
  }
  return table.rows() > 0 ? table.text() + "\n" : "";
}

}  // namespace

std::string number(double value, int digits) { return value > 0 ? fmt::format("{:.{}f}", value, digits) : ""; }
std::string time_text(double ms) { return fmt::format("{:.{}f}", ms, ms < 1 ? 4 : ms < 100 ? 3 : 1); }

std::string csv_line(const std::vector<std::string>& cells) {
  std::string line;
  for (const std::string& cell : cells) line += (line.empty() ? "" : ",") + csv_cell(cell);
  return line + "\n";
}

double load_average() {
  double load = 0;
  return getloadavg(&load, 1) == 1 ? load : 0;
}

RunInfo describe_run(int threads, int reps) {
  return {.version = kVersion,
          .commit = commit(),
          .cpu = cpu_name(),
          .isa = onednn::isa_name(onednn::isa()),
          .onednn = onednn::version(),
          .date = today(),
          .threads = threads,
          .reps = reps,
          .load_before = load_average()};
}

double Row::of_ceiling(const Ceilings& c) const {
  if (c.gflops <= 0 || c.gigabytes <= 0) return 0;
  return 100 * std::max(gflops() / c.gflops, gigabytes() / c.gigabytes);
}

nlohmann::ordered_json Report::json() const {
  nlohmann::ordered_json j;
  j["run"] = {{"version", info.version},
              {"commit", info.commit},
              {"cpu", info.cpu},
              {"isa", info.isa},
              {"threads", info.threads},
              {"onednn", info.onednn},
              {"pytorch", info.pytorch},
              {"date", info.date},
              {"reps", info.reps},
              {"load_before", info.load_before},
              {"load_after", info.load_after},
              {"ceiling_gflops", info.ceilings.gflops},
              {"ceiling_gigabytes_per_s", info.ceilings.gigabytes}};
  j["rows"] = nlohmann::ordered_json::array();
  for (const Row& r : rows) j["rows"].push_back(json_of(r, info.ceilings));
  j["skipped"] = skipped;
  return j;
}

std::string Report::csv() const {
  std::string text = csv_line({"commit",
                               "version",
                               "cpu",
                               "isa",
                               "threads",
                               "onednn",
                               "pytorch",
                               "name",
                               "shape",
                               "median_ms",
                               "min_ms",
                               "max_ms",
                               "gflops",
                               "gigabytes_per_s",
                               "percent_of_ceiling",
                               "memory_mib",
                               "peer_variant",
                               "peer_median_ms",
                               "ratio",
                               "peer_memory_mib",
                               "failure"});
  for (const Row& r : rows) {
    const bool timed = r.failure.empty();
    const bool peer = r.peer.has_value();
    text += csv_line({info.commit,
                      info.version,
                      info.cpu,
                      info.isa,
                      std::to_string(r.threads),
                      info.onednn,
                      info.pytorch,
                      r.name,
                      r.shape,
                      timed ? fmt::format("{:.6g}", r.timing.median()) : "",
                      timed ? fmt::format("{:.6g}", r.timing.min()) : "",
                      timed ? fmt::format("{:.6g}", r.timing.max()) : "",
                      timed ? number(r.gflops(), 3) : "",
                      timed ? number(r.gigabytes(), 3) : "",
                      timed ? number(r.of_ceiling(info.ceilings), 1) : "",
                      number(r.memory_mib, 1),
                      peer ? r.peer->variant : "",
                      peer ? fmt::format("{:.6g}", r.peer->timing.median()) : "",
                      peer ? fmt::format("{:.4f}", r.peer->ratio) : "",
                      peer ? number(r.peer->memory_mib, 1) : "",
                      r.failure});
  }
  return text;
}

std::string Report::text() const {
  std::string text = fmt::format(
      "dcasenet {} (commit {}), oneDNN {}, PyTorch {}\n{}, kernels for {}, {} threads, median of {} samples\n"
      "load {:.1f} before, {:.1f} after\n",
      info.version, info.commit, info.onednn, info.pytorch, info.cpu, info.isa, info.threads, info.reps,
      info.load_before, info.load_after);
  if (info.ceilings.gflops > 0) {
    text += fmt::format("ceilings: {:.0f} GFLOP/s (sgemm), {:.1f} GB/s (copy)\n", info.ceilings.gflops,
                        info.ceilings.gigabytes);
  }
  text += "\n" + whole_table(rows) + operation_table(rows, info.ceilings);
  std::size_t failed = 0;
  for (const Row& r : rows) {
    for (const std::string& promise : r.kept) text += fmt::format("kept    {}: {}\n", r.name, promise);
    for (const std::string& promise : r.broken) text += fmt::format("BROKEN  {}: {}\n", r.name, promise);
    if (r.failure.empty()) continue;
    ++failed;
    text += fmt::format("FAIL    {}: {}\n", r.name, r.failure);
  }
  for (const std::string& reason : skipped) text += reason + "\n";
  return text + fmt::format("{} measured, {} failed, {} skipped\n", rows.size() - failed, failed, skipped.size());
}

}  // namespace dcase::bench
