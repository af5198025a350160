#include "bench/measure.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <string>

#include "bench/inputs.hpp"
#include "kernels/common/parallel.hpp"
#include "kernels/gemm/gemm.hpp"

namespace dcase::bench {
namespace {

constexpr int kMaxCalls = 10000;
constexpr std::int64_t kCopyFloats = std::int64_t{1} << 24U;  // 64 MiB: beyond the third-level cache of a core's share

double milliseconds(const std::function<void()>& call, int calls) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; ++i) call();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count() / calls;
}

double best(const std::function<void()>& call, int samples) {
  const Sampler sampler(call, 20);
  double ms = sampler.sample();
  for (int i = 1; i < samples; ++i) ms = std::min(ms, sampler.sample());
  return ms;
}

}  // namespace

double median(std::vector<double> values) {
  DCASE_CHECK(!values.empty(), "median of nothing");
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double Timing::median() const { return bench::median(samples); }
double Timing::min() const { return *std::min_element(samples.begin(), samples.end()); }
double Timing::max() const { return *std::max_element(samples.begin(), samples.end()); }

Sampler::Sampler(std::function<void()> call, double sample_ms) : call_(std::move(call)) {
  double one = milliseconds(call_, 1);
  if (one < sample_ms) one = std::min(one, milliseconds(call_, 2));
  calls_ = static_cast<int>(std::clamp(std::ceil(sample_ms / std::max(one, 1e-6)), 1.0, double{kMaxCalls}));
}

double Sampler::sample() const { return milliseconds(call_, calls_); }

void flush_caches() {
  static std::vector<float> memory(static_cast<std::size_t>(kCopyFloats));
  for_chunks(kCopyFloats, kChunkElements, [](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) memory[static_cast<std::size_t>(i)] += 1;
  });
}

Ceilings measure_ceilings(int samples) {
  const BackendPtr backend = Backend::cpu();
  constexpr std::int64_t kSize = 1024;
  const Tensor a = random_tensor("a", {kSize, kSize}, backend);
  const Tensor b = random_tensor("b", {kSize, kSize}, backend);
  const Tensor c({kSize, kSize}, backend);
  const Gemm<float> product{.a = a, .b = b, .c = c};
  const double product_ms = best([&] { gemm(product, backend->context()); }, samples);

  const Tensor from = Tensor::filled({kCopyFloats}, 1, backend);
  const Tensor to = Tensor::filled({kCopyFloats}, 0, backend);
  const double copy_ms = best(
      [&] {
        for_chunks(kCopyFloats, kChunkElements, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
          std::memcpy(to.data() + begin, from.data() + begin, static_cast<std::size_t>(end - begin) * sizeof(float));
        });
      },
      samples);
  return {.gflops = cost(product).flops / product_ms / 1e6,
          .gigabytes = 2.0 * static_cast<double>(kCopyFloats) * sizeof(float) / copy_ms / 1e6};
}

double peak_memory_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib / 1024;
  }
  fail(ErrorKind::kIo, "/proc/self/status does not say the peak memory");
}

}  // namespace dcase::bench
