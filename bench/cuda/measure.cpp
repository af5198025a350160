#include "bench/cuda/measure.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <ostream>

#include "bench/case.hpp"
#include "engine/array.hpp"
#include "engine/cuda/device.hpp"
#include "engine/cuda/graph.hpp"
#include "engine/cuda/stream.hpp"
#include "kernels/common/device_guard.hpp"
#include "kernels/conv2d/conv2d_weight_gradient.hpp"
#include "kernels/conv_bn/conv_bn.hpp"
#include "kernels/gru/gru.hpp"
#include "kernels/mel_stft/mel_stft.hpp"
#include "kernels/resample/resample.hpp"

namespace dcase::bench::gpu {
namespace {

constexpr double kOperationSampleMs = 5;
constexpr double kWholeSampleMs = 50;
constexpr double kMostCalls = 100;  // of a sample
constexpr std::int64_t kCopyBytes = std::int64_t{1} << 28;

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

/// Times what stands in a backend's stream.
class Clock {
 public:
  explicit Clock(BackendPtr backend)
      : backend_(std::move(backend)),
        from_(backend_->device(), CudaEvent::Timing::kOn),
        to_(backend_->device(), CudaEvent::Timing::kOn) {}

  [[nodiscard]] double milliseconds(const std::function<void()>& work) const {
    const Stream stream = backend_->context().stream;
    from_.record(stream);
    work();
    to_.record(stream);
    to_.synchronize();
    return CudaEvent::milliseconds(from_, to_);
  }
  [[nodiscard]] CudaGraph capture(const std::function<void()>& work) const {
    return CudaGraph::capture(backend_->device(), backend_->context().stream, work);
  }
  [[nodiscard]] double milliseconds(const CudaGraph& graph) const {
    return milliseconds([&] { graph.launch(backend_->context().stream); });
  }

 private:
  BackendPtr backend_;
  CudaEvent from_, to_;
};

/// Memory that is written to evict what the second-level cache holds.
class CacheFlush {
 public:
  explicit CacheFlush(const BackendPtr& backend) : backend_(backend) {
    const DeviceGuard guard(backend->device().index);
    DCASE_CUDA_CALL(cudaDeviceGetAttribute(&cache_bytes_, cudaDevAttrL2CacheSize, backend->device().index));
    memory_ = Array<std::byte>(std::int64_t{2} * cache_bytes_, backend);
  }
  /// Whether operands of so many bytes would stay in the cache from call to call.
  [[nodiscard]] bool needed(double bytes) const { return bytes < cache_bytes_; }
  void operator()() const {
    DCASE_CUDA_CALL(cudaMemsetAsync(memory_.view().data, 0, static_cast<std::size_t>(memory_.size()),
                                    static_cast<cudaStream_t>(backend_->context().stream.handle)));
  }

 private:
  BackendPtr backend_;
  int cache_bytes_ = 0;
  Array<std::byte> memory_;
};

int calls_of_sample(double call_ms, double sample_ms) {
  return static_cast<int>(std::clamp(std::ceil(sample_ms / std::max(call_ms, 1e-6)), 1.0, kMostCalls));
}

/// Samples of an operator: graphs of many calls, so that the host's time for a call does not count. Where operands fit
/// the cache each call follows a flush, whose own time, from a graph of flushes alone, is taken off.
std::vector<double> operation_samples(const std::function<void()>& call, const Cost& cost, const Clock& clock,
                                      const CacheFlush& flush, int reps) {
  const int calls = calls_of_sample(clock.milliseconds(call), kOperationSampleMs);
  const bool cold = flush.needed(cost.bytes);
  const CudaGraph work = clock.capture([&] {
    for (int i = 0; i < calls; ++i) {
      if (cold) flush();
      call();
    }
  });
  std::optional<CudaGraph> flushes;
  if (cold) {
    flushes = clock.capture([&] {
      for (int i = 0; i < calls; ++i) flush();
    });
    (void)clock.milliseconds(*flushes);
  }
  (void)clock.milliseconds(work);
  std::vector<double> samples;
  for (int i = 0; i < reps; ++i) {
    const double without = cold ? clock.milliseconds(*flushes) : 0;
    samples.push_back((clock.milliseconds(work) - without) / calls);
  }
  return samples;
}

std::vector<double> whole_samples(const std::function<void()>& call, const Clock& clock, int reps) {
  const int calls = calls_of_sample(clock.milliseconds(call), kWholeSampleMs);
  std::vector<double> samples;
  for (int i = 0; i < reps; ++i) {
    samples.push_back(clock.milliseconds([&] {
      for (int k = 0; k < calls; ++k) call();
    }) / calls);
  }
  return samples;
}

/// Bytes read and written a second by the device's own copy, in units of 1e9.
double copy_gigabytes(const BackendPtr& backend) {
  const Array<std::byte> from(kCopyBytes, backend);
  const Array<std::byte> to(kCopyBytes, backend);
  const Clock clock(backend);
  const auto copy = [&] { backend->copy(to.view().data, from.view().data, static_cast<std::size_t>(kCopyBytes)); };
  double best = clock.milliseconds(copy);
  for (int i = 0; i < 20; ++i) best = std::min(best, clock.milliseconds(copy));
  return 2 * static_cast<double>(kCopyBytes) / best / 1e6;
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
    std::vector<DeviceRow> rows;
    Prepared p;
    try {
      p = c.prepare(setting);
      if (p.compared) require_match("the result at a small size", p.error, p.bound);
    } catch (const Mismatch& mismatch) {
      return {{.name = c.name, .variant = "product", .shape = c.shape, .failure = mismatch.what(), .cost = {}}};
    }
    if (!p.compared && p.reference.empty()) {
      p.reset();
      p.candidates.back().run();
      p.reference = p.read();
    }
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
    try {
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
        const Clock clock(backend);
        const CudaGraph graph = clock.capture(candidate.run);
        const Results captured = results([&] { graph.launch(backend->context().stream); });
        if (!same_bits(first, captured)) {
          row.deterministic = false;
          require_match("the result of a graph", largest_error(captured, first), p.bound);
        }
      }
      if (!emulated_) row.samples = samples(c, p, candidate, backend);
    } catch (const Mismatch& mismatch) {
      row.failure = mismatch.what();
    }
    return row;
  }

  [[nodiscard]] std::vector<double> samples(const DeviceCase& c, const Prepared& p, const Candidate& candidate,
                                            const BackendPtr& backend) const {
    const Clock clock(backend);
    if (!c.captured) return whole_samples(candidate.run, clock, options_.reps);
    return operation_samples(candidate.run, p.cost, clock, CacheFlush(backend), options_.reps);
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
