#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>

#include "engine/cuda/pinned.hpp"
#include "tests/emulator/device.hpp"
#include "tests/emulator/grid.hpp"
#include "tests/emulator/host_fixture.hpp"

namespace dcase::test {
namespace {

void overrun_kernel(float* y, int n) { y[n] = 1; }
void faulty_kernel() { emulator::fault("planted", {__FILE__, __LINE__}); }

}  // namespace

TEST_CASE("fake cuda: device memory starts as NaN, and the host cannot touch it", "[fake]") {
  const FreshRuntime fresh;
  const DeviceBuffer<float> x(3);
  CHECK(reinterpret_cast<std::uintptr_t>(x.data()) % 256 == 0);
  const CudaStream stream(kGpu);
  const DeviceBuffer<float> sum(3);
  fill(stream.handle(), sum.data(), 3, 1);
  axpy(stream.handle(), sum.data(), x.data(), 2, 1);
  stream.synchronize();
  const std::vector<float> values = sum.download();
  CHECK(std::isnan(values[0]));
  CHECK(std::isnan(values[1]));
  CHECK(values[2] == 1);

  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    volatile float* host = x.data();
    _exit(host[0] == 0 ? 1 : 2);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGSEGV);
}

TEST_CASE("fake cuda: copies have a size and a direction", "[fake]") {
  const FreshRuntime fresh;
  const DeviceBuffer<float> x(4);
  const DeviceBuffer<float> y(4);
  const PinnedBuffer<float> pinned(4);
  std::vector<float> host(8, 1);
  CHECK(cudaMemcpy(x.data(), host.data(), 20, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK_THAT(fake::last_refusal(), Catch::Contains("20 bytes") && Catch::Contains("16"));
  CHECK(cudaMemcpy(x.data() + 1, host.data(), 16, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(host.data(), x.data(), 20, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(pinned.data() + 2, x.data(), 16, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  CHECK(cudaMemset(x.data() + 3, 0, 8) == cudaErrorInvalidValue);
  CHECK(cudaMemset(host.data(), 0, 8) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(x.data(), host.data(), 16, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(x.data(), y.data(), 16, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(x.data(), host.data(), 16, cudaMemcpyDeviceToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(nullptr, host.data(), 16, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);

  CHECK(cudaMemcpy(x.data(), host.data(), 0, cudaMemcpyHostToDevice) == cudaSuccess);
  CHECK(cudaMemcpy(x.data(), host.data(), 16, cudaMemcpyDefault) == cudaSuccess);
  CHECK(cudaMemset(x.data() + 1, 0, 4) == cudaSuccess);
  CHECK(cudaMemcpy(y.data(), x.data(), 16, cudaMemcpyDeviceToDevice) == cudaSuccess);
  CHECK(y.download() == std::vector<float>{1, 0, 1, 1});
}

TEST_CASE("fake cuda: pageable sources are taken at the call, pinned ones when the copy runs", "[fake]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  const DeviceBuffer<float> x(2);
  std::vector<float> pageable(1, 1);
  const PinnedBuffer<float> pinned(1);
  pinned[0] = 1;
  DCASE_CUDA_CALL(cudaMemcpyAsync(x.data(), pageable.data(), 4, cudaMemcpyHostToDevice, stream.native()));
  DCASE_CUDA_CALL(cudaMemcpyAsync(x.data() + 1, pinned.data(), 4, cudaMemcpyHostToDevice, stream.native()));
  pageable[0] = 2;
  pinned[0] = 2;
  stream.synchronize();
  CHECK(x.download() == std::vector<float>{1, 2});
}

TEST_CASE("fake cuda: the memory limit", "[fake]") {
  const FreshRuntime fresh;
  fake::set_memory_limit(1000);
  const DeviceBuffer<char> x(600);
  std::size_t free = 0;
  std::size_t total = 0;
  CHECK(cudaMemGetInfo(&free, &total) == cudaSuccess);
  CHECK(free == 400);
  CHECK(total == 1000);
  void* block = nullptr;
  CHECK(cudaMalloc(&block, 401) == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation);
  CHECK(cudaMalloc(&block, 400) == cudaSuccess);
  CHECK(cudaFree(block) == cudaSuccess);
}

TEST_CASE("fake cuda: frees are checked and leaks are counted", "[fake]") {
  const FreshRuntime fresh;
  void* block = nullptr;
  void* pinned = nullptr;
  REQUIRE(cudaMalloc(&block, 10) == cudaSuccess);
  REQUIRE(cudaMallocHost(&pinned, 20) == cudaSuccess);
  CHECK(fake::counters().device_blocks == 1);
  CHECK(fake::counters().device_bytes == 10);
  CHECK(fake::counters().pinned_blocks == 1);
  CHECK(fake::counters().pinned_bytes == 20);
  int on_stack = 0;
  CHECK(cudaFree(&on_stack) == cudaErrorInvalidValue);
  CHECK(cudaFree(static_cast<char*>(block) + 4) == cudaErrorInvalidValue);
  CHECK(cudaFree(pinned) == cudaErrorInvalidValue);
  CHECK(cudaFreeHost(block) == cudaErrorInvalidValue);
  CHECK(cudaFree(nullptr) == cudaSuccess);
  CHECK(cudaFree(block) == cudaSuccess);
  CHECK(cudaFree(block) == cudaErrorInvalidValue);
  CHECK_THAT(fake::last_refusal(), Catch::Contains("freed before"));
  CHECK(cudaFreeHost(pinned) == cudaSuccess);
  CHECK(cudaFreeHost(pinned) == cudaErrorInvalidValue);
  CHECK(cudaMemset(block, 0, 4) == cudaErrorInvalidValue);  // used after it was freed
  CHECK(fake::counters().device_blocks == 0);
  CHECK(fake::counters().device_bytes == 0);
  CHECK(fake::counters().pinned_blocks == 0);
}

TEST_CASE("fake cuda: pointers know what they point to", "[fake]") {
  const FreshRuntime fresh;
  const DeviceBuffer<float> x(4);
  const PinnedBuffer<float> pinned(4);
  const float plain = 0;
  cudaPointerAttributes attributes = {};
  CHECK(cudaPointerGetAttributes(&attributes, x.data() + 1) == cudaSuccess);
  CHECK(attributes.type == cudaMemoryTypeDevice);
  CHECK(attributes.hostPointer == nullptr);
  CHECK(cudaPointerGetAttributes(&attributes, pinned.data()) == cudaSuccess);
  CHECK(attributes.type == cudaMemoryTypeHost);
  CHECK(cudaPointerGetAttributes(&attributes, &plain) == cudaSuccess);
  CHECK(attributes.type == cudaMemoryTypeUnregistered);
}

TEST_CASE("fake cuda: memory in stream order", "[fake]") {
  const FreshRuntime fresh;
  // Another stream uses the block without waiting for its allocation or ahead of its release.
  const auto shared_block = [](bool wait_for_allocation, bool wait_for_use) {
    const CudaStream owner(kGpu);
    const CudaStream user(kGpu);
    const CudaEvent allocated(kGpu);
    const CudaEvent used(kGpu);
    void* block = nullptr;
    DCASE_CUDA_CALL(cudaMallocAsync(&block, 16, owner.native()));
    allocated.record(owner.handle());
    if (wait_for_allocation) user.wait(allocated);
    DCASE_CUDA_CALL(cudaMemsetAsync(block, 0, 16, user.native()));
    used.record(user.handle());
    if (wait_for_use) owner.wait(used);
    DCASE_CUDA_CALL(cudaFreeAsync(block, owner.native()));
    const bool right = cudaDeviceSynchronize() == cudaSuccess;
    return right && fake::counters().device_blocks == 0;
  };
  check_in_all_modes([&] { return shared_block(true, true); });
  CHECK(seeds_where([&] { return !shared_block(false, true); }) > 0);
  CHECK(seeds_where([&] { return !shared_block(true, false); }) > 0);

  const CudaStream stream(kGpu);
  void* block = nullptr;
  DCASE_CUDA_CALL(cudaMallocAsync(&block, 16, stream.native()));
  DCASE_CUDA_CALL(cudaFreeAsync(block, stream.native()));
  DCASE_CUDA_CALL(cudaFreeAsync(block, stream.native()));  // twice: seen when it runs
  CHECK_THROWS_AS(stream.synchronize(), CudaError);
  CHECK_THAT(fake::last_fault(), Catch::Contains("freed before"));
}

TEST_CASE("fake cuda: bytes written outside of a block are found, and the error stays", "[fake]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  const DeviceBuffer<float> x(5);
  launch(overrun_kernel, {.grid = 1, .block = 1, .stream = stream.handle(), .name = "overrun"}, x.data(), 5);
  CHECK(cudaStreamSynchronize(stream.native()) != cudaSuccess);
  CHECK_THAT(fake::last_fault(), Catch::Contains("overrun"));
  const cudaError_t sticky = cudaGetLastError();
  CHECK(sticky != cudaSuccess);
  CHECK(cudaGetLastError() == sticky);
  void* block = nullptr;
  CHECK(cudaMalloc(&block, 4) == sticky);
  CHECK_THROWS_AS(fill(stream.handle(), x.data(), 5, 1), CudaError);
  CHECK(cudaDeviceReset() == cudaSuccess);
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK(cudaMalloc(&block, 4) == cudaSuccess);
  CHECK(cudaFree(block) == cudaSuccess);
}

TEST_CASE("fake cuda: in eager mode a fault appears at the launch", "[fake]") {
  const FreshRuntime fresh;
  fake::set_eager();
  const CudaStream stream(kGpu);
  CHECK_THROWS_WITH(launch(faulty_kernel, {.grid = 1, .block = 1, .stream = stream.handle(), .name = "faulty"}),
                    Catch::Contains("faulty") && Catch::Contains("cudaErrorLaunchFailure"));
}

TEST_CASE("fake cuda: bytes that nothing has written do not reach the host where accesses are checked", "[fake]") {
  const FreshRuntime fresh;
  const DeviceBuffer<float> x(4);
  const DeviceBuffer<float> y(4);
  DCASE_CUDA_CALL(cudaMemset(x.data() + 1, 0, 8));
  DCASE_CUDA_CALL(cudaMemcpy(y.data(), x.data(), 16, cudaMemcpyDeviceToDevice));
  std::vector<float> host(4);
  CHECK(cudaMemcpy(host.data(), y.data() + 1, 8, cudaMemcpyDeviceToHost) == cudaSuccess);
  const bool checked = !emulator::is_written(x.data(), 4);
  const cudaError_t code = cudaMemcpy(host.data(), y.data(), 16, cudaMemcpyDeviceToHost);
  CHECK(code == (checked ? cudaErrorIllegalAddress : cudaSuccess));
  CHECK(fake::last_fault().empty() != checked);
}

TEST_CASE("fake cuda: freed memory reads as NaN, and much of it is given back", "[fake]") {
  const FreshRuntime fresh;
  constexpr std::size_t kLarge = 40 << 20;
  for (int i = 0; i < 3; ++i) {
    void* large = nullptr;
    REQUIRE(cudaMalloc(&large, kLarge) == cudaSuccess);
    REQUIRE(cudaFree(large) == cudaSuccess);
  }
  CHECK(fake::counters().device_bytes == 0);
  CHECK(cudaDeviceSynchronize() == cudaSuccess);
}

TEST_CASE("fake cuda: a kernel's fault is the sticky error, with its text", "[fake]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  const DeviceBuffer<float> x(1);
  launch(faulty_kernel, {.grid = 1, .block = 1, .stream = stream.handle(), .name = "faulty"});
  fill(stream.handle(), x.data(), 1, 1);
  CHECK(fake::last_fault().empty());
  CHECK(cudaStreamSynchronize(stream.native()) == cudaErrorLaunchFailure);
  CHECK_THAT(fake::last_fault(), Catch::Contains("planted"));
  CHECK(fake::counters().kernels == 0);
  CHECK(fake::counters().pending == 0);
  CHECK_THROWS_AS(stream.synchronize(), CudaError);
}

}  // namespace dcase::test
