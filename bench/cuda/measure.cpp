#include "bench/cuda/measure.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <ostream>

#include "bench/case.hpp"
#include "bench/cuda/timing.hpp"
#include "engine/cuda/device.hpp"
#include "engine/cuda/graph.hpp"
#include "kernels/common/cuda_error.hpp"
#include "kernels/conv2d/conv2d_weight_gradient.hpp"
#include "kernels/conv_bn/conv_bn.hpp"
#include "kernels/gru/gru.hpp"
#include "kernels/mel_stft/mel_stft.hpp"
#include "kernels/resample/resample.hpp"

namespace dcase::bench::gpu {
namespace {

constexpr double kOperationSampleMs = 5;
constexpr double kWholeSampleMs = 50;

std::map<std::string, std::vector<std::string>> variant_tables() {
  const auto names = [](const auto& table) {
    std::vector<std::string> result;
    for (const auto& variant : table) result.emplace_back(variant.name);
    return result;
  };
  return {{"conv2d_forward", names(cuda::conv2d_forward_variants())},
          {"conv2d_data_gradient", names(cuda::conv2d_data_gradient_variants())},
          {"conv2d_weight_gradient", names(cuda::conv2d_weight_gradient_variants())},
          {"conv_bn_forward", names(cuda::conv_bn_forward_variants())},
          {"conv_bn_inference", names(cuda::conv_bn_inference_variants())},
          {"conv_bn_backward", names(cuda::conv_bn_backward_variants())},
          {"gru_forward", names(cuda::gru_forward_variants())},
          {"gru_backward", names(cuda::gru_backward_variants())},
          {"mel_batch", names(cuda::mel_batch_variants())},
          {"resample", names(cuda::resample_variants())}};
}

bool same_bits(const Results& a, const Results& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0);
  });
}

/// A wrong result, or memory that does not suffice, is the row's; anything else that CUDA reports ends the run, since
/// the device may be past use.
void fails_alone(DeviceRow& row, const std::function<void()>& work) {
  try {
    work();
  } catch (const CudaError& error) {
    if (error.code() != cudaErrorMemoryAllocation) throw;
    row.failure = error.what();
  } catch (const std::runtime_error& error) {
    row.failure = error.what();
  }
}

class Runner {
 public:
  Runner(const DeviceOptions& options, bool emulated) : options_(options), emulated_(emulated) {}

  /// All variants of a case.
  [[nodiscard]] std::vector<DeviceRow> measure(const DeviceCase& c) const {
    const BackendPtr backend = Backend::on(options_.device, {.precision = options_.precision});
    Meter meter(backend);
    Setting setting{.backend = backend, .context = backend->context(), .tiny = options_.tiny};
    setting.context.allocator = &meter;
    Prepared p;
    DeviceRow unprepared{.name = c.name, .variant = "all", .shape = c.shape, .cost = {}};
    fails_alone(unprepared, [&] {
      p = c.prepare(setting);
      if (p.compared) require_match("the result at a small size", p.error, p.bound);
      if (!p.compared && p.reference.empty()) {
        p.reset();
        p.candidates.back().run();
        p.reference = p.read();
      }
    });
    if (!unprepared.failure.empty()) return {unprepared};
    std::vector<DeviceRow> rows;
    for (const Candidate& candidate : p.candidates) {
      rows.push_back(measure(c, p, candidate, backend, meter));
    }
    return rows;
  }

 private:
  [[nodiscard]] DeviceRow measure(const DeviceCase& c, const Prepared& p, const Candidate& candidate,
                                  const BackendPtr& backend, Meter& meter) const {
    DeviceRow row{.name = c.name, .variant = candidate.name, .shape = c.shape, .error = p.error, .cost = p.cost};
    const auto results = [&](const std::function<void()>& run) {
      p.reset();
      run();
      return p.read();
    };
    fails_alone(row, [&] {
      meter.restart();
      const Results first = results(candidate.run);
      row.memory = c.captured ? meter.peak() : backend->memory().peak_in_use;
      if (!p.compared) {
        row.error = largest_error(first, p.reference);
        require_match("the result", row.error, p.bound);
      }
      row.deterministic = same_bits(first, results(candidate.run));
      if (c.captured) {
        // The graph before the results: nothing may be put into the stream while it is made.
        const Stream stream = backend->context().stream;
        const CudaGraph graph = CudaGraph::capture(backend->device(), stream, candidate.run);
        const Results captured = results([&] { graph.launch(stream); });
        if (!same_bits(first, captured)) {
          row.deterministic = false;
          require_match("the result of a graph", largest_error(captured, first), p.bound);
        }
      }
      if (emulated_) return;
      row.samples = c.captured ? operation_samples(candidate.run, p.cost, backend, options_.reps, kOperationSampleMs)
                               : whole_samples(candidate.run, backend, options_.reps, kWholeSampleMs);
    });
    return row;
  }

  const DeviceOptions& options_;
  bool emulated_;
};

}  // namespace

DeviceReport measure_on_device(const std::vector<DeviceCase>& cases, const DeviceOptions& options, std::ostream& err) {
  const CudaDeviceInfo device = device_info(options.device.index);
  const bool emulated = device.name.rfind("Emulated", 0) == 0;
  const RunInfo run = describe_run(0, options.reps);
  constexpr const char* kPrecisions[] = {"fp32", "tf32", "bf16"};
  DeviceReport report{.info = {.version = run.version,
                               .commit = run.commit,
                               .date = run.date,
                               .device = describe(device),
                               .precision = kPrecisions[static_cast<int>(options.precision)],
                               .emulated = emulated,
                               .reps = options.reps},
                      .tables = variant_tables(),
                      .rows = {}};
  if (!emulated) report.info.copy_gigabytes = copy_gigabytes(Backend::on(options.device));
  const Runner runner(options, emulated);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    err << fmt::format("[{}/{}] {}\n", i + 1, cases.size(), cases[i].name) << std::flush;
    for (DeviceRow& row : runner.measure(cases[i])) report.rows.push_back(std::move(row));
  }
  return report;
}

}  // namespace dcase::bench::gpu
