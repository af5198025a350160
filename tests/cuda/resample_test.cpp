// Resampling on the emulated device: both kernels against the definition, the stored signal, tails and errors.

#include <cmath>
#include <numbers>
#include <set>
#include <string>
#include <vector>

#include "engine/archive.hpp"
#include "kernels/resample/resample.hpp"
#include "kernels/resample/resample_tile.cuh"
#include "tests/cuda/cuda_context.hpp"

namespace dcase::test {

namespace {

/// The definition, term by term.
double resampled_at(const float* x, std::int64_t S, int in, int out, std::int64_t m) {
  const double pi = std::numbers::pi;
  const double fc = 0.99 * 0.5 * std::min(in, out);
  const double w = 6 / (2 * fc);
  const double centre = static_cast<double>(m) * in / out;
  double y = 0;
  for (auto n = static_cast<std::int64_t>(centre - w * in) - 1; n <= static_cast<std::int64_t>(centre + w * in) + 1;
       ++n) {
    const double t = (static_cast<double>(n) - centre) / in;
    if (n < 0 || n >= S || std::abs(t) >= w) continue;
    const double h = std::abs(t) * in < 1e-9
                         ? 2 * fc / in
                         : 0.5 * (1 + std::cos(2 * pi * fc / 6 * t)) * std::sin(2 * pi * fc * t) / (pi * t) / in;
    y += h * static_cast<double>(x[n]);
  }
  return y;
}

/// N signals of S samples by each kernel that takes the filter. Returns how many did.
int compare(int in, int out, std::int64_t N, std::int64_t S) {
  const CudaContext context;
  const ResampleFilter filter(in, out);
  const std::int64_t outputs = resampled_length(S, in, out);
  Buffer<float> x({N, S});
  x.fill_uniform("resample noise");
  Buffer<double> expected({N, outputs});
  for (std::int64_t n = 0; n < N; ++n)
    for (std::int64_t m = 0; m < outputs; ++m)
      expected[n * outputs + m] = resampled_at(x.view().data + n * S, S, in, out, m);
  const OnDevice device_x(x.view(), 1);
  int kernels = 0;
  for (const auto& variant : cuda::resample_variants()) {
    Buffer<float> y({N, outputs});
    const OnDevice device_y(y.view(), 1);
    const ResampleForward a{.x = device_x.view(), .y = device_y.view()};
    if (!variant.takes({a, filter}, context)) continue;
    ++kernels;
    variant.run({a, filter}, context);
    device_y.download(y.view());
    // Sums of 24 products in float: worst 3.0e-7.
    check_close(concat(variant.name, ", ", in, " to ", out, " Hz, S ", S), y.view(), expected.view(), 1e-6, 0);
  }
  return kernels;
}

}  // namespace

TEST_CASE("cuda resample: both kernels follow the definition", "[cuda][resample]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    CHECK(compare(4, 3, 2, 131) == 2);  // periods of 3 and 4, taken eleven at a time
    CHECK(compare(3, 5, 1, 41) == 2);
  });
  CHECK(compare(44100, 24000, 2, 10001) == 2);  // a tile of 64 periods is 9408 samples
  CHECK(compare(44100, 24000, 3, 1) == 2);
  CHECK(compare(22050, 24000, 1, 2500) == 2);
  CHECK(compare(48000, 24000, 1, 4300) == 2);
  CHECK(compare(8000, 24000, 1, 1500) == 2);
  CHECK(compare(24000, 44100, 1, 700) == 2);
  CHECK(compare(192000, 24000, 1, 3000) == 2);
  CHECK(compare(44101, 24000, 1, 900) == 1);  // periods of 24000 outputs: the simple kernel alone
}

TEST_CASE("cuda resample: the stored 44.1 to 24 kHz signal", "[cuda][resample]") {
  const FreshRuntime fresh;
  const Archive archive = Archive::open(golden("mel.safetensors"));
  const std::vector<std::int64_t> pcm = archive.integers("resample.pcm16_44k");
  const std::vector<float> expected = archive.floats("resample.out24k");
  const auto S = static_cast<std::int64_t>(pcm.size());
  const auto outputs = static_cast<std::int64_t>(expected.size());
  Buffer<float> x({1, S});
  for (std::int64_t i = 0; i < S; ++i) x[i] = static_cast<float>(pcm[static_cast<std::size_t>(i)]) / 32768;
  Buffer<float> y({1, outputs});
  const CudaContext context;
  const ResampleFilter filter(44100, 24000);
  const OnDevice device_x(x.view());
  const OnDevice device_y(y.view());
  resample_forward({.x = device_x.view(), .y = device_y.view()}, filter, context);
  device_y.download(y.view());
  check_close("24 kHz", y.view(), View<const float>(expected.data(), {1, outputs}), 2e-6, 0);
}

TEST_CASE("cuda resample: equal rates, nothing to do, wrong arguments", "[cuda][resample]") {
  const FreshRuntime fresh;
  const CudaContext context;
  Buffer<float> x({2, 5});
  x.fill_uniform("x");
  Buffer<float> y({2, 5});
  const OnDevice device_x(x.view());
  const OnDevice device_y(y.view());
  const ResampleFilter same(24000, 24000);
  resample_forward({.x = device_x.view(), .y = device_y.view()}, same, context);
  device_y.download(y.view());
  CHECK(std::equal(x.view().data, x.view().data + 10, y.view().data));

  const ResampleFilter filter(44100, 24000);
  float* const p = device_y.view().data;
  CHECK_NOTHROW(resample_forward({.x = View<const float>(p, {2, 0}), .y = View<float>(p, {2, 0})}, filter, context));
  CHECK_NOTHROW(resample_forward({.x = View<const float>(p, {0, 7}), .y = View<float>(p, {0, 4})}, filter, context));
  CHECK_THROWS_WITH(resample_forward({.x = device_x.view(), .y = device_y.view()}, filter, context),
                    "resample_forward: y has shape [2,5], expected [2,3]");
  CHECK_THROWS_WITH(resample_forward({.x = View<const float>(p, {5}), .y = device_y.view()}, filter, context),
                    "resample_forward: x has shape [5], expected [N,S]");
  const ResampleFilter primes(1000003, 999983);
  CHECK_THROWS_WITH(resample_forward({.x = device_x.view(), .y = device_y.view()}, primes, context),
                    "resample_forward: the filter from 1000003 to 999983 Hz has too many phases for a table");
  const CpuContext cpu;
  CHECK_THROWS_WITH(resample_forward({.x = x.view(), .y = y.view()}, same, cpu),
                    "resample_forward: no backend for device cpu");
}

TEST_CASE("cuda resample: from 44.1 kHz no two lanes of an access share a bank", "[cuda][resample]") {
  std::set<int> inputs;
  std::set<int> outputs;
  for (int lane = 0; lane < 32; ++lane) {
    inputs.insert(cuda::resample_input_address(lane, 147) % 32);
    outputs.insert(cuda::resample_output_address(lane, 0, 80) % 32);
  }
  CHECK(inputs.size() == 32);
  CHECK(outputs.size() == 32);
}

}  // namespace dcase::test
