#include "engine/cuda/graph.hpp"

#include <utility>

#include "kernels/common/device_guard.hpp"

namespace dcase {
namespace {

// The recorded graph, needed only until it is instantiated.
struct Recorded {
  cudaGraph_t graph = nullptr;
  Recorded() = default;
  ~Recorded() {
    if (graph != nullptr && cudaGraphDestroy(graph) != cudaSuccess) static_cast<void>(cudaGetLastError());
  }
  Recorded(const Recorded&) = delete;
  Recorded& operator=(const Recorded&) = delete;
};

}  // namespace

CudaGraph CudaGraph::capture(Device device, Stream stream, const std::function<void()>& work) {
  const DeviceGuard guard(device.index);
  const auto native = static_cast<cudaStream_t>(stream.handle);
  Recorded recorded;
  // Thread-local: other threads (data loading) may allocate meanwhile.
  DCASE_CUDA_CALL(cudaStreamBeginCapture(native, cudaStreamCaptureModeThreadLocal));
  try {
    work();
  } catch (...) {
    if (cudaStreamEndCapture(native, &recorded.graph) != cudaSuccess) static_cast<void>(cudaGetLastError());
    throw;
  }
  DCASE_CUDA_CALL(cudaStreamEndCapture(native, &recorded.graph));
  CudaGraph result;
  DCASE_CUDA_CALL(cudaGraphGetNodes(recorded.graph, nullptr, &result.nodes_));
  DCASE_CUDA_CALL(cudaGraphInstantiate(&result.executable_, recorded.graph, 0));
  return result;
}

CudaGraph::~CudaGraph() {
  if (executable_ != nullptr && cudaGraphExecDestroy(executable_) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
  }
}

CudaGraph::CudaGraph(CudaGraph&& other) noexcept
    : executable_(std::exchange(other.executable_, nullptr)), nodes_(std::exchange(other.nodes_, 0)) {}

CudaGraph& CudaGraph::operator=(CudaGraph&& other) noexcept {
  std::swap(executable_, other.executable_);
  std::swap(nodes_, other.nodes_);
  return *this;
}

void CudaGraph::launch(Stream stream) const {
  DCASE_CUDA_CALL(cudaGraphLaunch(executable_, static_cast<cudaStream_t>(stream.handle)));
}

}  // namespace dcase
