#include "engine/cuda/device.hpp"

#include "engine/cuda/pinned.hpp"
#include "engine/tensor.hpp"
#include "kernels/common/device_guard.hpp"
#include "kernels/elementwise/elementwise.hpp"
#include "kernels/reduce/reduce.hpp"
#include "tests/emulator/host_fixture.hpp"

namespace dcase::test {
namespace {

template <class Body>
DeviceProblem problem_of(Body body) {
  try {
    body();
  } catch (const DeviceError& error) {
    CHECK(error.kind() == ErrorKind::kDevice);
    return error.problem();
  }
  return DeviceProblem::kFailed;
}

int current_device() {
  int device = -1;
  DCASE_CUDA_CALL(cudaGetDevice(&device));
  return device;
}

}  // namespace

TEST_CASE("cuda device: a guard brings the caller's device back", "[cuda]") {
  const FreshRuntime fresh;
  fake::set_device_count(3);
  DCASE_CUDA_CALL(cudaSetDevice(1));
  {
    const DeviceGuard guard(2);
    CHECK(current_device() == 2);
    const DeviceGuard again(2);
    CHECK(current_device() == 2);
  }
  CHECK(current_device() == 1);
  CHECK_THROWS_AS(DeviceGuard(3), CudaError);
  CHECK(current_device() == 1);

  // What is made for another device leaves the current one alone, and lands there.
  const Device last = {DeviceType::kCuda, 2};
  const CudaStream stream(last);
  const CudaEvent event(last);
  int device = -1;
  CHECK(cudaStreamGetDevice(stream.native(), &device) == cudaSuccess);
  CHECK(device == 2);
  event.record(stream.handle());
  CHECK_THROWS_AS(event.record(CudaStream(kGpu).handle()), CudaError);
  CHECK(current_device() == 1);
}

TEST_CASE("cuda device: operators run on the context's device, whichever is current", "[cuda]") {
  const FreshRuntime fresh;
  fake::set_device_count(3);
  DCASE_CUDA_CALL(cudaSetDevice(1));
  const auto backend = Backend::on({DeviceType::kCuda, 2});
  const Tensor a = Tensor::filled({5, 7}, 2, backend);
  const Tensor b = a.clone();
  add<float>({.a = a, .b = b, .y = b}, backend->context());
  CHECK(b.to_vector() == std::vector<float>(35, 4));
  CHECK(squared_norm<float>(b, backend->context()) == 35 * 16);
  CHECK(current_device() == 1);
}

TEST_CASE("cuda device: why there is none", "[cuda]") {
  const FreshRuntime fresh;
  CHECK(device_count() == 1);
  CHECK(problem_of([] { static_cast<void>(device_info(1)); }) == DeviceProblem::kNoSuchIndex);

  fake::set_device_count(0);
  CHECK(device_count() == 0);
  CHECK(problem_of([] { static_cast<void>(device_info(0)); }) == DeviceProblem::kNoDevice);
  CHECK(problem_of([] { static_cast<void>(choose_device("cuda")); }) == DeviceProblem::kNoDevice);
  CHECK(choose_device("auto").device == Device{});
  CHECK_THAT(choose_device("auto").reason, Catch::Contains("the CPU, since") && Catch::Contains("no CUDA device"));
  CHECK_THROWS_AS(Backend::on(kGpu), DeviceError);

  fake::set_driver_version(11040);
  CHECK(problem_of([] { static_cast<void>(device_count()); }) == DeviceProblem::kDriverTooOld);
  CHECK_THROWS_WITH(choose_device("cuda"), Catch::Contains("supports CUDA 11.4") && Catch::Contains("needs CUDA"));
  CHECK(choose_device("auto").device.is_cpu());

  fake::set_driver_version(0);
  CHECK(problem_of([] { static_cast<void>(choose_device("cuda:0")); }) == DeviceProblem::kNoDriver);
  CHECK_THAT(choose_device("auto").reason, Catch::Contains("no NVIDIA driver"));
  CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("cuda device: the choice by name", "[cuda]") {
  const FreshRuntime fresh;
  fake::set_device_count(2);
  CHECK(choose_device("cpu").device.is_cpu());
  CHECK(choose_device("cuda").device == kGpu);
  CHECK(choose_device("cuda:1").device == Device{DeviceType::kCuda, 1});
  CHECK(choose_device("auto").device == kGpu);
  CHECK_THAT(choose_device("auto").reason, Catch::Contains("cuda:0: Emulated GPU 0, compute capability 9.0"));
  CHECK(problem_of([] { static_cast<void>(choose_device("cuda:2")); }) == DeviceProblem::kNoSuchIndex);
  CHECK_THROWS_WITH(choose_device("cuda:2"), Catch::Contains("there are 2 CUDA devices"));
  for (const char* text : {"", "gpu", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "CUDA"}) {
    INFO(text);
    CHECK_THROWS_WITH(choose_device(text), Catch::Contains("auto, cpu, cuda or cuda:N"));
  }

  fake::set_compute_capability(7, 5);
  CHECK(problem_of([] { static_cast<void>(choose_device("cuda", "80-real;90a-real")); }) ==
        DeviceProblem::kArchitecture);
  CHECK_THROWS_WITH(choose_device("cuda", "80-real;90a-real"),
                    Catch::Contains("capability 7.5") && Catch::Contains("80-real;90a-real"));
  CHECK(choose_device("auto", "80-real;90a-real").device.is_cpu());
  CHECK(choose_device("auto", "75").device == kGpu);
}

TEST_CASE("fake cuda: attributes and occupancy are an H200's", "[fake]") {
  const FreshRuntime fresh;
  int value = 0;
  CHECK(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 0) == cudaSuccess);
  CHECK(value == 132);
  CHECK(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 1) == cudaErrorInvalidDevice);
  const auto* function = reinterpret_cast<const void*>(&fill_kernel);
  CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&value, function, 256, 0) == cudaSuccess);
  CHECK(value == 8);
  CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&value, function, 256, 100 * 1024) == cudaSuccess);
  CHECK(value == 2);
  CHECK(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, 227 * 1024) == cudaSuccess);
  CHECK(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, 228 * 1024) ==
        cudaErrorInvalidValue);
  cudaFuncAttributes attributes = {};
  CHECK(cudaFuncGetAttributes(&attributes, function) == cudaSuccess);
  CHECK(attributes.maxThreadsPerBlock == 1024);
}

TEST_CASE("cuda device: which code runs on which device", "[cuda]") {
  CHECK(runs_on("80-real", 8, 0));
  CHECK(runs_on("80-real", 8, 6));
  CHECK_FALSE(runs_on("86-real", 8, 0));
  CHECK_FALSE(runs_on("80-real", 9, 0));
  CHECK(runs_on("80", 9, 0));
  CHECK(runs_on("80-virtual", 12, 0));
  CHECK_FALSE(runs_on("90-virtual", 8, 0));
  CHECK(runs_on("90a-real", 9, 0));
  CHECK_FALSE(runs_on("90a-real", 10, 0));
  CHECK_FALSE(runs_on("90a", 10, 0));
  CHECK(runs_on("80-real,90a-real", 9, 0));
  CHECK(runs_on("80-real;90a-real;120-real", 12, 0));
  CHECK_FALSE(runs_on("", 9, 0));
}

TEST_CASE("cuda objects: moving hands over, and the end of all is the end of their handles", "[cuda]") {
  const FreshRuntime fresh;
  {
    CudaStream a(kGpu, Priority::kHigh);
    const cudaStream_t handle = a.native();
    int priority = 0;
    CHECK(cudaStreamGetPriority(handle, &priority) == cudaSuccess);
    CHECK(priority < 0);
    CudaStream b = std::move(a);
    CHECK(b.native() == handle);
    CudaStream c(kGpu);
    c = std::move(b);
    CHECK(c.native() == handle);
    CudaEvent e(kGpu);
    CudaEvent f = std::move(e);
    f.record(c.handle());
    f.synchronize();
    PinnedBuffer<double> p(5);
    CHECK(p.bytes() == 40);
    double* const data = p.data();
    PinnedBuffer<double> q = std::move(p);
    CHECK(q.data() == data);
    CHECK(PinnedBuffer<double>(0).data() == nullptr);
    CHECK_THROWS_AS(PinnedBuffer<double>(-1), Error);
    CHECK(fake::counters().pinned_blocks == 1);
  }
  CHECK(fake::counters().streams == 0);
  CHECK(fake::counters().events == 0);
  CHECK(fake::counters().pinned_blocks == 0);
  CHECK_THROWS_AS(CudaStream(Device{}), Error);
  CHECK_THROWS_AS(CudaEvent(Device{}), Error);
}

TEST_CASE("cuda objects: their ends are quiet in a failed context", "[cuda]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  const CudaEvent event(kGpu);
  const PinnedBuffer<float> pinned(4);
  void* block = nullptr;
  DCASE_CUDA_CALL(cudaMallocAsync(&block, 4, stream.native()));
  DCASE_CUDA_CALL(cudaFreeAsync(block, stream.native()));
  DCASE_CUDA_CALL(cudaFreeAsync(block, stream.native()));
  CHECK_THROWS_AS(stream.synchronize(), CudaError);
}

}  // namespace dcase::test
