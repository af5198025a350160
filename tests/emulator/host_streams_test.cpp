#include "tests/emulator/host_fixture.hpp"

namespace dcase::test {

TEST_CASE("fake cuda: operations run when something synchronises, or at once in eager mode", "[fake]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  const DeviceBuffer<float> x(4);
  fill(stream.handle(), x.data(), 4, 1);
  fill(stream.handle(), x.data(), 4, 2);
  CHECK(fake::counters().operations == 0);
  CHECK(fake::counters().pending == 2);
  stream.synchronize();
  CHECK(fake::counters().operations == 2);
  CHECK(fake::counters().kernels == 2);
  CHECK(fake::counters().pending == 0);
  fill(stream.handle(), x.data(), 4, 3);
  fake::set_eager();
  CHECK(fake::counters().operations == 3);
  fill(stream.handle(), x.data(), 4, 4);
  CHECK(fake::counters().operations == 4);
  CHECK(x.download() == std::vector<float>(4, 4));
}

TEST_CASE("fake cuda: a stream keeps its order, two streams only what events say", "[fake]") {
  const FreshRuntime fresh;
  const auto two_streams = [](bool wait) {
    const CudaStream first(kGpu);
    const CudaStream second(kGpu);
    const CudaEvent filled(kGpu);
    const DeviceBuffer<float> x(4);
    const DeviceBuffer<float> y(4);
    fill(first.handle(), x.data(), 4, 5);
    axpy(first.handle(), x.data(), x.data(), 4, 1);
    filled.record(first.handle());
    fill(second.handle(), y.data(), 4, 1);
    if (wait) second.wait(filled);
    axpy(second.handle(), y.data(), x.data(), 4, 1);
    second.synchronize();
    return y.download() == std::vector<float>(4, 11);
  };
  check_in_all_modes([&] { return two_streams(true); });
  const int wrong = seeds_where([&] { return !two_streams(false); });
  CHECK(wrong > 0);
  CHECK(wrong < kSeeds);  // some seeds hide the bug: several are needed
}

TEST_CASE("fake cuda: a wait means the event's record at the time of the call", "[fake]") {
  const FreshRuntime fresh;
  int left_behind = 0;
  const int wrong = seeds_where([&] {
    const CudaStream first(kGpu);
    const CudaStream second(kGpu);
    const CudaEvent event(kGpu);
    const DeviceBuffer<float> x(1);
    const DeviceBuffer<float> y(1);
    second.wait(event);  // never recorded: nothing to wait for
    fill(first.handle(), x.data(), 1, 1);
    event.record(first.handle());
    second.wait(event);
    fill(first.handle(), y.data(), 1, 1);
    event.record(first.handle());  // does not move the wait
    axpy(second.handle(), x.data(), x.data(), 1, 1);
    second.synchronize();
    if (fake::counters().pending == 1) ++left_behind;
    return x.download() != std::vector<float>(1, 2);
  });
  CHECK(wrong == 0);
  CHECK(left_behind > 0);
}

TEST_CASE("fake cuda: queries answer without blocking, and a loop of them ends", "[fake]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  const CudaEvent event(kGpu);
  CHECK(event.reached());
  CHECK(stream.idle());
  const DeviceBuffer<float> x(1);
  for (int i = 0; i < 20; ++i) fill(stream.handle(), x.data(), 1, 1);
  event.record(stream.handle());
  int asked = 0;
  while (!event.reached()) ++asked;
  CHECK(asked >= 10);
  CHECK(stream.idle());
  CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("fake cuda: time is counted in operations", "[fake]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  const CudaEvent from(kGpu, CudaEvent::Timing::kOn);
  const CudaEvent to(kGpu, CudaEvent::Timing::kOn);
  const CudaEvent without(kGpu);
  const DeviceBuffer<float> x(1);
  from.record(stream.handle());
  for (int i = 0; i < 9; ++i) fill(stream.handle(), x.data(), 1, 1);
  to.record(stream.handle());
  float milliseconds = 0;
  CHECK(cudaEventElapsedTime(&milliseconds, from.native(), to.native()) == cudaErrorNotReady);
  to.synchronize();
  CHECK(CudaEvent::milliseconds(from, to) == Approx(0.010));
  without.record(stream.handle());
  without.synchronize();
  CHECK_THROWS_AS(CudaEvent::milliseconds(from, without), CudaError);
}

TEST_CASE("fake cuda: the default stream waits for blocking streams, and they for it", "[fake]") {
  const FreshRuntime fresh;
  const auto through_default = [](unsigned flags) {
    cudaStream_t stream = nullptr;
    DCASE_CUDA_CALL(cudaStreamCreateWithFlags(&stream, flags));
    const DeviceBuffer<float> x(1);
    fill({stream}, x.data(), 1, 1);
    axpy({nullptr}, x.data(), x.data(), 1, 1);
    axpy({stream}, x.data(), x.data(), 1, 1);
    DCASE_CUDA_CALL(cudaDeviceSynchronize());
    const bool right = x.download() == std::vector<float>(1, 4);
    DCASE_CUDA_CALL(cudaStreamDestroy(stream));
    return right;
  };
  check_in_all_modes([&] { return through_default(cudaStreamDefault); });
  CHECK(seeds_where([&] { return !through_default(cudaStreamNonBlocking); }) > 0);
}

TEST_CASE("fake cuda: host functions run in their stream and may call nothing of CUDA", "[fake]") {
  const FreshRuntime fresh;
  struct Seen {
    int order = 0;
    cudaError_t code = cudaSuccess;
  };
  const CudaStream stream(kGpu);
  Seen seen;
  const auto note = [](void* data) {
    auto& s = *static_cast<Seen*>(data);
    ++s.order;
    void* block = nullptr;
    s.code = cudaMalloc(&block, 4);
  };
  DCASE_CUDA_CALL(cudaLaunchHostFunc(stream.native(), note, &seen));
  CHECK(seen.order == 0);
  stream.synchronize();
  CHECK(seen.order == 1);
  CHECK(seen.code == cudaErrorNotPermitted);
}

TEST_CASE("fake cuda: handles that do not exist are refused", "[fake]") {
  const FreshRuntime fresh;
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  REQUIRE(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, -1) == cudaSuccess);
  REQUIRE(cudaEventCreate(&event) == cudaSuccess);
  int priority = 0;
  unsigned flags = 0;
  CHECK(cudaStreamGetPriority(stream, &priority) == cudaSuccess);
  CHECK(priority == -1);
  CHECK(cudaStreamGetFlags(stream, &flags) == cudaSuccess);
  CHECK(flags == cudaStreamNonBlocking);
  CHECK(fake::counters().streams == 1);
  CHECK(fake::counters().events == 1);
  CHECK(cudaEventDestroy(event) == cudaSuccess);
  CHECK(cudaStreamDestroy(stream) == cudaSuccess);
  CHECK(cudaStreamSynchronize(stream) == cudaErrorInvalidResourceHandle);
  CHECK(cudaStreamDestroy(stream) == cudaErrorInvalidResourceHandle);
  CHECK(cudaEventDestroy(event) == cudaErrorInvalidResourceHandle);
  CHECK(cudaEventRecord(event, nullptr) == cudaErrorInvalidResourceHandle);
  CHECK(cudaPeekAtLastError() == cudaErrorInvalidResourceHandle);
  CHECK(cudaGetLastError() == cudaErrorInvalidResourceHandle);
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK(fake::counters().streams == 0);
  CHECK(fake::counters().events == 0);
}

TEST_CASE("fake cuda: launches that a device would refuse", "[fake]") {
  const FreshRuntime fresh;
  fake::set_device_count(2);
  const CudaStream stream(kGpu);
  const CudaStream elsewhere({DeviceType::kCuda, 1});
  const DeviceBuffer<float> x(1);
  const auto start = [&](const Launch& l) { launch(fill_kernel, l, x.data(), 1, 1.0F); };
  const Stream s = stream.handle();
  CHECK_NOTHROW(start({.grid = 1, .block = 1024, .stream = s, .name = "fill"}));
  CHECK_THROWS_WITH(start({.grid = 1, .block = 1025, .stream = s, .name = "fill"}),
                    Catch::Contains("fill") && Catch::Contains("cudaErrorInvalidConfiguration"));
  CHECK_THROWS_AS(start({.grid = {1, 65536}, .block = 1, .stream = s, .name = "fill"}), CudaError);
  CHECK_THROWS_AS(start({.grid = 0, .block = 1, .stream = s, .name = "fill"}), CudaError);
  CHECK_THROWS_AS(start({.grid = 1, .block = 1, .smem = 228 * 1024, .stream = s, .name = "fill"}), CudaError);
  CHECK_THROWS_AS(start({.grid = 3, .block = 1, .stream = s, .cluster = {2, 1, 1}, .name = "fill"}), CudaError);
  // launch() makes the stream's device current; a handle that says another one is refused.
  CHECK_THROWS_AS(start({.grid = 1, .block = 1, .stream = {elsewhere.native(), 0}, .name = "fill"}), CudaError);
  CHECK(cudaGetLastError() == cudaSuccess);
  stream.synchronize();
  CHECK(fake::counters().kernels == 1);
}

}  // namespace dcase::test
