#pragma once
/// A CUDA graph: work captured once and launched many times with one call.

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>

#include "kernels/common/context.hpp"

namespace dcase {

/// Movable, not copyable. Holds addresses, not memory: everything that the captured work reads or writes must outlive
/// the last launch, at its place. Launches of one graph follow each other, in whatever streams they stand.
class CudaGraph {
 public:
  /// Runs `work`, which puts operations into `stream` (and into streams that wait for an event recorded in it, and are
  /// joined back the same way), and keeps them instead of running them. During the capture the calling thread must not
  /// synchronise, allocate device memory or use the default stream. An exception of `work` ends the capture and goes on
  /// to the caller; a capture that CUDA refuses throws CudaError.
  [[nodiscard]] static CudaGraph capture(Device device, Stream stream, const std::function<void()>& work);

  ~CudaGraph();
  CudaGraph(CudaGraph&& other) noexcept;
  CudaGraph& operator=(CudaGraph&& other) noexcept;
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;

  /// Puts one run of the graph into the stream.
  void launch(Stream stream) const;
  [[nodiscard]] std::size_t node_count() const { return nodes_; }

 private:
  CudaGraph() = default;
  cudaGraphExec_t executable_ = nullptr;
  std::size_t nodes_ = 0;
};

}  // namespace dcase
