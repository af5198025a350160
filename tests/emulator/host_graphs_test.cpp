#include <thread>

#include "engine/cuda/graph.hpp"
#include "engine/cuda/pinned.hpp"
#include "tests/emulator/host_fixture.hpp"

namespace dcase::test {
namespace {

constexpr int kSize = 3;

// z = (1 + 2 * x) + (1 + 3 * x), its halves in two streams.
struct TwoStreams {
  CudaStream first = CudaStream(kGpu);
  CudaStream second = CudaStream(kGpu);
  CudaEvent forked = CudaEvent(kGpu);
  CudaEvent joined = CudaEvent(kGpu);
  DeviceBuffer<float> x = DeviceBuffer<float>(kSize);
  DeviceBuffer<float> y = DeviceBuffer<float>(kSize);
  DeviceBuffer<float> z = DeviceBuffer<float>(kSize);
  PinnedBuffer<float> input = PinnedBuffer<float>(kSize);

  void step(bool join = true) const {
    DCASE_CUDA_CALL(cudaMemcpyAsync(x.data(), input.data(), x.bytes(), cudaMemcpyHostToDevice, first.native()));
    forked.record(first.handle());
    second.wait(forked);
    fill(second.handle(), y.data(), kSize, 1);
    axpy(second.handle(), y.data(), x.data(), kSize, 3);
    joined.record(second.handle());
    fill(first.handle(), z.data(), kSize, 1);
    axpy(first.handle(), z.data(), x.data(), kSize, 2);
    if (!join) return;
    first.wait(joined);
    axpy(first.handle(), z.data(), y.data(), kSize, 1);
  }
  void set_input(float value) const {
    for (float& element : input) element = value;
  }
};

cudaError_t captured(const CudaStream& stream, const std::function<void()>& work) {
  DCASE_CUDA_CALL(cudaStreamBeginCapture(stream.native(), cudaStreamCaptureModeThreadLocal));
  work();
  cudaGraph_t graph = nullptr;
  const cudaError_t code = cudaStreamEndCapture(stream.native(), &graph);
  if (graph != nullptr) static_cast<void>(cudaGraphDestroy(graph));
  static_cast<void>(cudaGetLastError());
  return code;
}

}  // namespace

TEST_CASE("fake cuda: a graph of two streams runs as its operations would", "[fake]") {
  const FreshRuntime fresh;
  check_in_all_modes([] {
    const TwoStreams program;
    const CudaGraph graph = CudaGraph::capture(kGpu, program.first.handle(), [&] { program.step(); });
    bool right = fake::counters().operations == 0 && graph.node_count() == 6;
    // The inputs are read by each launch.
    for (int round = 1; round <= 3; ++round) {
      const auto value = static_cast<float>(round);
      program.set_input(value);
      graph.launch(program.first.handle());
      program.first.synchronize();
      const std::vector<float> replayed = program.z.download();
      program.step();
      program.first.synchronize();
      right = right && replayed == program.z.download() && replayed == std::vector<float>(kSize, 2 + 5 * value);
    }
    return right && fake::counters().graphs == 0 && fake::counters().executables == 1;
  });
  CHECK(fake::counters().executables == 0);
}

TEST_CASE("fake cuda: a join that is missing is an error, and only its work is without order", "[fake]") {
  const FreshRuntime fresh;
  const TwoStreams program;
  CHECK(captured(program.first, [&] { program.step(false); }) == cudaErrorStreamCaptureUnjoined);
  // Both streams are as before the capture.
  program.set_input(1);
  program.step();
  program.first.synchronize();
  CHECK(program.z.download() == std::vector<float>(kSize, 7));
}

TEST_CASE("fake cuda: launches of one graph follow each other in whatever streams", "[fake]") {
  const FreshRuntime fresh;
  check_in_all_modes([] {
    const CudaStream first(kGpu);
    const CudaStream second(kGpu);
    const DeviceBuffer<float> x(1);
    x.upload({1});
    const CudaGraph graph =
        CudaGraph::capture(kGpu, first.handle(), [&] { axpy(first.handle(), x.data(), x.data(), 1, 1); });
    graph.launch(first.handle());
    graph.launch(second.handle());
    axpy(second.handle(), x.data(), x.data(), 1, 2);
    second.synchronize();
    return x.download() == std::vector<float>(1, 12);
  });
}

TEST_CASE("fake cuda: what a capture does not permit spoils it", "[fake]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  const CudaEvent event(kGpu);
  const CudaEvent outside(kGpu);
  const DeviceBuffer<float> x(1);
  const auto spoilt_by = [&](cudaError_t expected, const std::function<cudaError_t()>& call) {
    cudaError_t code = cudaSuccess;
    const cudaError_t end = captured(stream, [&] {
      fill(stream.handle(), x.data(), 1, 1);
      event.record(stream.handle());
      code = call();
    });
    CHECK(code == expected);
    CHECK(end == cudaErrorStreamCaptureInvalidated);
  };
  spoilt_by(cudaErrorStreamCaptureUnsupported, [&] { return cudaStreamSynchronize(stream.native()); });
  spoilt_by(cudaErrorStreamCaptureUnsupported, [&] { return cudaStreamQuery(stream.native()); });
  spoilt_by(cudaErrorStreamCaptureUnsupported, [&] { return cudaDeviceSynchronize(); });
  spoilt_by(cudaErrorCapturedEvent, [&] { return cudaEventSynchronize(event.native()); });
  spoilt_by(cudaErrorCapturedEvent, [&] { return cudaEventQuery(event.native()); });
  spoilt_by(cudaErrorStreamCaptureUnsupported, [&] {
    void* block = nullptr;
    return cudaMalloc(&block, 4);
  });
  spoilt_by(cudaErrorStreamCaptureUnsupported, [&] { return cudaMemset(x.data(), 0, 4); });
  outside.record(CudaStream(kGpu).handle());
  spoilt_by(cudaErrorStreamCaptureIsolation, [&] { return cudaStreamWaitEvent(stream.native(), outside.native(), 0); });
  // The event's last record belongs to a capture that is over.
  CHECK(cudaStreamWaitEvent(stream.native(), event.native(), 0) == cudaErrorCapturedEvent);
  CHECK(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeRelaxed) == cudaErrorStreamCaptureUnsupported);
  cudaGraph_t graph = nullptr;
  CHECK(cudaStreamEndCapture(stream.native(), &graph) == cudaErrorIllegalState);
  stream.synchronize();
}

TEST_CASE("fake cuda: captures and threads", "[fake]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  cudaGraph_t graph = nullptr;
  cudaError_t ended = cudaSuccess;
  cudaError_t allocated = cudaErrorUnknown;
  const auto in_another_thread = [&] {
    std::thread([&] {
      void* block = nullptr;
      allocated = cudaMalloc(&block, 4);
      ended = cudaStreamEndCapture(stream.native(), &graph);
    }).join();
  };
  REQUIRE(cudaStreamBeginCapture(stream.native(), cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  in_another_thread();
  CHECK(allocated == cudaSuccess);
  CHECK(ended == cudaErrorStreamCaptureWrongThread);
  CHECK(cudaStreamEndCapture(stream.native(), &graph) == cudaSuccess);
  CHECK(cudaGraphDestroy(graph) == cudaSuccess);

  REQUIRE(cudaStreamBeginCapture(stream.native(), cudaStreamCaptureModeRelaxed) == cudaSuccess);
  in_another_thread();
  CHECK(allocated == cudaSuccess);
  CHECK(ended == cudaSuccess);
  std::size_t nodes = 1;
  CHECK(cudaGraphGetNodes(graph, nullptr, &nodes) == cudaSuccess);
  CHECK(nodes == 0);
  CHECK(cudaGraphDestroy(graph) == cudaSuccess);
  CHECK(cudaGraphDestroy(graph) == cudaErrorInvalidResourceHandle);
  CHECK(fake::counters().graphs == 0);
}

TEST_CASE("cuda graph: an exception in the work ends the capture and goes on", "[cuda]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  const DeviceBuffer<float> x(1);
  CHECK_THROWS_WITH(CudaGraph::capture(kGpu, stream.handle(),
                                       [&] {
                                         fill(stream.handle(), x.data(), 1, 1);
                                         throw std::runtime_error("the model's own");
                                       }),
                    "the model's own");
  CHECK_THROWS_AS(CudaGraph::capture(kGpu, stream.handle(), [&] { stream.synchronize(); }), CudaError);
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK(fake::counters().graphs == 0);
  CHECK(fake::counters().executables == 0);
  CudaGraph graph = CudaGraph::capture(kGpu, stream.handle(), [&] { fill(stream.handle(), x.data(), 1, 8); });
  CudaGraph moved = std::move(graph);
  moved.launch(stream.handle());
  stream.synchronize();
  CHECK(x.download() == std::vector<float>(1, 8));
}

}  // namespace dcase::test
