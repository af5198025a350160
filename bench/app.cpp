#include "bench/app.hpp"

#include <fmt/core.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <regex>
#include <thread>

#include "bench/case.hpp"
#include "bench/cuda/measure.hpp"
#include "bench/peer.hpp"
#include "bench/report.hpp"
#include "dcasenet/version.hpp"
#include "engine/files.hpp"
#include "kernels/common/onednn.hpp"
#include "train/cli/exit_codes.hpp"

namespace dcase::bench {
namespace {

constexpr double kWholeSampleMs = 50;
constexpr double kOperationSampleMs = 20;
// A team of OpenMP threads spins for some milliseconds after its work; the other side must not pay for it.
constexpr auto kSettle = std::chrono::milliseconds(10);

struct Options {
  std::string filter;
  int threads = 0;
  std::string device = "cpu";
  Precision precision = Precision::kFp32;
  int reps = 0;
  bool quick = false;
  bool tiny = false;
  std::string json, csv;
  std::string peer = "auto";
  bool list = false;
  bool check = false;
  std::string memory_of;
};

// Samples of each case, unless told: CPU, CUDA, and in a hurry.
constexpr int kReps = 7;
constexpr int kDeviceReps = 21;
constexpr int kQuickReps = 3;

template <class AnyCase>
std::vector<AnyCase> chosen_cases(std::vector<AnyCase> cases, const std::string& filter) {
  std::vector<AnyCase> chosen;
  try {
    const std::regex pattern(filter);
    for (AnyCase& c : cases) {
      if (std::regex_search(c.name, pattern)) chosen.push_back(std::move(c));
    }
  } catch (const std::regex_error&) {
    fail(ErrorKind::kUsage, "--filter '", filter, "' is not a regular expression");
  }
  if (chosen.empty()) fail(ErrorKind::kUsage, "no case matches --filter '", filter, "' (see --list)");
  return chosen;
}

class Runner {
 public:
  Runner(const Options& options, int threads, std::ostream& err) : options_(options), threads_(threads), err_(err) {
    report_.info = describe_run(threads, options.reps);
  }

  Report run(const std::vector<Case>& cases) {
    start_peer(cases);
    report_.info.ceilings = measure_ceilings(std::min(options_.reps, 5));
    for (const Case& c : cases) {
      err_ << fmt::format("[{}/{}] {}\n", report_.rows.size() + 1, cases.size(), c.name) << std::flush;
      report_.rows.push_back(measure(c));
    }
    report_.info.load_after = load_average();
    return std::move(report_);
  }

 private:
  void start_peer(const std::vector<Case>& cases) {
    const bool wanted = std::any_of(cases.begin(), cases.end(), [](const Case& c) { return c.peer; });
    if (options_.peer == "none" || !wanted) {
      report_.info.pytorch = "not asked";
      return;
    }
    std::string why;
    peer_ = Peer::start(threads_, onednn::isa() == onednn::Isa::kAvx512, why);
    if (peer_ == nullptr) {
      if (options_.peer == "pytorch") fail(ErrorKind::kIo, "--peer pytorch: ", why);
      report_.info.pytorch = "absent";
      report_.skipped.push_back("peer skipped: " + why);
      return;
    }
    report_.info.pytorch = peer_->version() + ", " + (peer_->blas().empty() ? "own BLAS" : peer_->blas());
  }

  Row measure(const Case& c) {
    Row row{
        .name = c.name, .shape = c.shape, .operation = c.operation, .threads = c.threads > 0 ? c.threads : threads_};
    omp_set_num_threads(row.threads);
    try {
      const Work work = c.prepare();
      row.cost = work.cost;
      row.audio_seconds = work.audio_seconds;
      row.note = work.note;
      const Sampler sampler(work.run, c.operation ? kOperationSampleMs : kWholeSampleMs);
      if (c.peer && peer_ != nullptr) {
        compare(c, sampler, row);
      } else {
        for (int i = 0; i < options_.reps; ++i) {
          if (c.operation) flush_caches();
          row.timing.samples.push_back(sampler.sample());
        }
      }
    } catch (const Mismatch& mismatch) {
      row.failure = mismatch.what();
    }
    omp_set_num_threads(threads_);
    if (row.failure.empty()) {
      if (!c.operation) row.memory_mib = own_memory(c, row.threads);
      judge(c, row);
    }
    return row;
  }

  // Own sample, then one of each of the peer's variants, again and again: whatever else the machine does meanwhile
  // falls on both sides alike.
  void compare(const Case& c, const Sampler& sampler, Row& row) {
    std::map<std::string, Timing> timings;
    const std::vector<std::string> variants = peer_->prepare(c.name, kWholeSampleMs);
    for (int i = 0; i < options_.reps; ++i) {
      std::this_thread::sleep_for(kSettle);
      row.timing.samples.push_back(sampler.sample());
      for (const std::string& variant : variants) {
        std::this_thread::sleep_for(kSettle);
        timings[variant].samples.push_back(peer_->sample(variant));
      }
    }
    PeerResult best;
    for (const auto& [variant, timing] : timings) {
      best.medians[variant] = timing.median();
      if (!best.variant.empty() && timing.median() >= best.timing.median()) continue;
      best.variant = variant;
      best.timing = timing;
    }
    std::vector<double> ratios;
    for (std::size_t i = 0; i < best.timing.samples.size(); ++i) {
      ratios.push_back(best.timing.samples[i] / row.timing.samples[i]);
    }
    best.ratio = median(ratios);
    best.ratio_min = *std::min_element(ratios.begin(), ratios.end());
    best.ratio_max = *std::max_element(ratios.begin(), ratios.end());
    best.memory_mib = peer_->memory(c.name, best.variant);
    row.peer = std::move(best);
  }

  // This program again, running nothing but the case.
  static double own_memory(const Case& c, int threads) {
    const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
    Child child({program, "--memory-of", c.name, "--threads", std::to_string(threads)}, {}, false);
    const std::string line = child.read_line(300);
    char* end = nullptr;
    const double mib = std::strtod(line.c_str(), &end);
    if (end == line.c_str()) fail(ErrorKind::kIo, "--memory-of ", c.name, " answered '", line, "'");
    return mib;
  }

  static void judge(const Case& c, Row& row) {
    const auto promise = [&row](bool kept, std::string text) {
      (kept ? row.kept : row.broken).push_back(std::move(text));
    };
    if (c.promised_speed > 0) {
      promise(row.audio_speed() >= c.promised_speed,
              fmt::format("{:.0f} times real time on one core, promised {:.0f}", row.audio_speed(), c.promised_speed));
    }
    if (!row.peer) return;
    if (c.promised_ratio > 0) {
      promise(row.peer->ratio >= c.promised_ratio,
              fmt::format("{:.2f} times as fast as PyTorch, promised {:.1f}", row.peer->ratio, c.promised_ratio));
    }
    if (c.promised_memory) {
      promise(row.memory_mib <= row.peer->memory_mib,
              fmt::format("peak memory {:.0f} MiB, PyTorch {:.0f} MiB", row.memory_mib, row.peer->memory_mib));
    }
  }

  const Options& options_;
  int threads_;
  std::ostream& err_;
  std::unique_ptr<Peer> peer_;
  Report report_;
};

int measure_memory(const std::string& name, std::ostream& out) {
  for (const Case& c : all_cases()) {
    if (c.name != name) continue;
    const Work work = c.unchecked ? c.unchecked() : c.prepare();
    for (int i = 0; i < 3; ++i) work.run();
    out << fmt::format("{:.3f}", peak_memory_mib()) << std::endl;
    return cli::kExitOk;
  }
  fail(ErrorKind::kUsage, "--memory-of: there is no case '", name, "'");
}

void list_cases(const std::vector<Case>& cases, std::ostream& out) {
  for (const Case& c : cases) out << fmt::format("{:<36}{}{}\n", c.name, c.shape, c.peer ? "  (PyTorch)" : "");
}

template <class AnyReport>
void write(const AnyReport& report, const Options& options, std::ostream& out, std::ostream& err) {
  const bool json_out = options.json == "-";
  (json_out ? err : out) << report.text();
  if (json_out) {
    out << report.json().dump(1) << "\n";
  } else if (!options.json.empty()) {
    atomic_write(options.json, report.json().dump(1) + "\n");
  }
  if (!options.csv.empty()) atomic_write(options.csv, report.csv());
}

int measure_all(const Options& options, int threads, std::ostream& out, std::ostream& err) {
  const std::vector<Case> cases = chosen_cases(all_cases(), options.filter);
  if (options.list) {
    list_cases(cases, out);
    return cli::kExitOk;
  }
  const Report report = Runner(options, threads, err).run(cases);
  write(report, options, out, err);
  for (const Row& row : report.rows) {
    if (!row.failure.empty() || (options.check && !row.broken.empty())) return cli::kExitFailed;
  }
  return cli::kExitOk;
}

int measure_device([[maybe_unused]] const Options& options, [[maybe_unused]] Device device,
                   [[maybe_unused]] std::ostream& out, [[maybe_unused]] std::ostream& err) {
  if constexpr (kHasCuda) {
    const std::vector<gpu::DeviceCase> cases = chosen_cases(gpu::device_cases(options.tiny), options.filter);
    if (options.list) {
      for (const gpu::DeviceCase& c : cases) out << fmt::format("{:<44}{}\n", c.name, c.shape);
      return cli::kExitOk;
    }
    const gpu::DeviceReport report = gpu::measure_on_device(
        cases, {.device = device, .precision = options.precision, .reps = options.reps, .tiny = options.tiny}, err);
    write(report, options, out, err);
    return report.passed() ? cli::kExitOk : cli::kExitFailed;
  }
  fail(ErrorKind::kDevice, "no CUDA in this build");
}

/// Reads the choice of device, and fills in what depends on it.
Device chosen_device(Options& options) {
  const Device device = choose_device(options.device).device;
  if (device.is_cpu()) {
    if (options.precision != Precision::kFp32) fail(ErrorKind::kUsage, "--precision: the CPU computes in fp32 alone");
    if (options.tiny) fail(ErrorKind::kUsage, "--tiny: its sizes are those of a test on an emulated CUDA device");
  }
  if (options.reps == 0) options.reps = options.quick ? kQuickReps : device.is_cpu() ? kReps : kDeviceReps;
  return device;
}

int parse_and_run(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  Options options;
  CLI::App app("Throughput of the DcaseNet engine, whole paths against PyTorch and operators one by one",
               "dcasenet-bench");
  app.add_option("--filter", options.filter, "only cases whose name this regular expression finds");
  app.add_option("--threads", options.threads, "threads to compute with, on both sides (all cores)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--device", options.device, "cpu or cuda[:N], whose kernels are then measured one by one (cpu)");
  const std::map<std::string, Precision> precisions = {
      {"fp32", Precision::kFp32}, {"tf32", Precision::kTf32}, {"bf16", Precision::kBf16}};
  app.add_option("--precision", options.precision, "of matrix products on CUDA: fp32, tf32 or bf16 (fp32)")
      ->transform(CLI::CheckedTransformer(precisions).description(""));
  app.add_option("--reps", options.reps, "samples of each case; their median counts (7; 21 on CUDA)")
      ->check(CLI::Range(1, 10000));
  app.add_flag("--quick", options.quick, "three samples of each case");
  app.add_option("--json", options.json, "write the results as JSON; - is standard output");
  app.add_option("--csv", options.csv, "write the results as CSV");
  app.add_option("--peer", options.peer,
                 "pytorch: compare, or fail; none; auto: compare where PyTorch is installed (auto)")
      ->check(CLI::IsMember({"pytorch", "none", "auto"}));
  app.add_flag("--list", options.list, "names and sizes of the cases, measuring nothing");
  app.add_flag("--check", options.check, "exit with 1 where a promise of docs/benchmarks.md is broken");
  app.add_flag("--tiny", options.tiny, "")->group("");              // all cases in a minute on an emulated device
  app.add_option("--memory-of", options.memory_of, "")->group("");  // a fresh process for one case
  app.set_help_flag("-h,--help", "this text");
  app.set_version_flag("--version", version_text, "version of the program and of what it was built with");
  app.footer(
      "Every result is compared with a reference before it is timed; one that differs is a FAIL and exit code 1.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success, out, err);
  } catch (const CLI::ParseError& error) {
    fail(ErrorKind::kUsage, error.what(), " (see dcasenet-bench --help)");
  }
  const Device device = chosen_device(options);
  if (options.threads > 0) omp_set_num_threads(options.threads);
  if (!device.is_cpu()) return measure_device(options, device, out, err);
  if (!options.memory_of.empty()) return measure_memory(options.memory_of, out);
  return measure_all(options, omp_get_max_threads(), out, err);
}

}  // namespace

int run(int argc, const char* const* argv, std::ostream& out, std::ostream& err) noexcept {
  try {
    try {
      return parse_and_run(argc, argv, out, err);
    } catch (const Error& error) {
      err << "error: " << error.what() << std::endl;
      return cli::exit_code_of(error.kind());
    } catch (const std::exception& error) {
      err << "error: " << error.what() << std::endl;
      return cli::kExitInternal;
    }
  } catch (...) {  // a stream that throws: nothing is left to report to
    return cli::kExitInternal;
  }
}

}  // namespace dcase::bench
