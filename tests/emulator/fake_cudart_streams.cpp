/// The fake libcudart: streams, events, host functions, kernels, graphs.

#include <cuda_runtime_api.h>

#include <algorithm>
#include <utility>

#include "kernels/common/launch.hpp"
#include "tests/emulator/fake_runtime.hpp"

namespace dcase::emulator {
namespace {

void check_grid(const Grid& grid) {
  using fake::refuse;
  constexpr std::size_t kThreads = 1024, kShared = 227 * 1024, kYz = 65535, kCluster = 16, kResident = 132 * 32;
  const Extent& b = grid.blocks;
  const Extent& t = grid.threads;
  const Extent& c = grid.cluster;
  if (b.count() == 0 || b.y > kYz || b.z > kYz || b.x > 0x7fffffffU) {
    refuse(cudaErrorInvalidConfiguration, "a grid of ", b.x, "x", b.y, "x", b.z, " blocks");
  }
  if (t.count() == 0 || t.count() > kThreads || t.z > 64) {
    refuse(cudaErrorInvalidConfiguration, "blocks of ", t.x, "x", t.y, "x", t.z, " threads");
  }
  if (grid.dynamic_bytes > kShared) refuse(cudaErrorInvalidValue, grid.dynamic_bytes, " bytes of shared memory");
  if (c.count() == 0 || c.count() > kCluster || b.x % c.x != 0 || b.y % c.y != 0 || b.z % c.z != 0) {
    refuse(cudaErrorInvalidValue, "clusters of ", c.x, "x", c.y, "x", c.z, " blocks in this grid");
  }
  if (grid.cooperative && b.count() > kResident)
    refuse(cudaErrorInvalidValue, "too many blocks to be resident at once");
}

}  // namespace

void enqueue_grid(cudaStream_t handle, Grid grid) {
  const std::string name = grid.name;
  const cudaError_t code = fake::call(name.c_str(), [&](fake::Runtime& r) {
    check_grid(grid);
    fake::StreamState& stream = r.stream(handle);
    if (stream.device != fake::this_thread().device) {
      fake::refuse(cudaErrorInvalidResourceHandle, "a stream of device ", stream.device,
                   " while the current device is ", fake::this_thread().device);
    }
    r.submit(stream, {.kind = fake::Kind::kKernel, .name = name, .run = [&r, grid] {
                        const fake::Memory::Access access(*r.memory);
                        run_grid(grid);
                      }});
  });
  check_cuda(code, name.c_str(), __FILE__, __LINE__);
}

}  // namespace dcase::emulator

using namespace dcase::emulator::fake;  // NOLINT(google-build-using-namespace): C functions stand outside of namespaces

namespace {

bool done(const OperationPtr& operation) { return operation == nullptr || operation->done; }

void require_not_captured(Runtime& r, const StreamState& stream) {
  if (stream.capture != nullptr) {
    r.spoil(*stream.capture, cudaErrorStreamCaptureUnsupported,
            "the stream is being captured and cannot be waited for");
  }
}

void require_not_captured(const EventState& event) {
  if (event.capture == nullptr) return;
  event.capture->valid = false;
  refuse(cudaErrorCapturedEvent, "the event was last recorded in a captured stream");
}

/// A query lets at most one operation run, so that a loop of queries ends.
void query(Runtime& r, const OperationPtr& operation) {
  if (!done(operation) && r.settings.random() % 2 == 0) r.run_one();
  if (!done(operation) && r.sticky == cudaSuccess) refuse(cudaErrorNotReady, "operations are pending");
}

}  // namespace

extern "C" {

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority) {
  return call("cudaStreamCreateWithPriority", [&](Runtime& r) {
    if ((flags & ~unsigned{cudaStreamNonBlocking}) != 0) refuse(cudaErrorInvalidValue, "flags ", flags);
    *stream = r.streams.add({.device = this_thread().device, .flags = flags, .priority = priority});
  });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return cudaStreamCreateWithPriority(stream, flags, 0);
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithPriority(stream, 0, 0); }

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return call("cudaStreamDestroy", [&](Runtime& r) {
    require_not_captured(r, r.streams.at(handle, "stream"));
    r.streams.remove(handle);  // what is in it runs all the same
  });
}

cudaError_t cudaStreamGetPriority(cudaStream_t stream, int* priority) {
  return call("cudaStreamGetPriority", [&](Runtime& r) { *priority = r.stream(stream).priority; });
}

cudaError_t cudaStreamGetFlags(cudaStream_t stream, unsigned* flags) {
  return call("cudaStreamGetFlags", [&](Runtime& r) { *flags = r.stream(stream).flags; });
}

cudaError_t cudaStreamGetDevice(cudaStream_t stream, int* device) {
  return call("cudaStreamGetDevice", [&](Runtime& r) { *device = r.stream(stream).device; });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return call("cudaStreamSynchronize", [&](Runtime& r) {
    StreamState& stream = r.stream(handle);
    require_not_captured(r, stream);
    r.synchronize(r.position(stream));
  });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return call("cudaStreamQuery", [&](Runtime& r) {
    StreamState& stream = r.stream(handle);
    require_not_captured(r, stream);
    query(r, r.position(stream));
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
  return call("cudaStreamWaitEvent", [&](Runtime& r) {
    if (flags != cudaEventWaitDefault) refuse(cudaErrorNotSupported, "flags ", flags, " are not modelled");
    r.wait(r.stream(stream), r.events.at(event, "event"));
  });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  return call("cudaLaunchHostFunc", [&](Runtime& r) {
    r.submit(r.stream(stream),
             {.kind = Kind::kHost, .name = "host function", .run = [function, data] { function(data); }});
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return call("cudaEventCreateWithFlags", [&](Runtime& r) {
    *event = r.events.add({.device = this_thread().device, .flags = flags, .record = {}, .capture = {}});
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return call("cudaEventDestroy", [&](Runtime& r) {
    static_cast<void>(r.events.at(event, "event"));
    r.events.remove(event);
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return call("cudaEventRecord", [&](Runtime& r) { r.record(r.events.at(event, "event"), r.stream(stream)); });
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  return call("cudaEventQuery", [&](Runtime& r) {
    const EventState& event = r.events.at(handle, "event");
    require_not_captured(event);
    query(r, event.record);
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  return call("cudaEventSynchronize", [&](Runtime& r) {
    const EventState& event = r.events.at(handle, "event");
    require_not_captured(event);
    r.synchronize(event.record);
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return call("cudaEventElapsedTime", [&](Runtime& r) {
    const EventState& from = r.events.at(start, "event");
    const EventState& to = r.events.at(end, "event");
    require_not_captured(from);
    require_not_captured(to);
    if (from.record == nullptr || to.record == nullptr || ((from.flags | to.flags) & cudaEventDisableTiming) != 0) {
      refuse(cudaErrorInvalidResourceHandle, "an event without time");
    }
    if (!done(from.record) || !done(to.record)) refuse(cudaErrorNotReady, "operations are pending");
    *milliseconds = 1e-3F * (static_cast<float>(to.record->finished_at) - static_cast<float>(from.record->finished_at));
  });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return call("cudaStreamBeginCapture", [&](Runtime& r) { r.begin_capture(stream, mode); });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  return call("cudaStreamEndCapture", [&](Runtime& r) { *graph = r.graphs.add({.nodes = r.end_capture(stream)}); });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  return call("cudaStreamIsCapturing", [&](Runtime& r) {
    const StreamState& state = r.stream(stream);
    *status = state.capture == nullptr ? cudaStreamCaptureStatusNone
              : state.capture->valid   ? cudaStreamCaptureStatusActive
                                       : cudaStreamCaptureStatusInvalidated;
  });
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  return call("cudaThreadExchangeStreamCaptureMode", [&](Runtime&) { std::swap(*mode, this_thread().capture_mode); });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  return call("cudaGraphInstantiate", [&](Runtime& r) {
    *executable = r.executables.add({.nodes = r.graphs.at(graph, "graph").nodes, .last = {}});
  });
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags) {
  return cudaGraphInstantiate(executable, graph, flags);
}

cudaError_t cudaGraphUpload(cudaGraphExec_t executable, cudaStream_t stream) {
  return call("cudaGraphUpload", [&](Runtime& r) {
    static_cast<void>(r.executables.at(executable, "executable graph"));
    static_cast<void>(r.stream(stream));
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return call("cudaGraphLaunch",
              [&](Runtime& r) { r.launch(r.executables.at(executable, "executable graph"), r.stream(stream)); });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  return call("cudaGraphExecDestroy", [&](Runtime& r) {
    static_cast<void>(r.executables.at(executable, "executable graph"));
    r.executables.remove(executable);
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return call("cudaGraphDestroy", [&](Runtime& r) {
    static_cast<void>(r.graphs.at(graph, "graph"));
    r.graphs.remove(graph);
  });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  return call("cudaGraphGetNodes", [&](Runtime& r) {
    const std::size_t all = r.graphs.at(graph, "graph").nodes->size();
    // A node's handle is its number from 1 on.
    for (std::size_t i = 0; nodes != nullptr && i < std::min(all, *count); ++i) {
      nodes[i] = reinterpret_cast<cudaGraphNode_t>(i + 1);  // NOLINT(performance-no-int-to-ptr)
    }
    *count = all;
  });
}

}  // extern "C"
