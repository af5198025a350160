/// Bugs of host programs, planted: the lazy mode must show each of them in some seed.

#include <array>
#include <cmath>

#include "engine/cuda/graph.hpp"
#include "engine/cuda/pinned.hpp"
#include "tests/emulator/host_fixture.hpp"

namespace dcase::test {
namespace {

enum class Bug { kNone, kNoWaitForUpload, kNoWaitForUse, kRefilledTooEarly, kReadTooEarly };

// Batches go up in a stream of their own, two buffers in turn; the sum of all stays on the device and comes back at the
// end. Returns whether the sum is right.
bool sum_of_batches(Bug bug) {
  constexpr int kBatches = 6;
  const CudaStream copy(kGpu);
  const CudaStream compute(kGpu);
  const DeviceBuffer<float> sum(1);
  const DeviceBuffer<float> batch[2] = {DeviceBuffer<float>(1), DeviceBuffer<float>(1)};
  const PinnedBuffer<float> staging[2] = {PinnedBuffer<float>(1), PinnedBuffer<float>(1)};
  const CudaEvent uploaded[2] = {CudaEvent(kGpu), CudaEvent(kGpu)};
  const CudaEvent used[2] = {CudaEvent(kGpu), CudaEvent(kGpu)};
  const PinnedBuffer<float> result(1);
  fill(compute.handle(), sum.data(), 1, 0);
  float expected = 0;
  for (int i = 0; i < kBatches; ++i) {
    const int slot = i % 2;
    if (bug != Bug::kRefilledTooEarly) uploaded[slot].synchronize();
    staging[slot][0] = static_cast<float>(1 << i);
    expected += static_cast<float>(1 << i);
    if (bug != Bug::kNoWaitForUse) copy.wait(used[slot]);
    DCASE_CUDA_CALL(
        cudaMemcpyAsync(batch[slot].data(), staging[slot].data(), 4, cudaMemcpyHostToDevice, copy.native()));
    uploaded[slot].record(copy.handle());
    if (bug != Bug::kNoWaitForUpload) compute.wait(uploaded[slot]);
    axpy(compute.handle(), sum.data(), batch[slot].data(), 1, 1);
    used[slot].record(compute.handle());
  }
  DCASE_CUDA_CALL(cudaMemcpyAsync(result.data(), sum.data(), 4, cudaMemcpyDeviceToHost, compute.native()));
  if (bug != Bug::kReadTooEarly) compute.synchronize();
  const float seen = result[0];
  DCASE_CUDA_CALL(cudaDeviceSynchronize());
  return seen == expected;
}

}  // namespace

TEST_CASE("planted: the program without a bug is right in all modes", "[planted]") {
  const FreshRuntime fresh;
  check_in_all_modes([] { return sum_of_batches(Bug::kNone); });
}

TEST_CASE("planted: missing waits, early refills and early reads give wrong results", "[planted]") {
  const FreshRuntime fresh;
  const auto seen_in = [](Bug bug) { return seeds_where([&] { return !sum_of_batches(bug); }); };
  CHECK(seen_in(Bug::kNoWaitForUpload) > 0);
  CHECK(seen_in(Bug::kNoWaitForUse) > 0);
  CHECK(seen_in(Bug::kRefilledTooEarly) > 0);
  CHECK(seen_in(Bug::kReadTooEarly) == kSeeds);  // nothing has run: NaN
}

TEST_CASE("planted: a result on the device that was never computed is NaN", "[planted]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  const DeviceBuffer<float> loss(1);
  const DeviceBuffer<float> scaled(1);
  fill(stream.handle(), scaled.data(), 1, 0);
  axpy(stream.handle(), scaled.data(), loss.data(), 1, 0.5F);
  stream.synchronize();
  CHECK(std::isnan(scaled.download()[0]));
}

TEST_CASE("planted: memory freed while a captured graph still uses it", "[planted]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  void* block = nullptr;
  DCASE_CUDA_CALL(cudaMalloc(&block, 4));
  const CudaGraph graph = CudaGraph::capture(kGpu, stream.handle(),
                                             [&] { DCASE_CUDA_CALL(cudaMemsetAsync(block, 0, 4, stream.native())); });
  DCASE_CUDA_CALL(cudaFree(block));
  graph.launch(stream.handle());
  CHECK_THROWS_AS(stream.synchronize(), CudaError);
  CHECK_THAT(fake::last_fault(), Catch::Contains("freed before"));
}

}  // namespace dcase::test
