#include "bench/cuda/timing.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "engine/array.hpp"
#include "engine/cuda/graph.hpp"
#include "engine/cuda/stream.hpp"
#include "kernels/common/device_guard.hpp"

namespace dcase::bench::gpu {
namespace {

constexpr double kMostCalls = 100;  // of a sample
constexpr std::int64_t kCopyBytes = std::int64_t{1} << 28;

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

}  // namespace

std::vector<double> operation_samples(const std::function<void()>& call, const Cost& cost, const BackendPtr& backend,
                                      int reps, double sample_ms) {
  const Clock clock(backend);
  const CacheFlush flush(backend);
  const int calls = calls_of_sample(clock.milliseconds(call), sample_ms);
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

std::vector<double> whole_samples(const std::function<void()>& call, const BackendPtr& backend, int reps,
                                  double sample_ms) {
  const Clock clock(backend);
  const int calls = calls_of_sample(clock.milliseconds(call), sample_ms);
  std::vector<double> samples;
  for (int i = 0; i < reps; ++i) {
    samples.push_back(clock.milliseconds([&] {
      for (int k = 0; k < calls; ++k) call();
    }) / calls);
  }
  return samples;
}

double copy_gigabytes(const BackendPtr& backend) {
  const Array<std::byte> from(kCopyBytes, backend);
  const Array<std::byte> to(kCopyBytes, backend);
  const Clock clock(backend);
  const auto copy = [&] { backend->copy(to.view().data, from.view().data, static_cast<std::size_t>(kCopyBytes)); };
  double best = clock.milliseconds(copy);
  for (int i = 0; i < 20; ++i) best = std::min(best, clock.milliseconds(copy));
  return 2 * static_cast<double>(kCopyBytes) / best / 1e6;
}

}  // namespace dcase::bench::gpu
