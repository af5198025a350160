/// The fake libcudart: devices, errors, functions, and what tests set. Declarations are NVIDIA's own, so that a
/// signature that differs does not compile, and a call that is not covered does not link.

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>

#include "tests/emulator/fake_cuda.hpp"
#include "tests/emulator/fake_runtime.hpp"

namespace dcase::emulator::fake {
namespace {

// Of an H200, as far as hosts ask.
constexpr int kMultiprocessors = 132;
constexpr int kThreadsOfMultiprocessor = 2048;
constexpr int kSharedOfBlock = 48 * 1024;
constexpr int kSharedOfBlockAskedFor = 227 * 1024;
constexpr int kSharedOfMultiprocessor = 228 * 1024;
constexpr int kSharedReserved = 1024;
constexpr int kThreadsOfBlock = 1024;
constexpr int kBlocksOfMultiprocessor = 32;
constexpr int kCacheBytes = 50 << 20;

void require_index(const Runtime& r, int device) {
  if (device < 0 || device >= r.settings.devices) {
    refuse(cudaErrorInvalidDevice, "device ", device, " of ", r.settings.devices);
  }
}

int attribute(const Runtime& r, cudaDeviceAttr which) {
  switch (which) {
    case cudaDevAttrComputeCapabilityMajor:
      return r.settings.major;
    case cudaDevAttrComputeCapabilityMinor:
      return r.settings.minor;
    case cudaDevAttrMultiProcessorCount:
      return kMultiprocessors;
    case cudaDevAttrMaxThreadsPerBlock:
      return kThreadsOfBlock;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      return kThreadsOfMultiprocessor;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      return kBlocksOfMultiprocessor;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      return kSharedOfBlock;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return kSharedOfBlockAskedFor;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      return kSharedOfMultiprocessor;
    case cudaDevAttrReservedSharedMemoryPerBlock:
      return kSharedReserved;
    case cudaDevAttrL2CacheSize:
      return kCacheBytes;
    case cudaDevAttrWarpSize:
      return 32;
    case cudaDevAttrMaxRegistersPerBlock:
      return 65536;
    case cudaDevAttrClockRate:
      return 1980000;
    case cudaDevAttrMemoryClockRate:
      return 3201000;
    case cudaDevAttrGlobalMemoryBusWidth:
      return 6144;
    case cudaDevAttrCooperativeLaunch:
      return 1;
    case cudaDevAttrClusterLaunch:
      return r.settings.major >= 9 ? 1 : 0;
    case cudaDevAttrConcurrentKernels:
      return 1;
    case cudaDevAttrAsyncEngineCount:
      return 3;
    case cudaDevAttrUnifiedAddressing:
      return 1;
    case cudaDevAttrMemoryPoolsSupported:
      return 1;
    default:
      refuse(cudaErrorInvalidValue, "attribute ", static_cast<int>(which), " is not modelled");
  }
}

cudaDeviceProp properties(const Runtime& r, int device) {
  cudaDeviceProp p = {};
  std::snprintf(p.name, sizeof p.name, "Emulated GPU %d", device);
  p.totalGlobalMem = r.settings.memory_limit;
  p.major = r.settings.major;
  p.minor = r.settings.minor;
  p.multiProcessorCount = kMultiprocessors;
  p.warpSize = 32;
  p.maxThreadsPerBlock = kThreadsOfBlock;
  p.maxThreadsPerMultiProcessor = kThreadsOfMultiprocessor;
  p.maxBlocksPerMultiProcessor = kBlocksOfMultiprocessor;
  std::copy_n(std::begin({1024, 1024, 64}), 3, p.maxThreadsDim);
  std::copy_n(std::begin({2147483647, 65535, 65535}), 3, p.maxGridSize);
  p.sharedMemPerBlock = kSharedOfBlock;
  p.sharedMemPerBlockOptin = kSharedOfBlockAskedFor;
  p.sharedMemPerMultiprocessor = kSharedOfMultiprocessor;
  p.reservedSharedMemPerBlock = kSharedReserved;
  p.regsPerBlock = p.regsPerMultiprocessor = 65536;
  p.l2CacheSize = kCacheBytes;
  p.memoryBusWidth = 6144;
  p.asyncEngineCount = 3;
  p.concurrentKernels = p.unifiedAddressing = p.canMapHostMemory = 1;
  p.cooperativeLaunch = p.memoryPoolsSupported = p.streamPrioritiesSupported = 1;
  p.clusterLaunch = r.settings.major >= 9 ? 1 : 0;
  return p;
}

struct ErrorText {
  cudaError_t code;
  const char* name;
  const char* text;
};
constexpr ErrorText kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorIllegalState, "cudaErrorIllegalState", "the operation cannot be performed in the present state"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorNotPermitted, "cudaErrorNotPermitted", "operation not permitted"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureMerge, "cudaErrorStreamCaptureMerge",
     "operation would result in a merge of separate captures"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
     "capture was not ended in the same stream as it began"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined", "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
    {cudaErrorStreamCaptureWrongThread, "cudaErrorStreamCaptureWrongThread",
     "attempt to terminate a thread-local capture sequence from another thread"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

const ErrorText& describe(cudaError_t code) {
  const auto* found =
      std::find_if(std::begin(kErrors), std::end(kErrors), [&](const ErrorText& e) { return e.code == code; });
  static constexpr ErrorText kOther = {cudaErrorUnknown, "unrecognized error code", "unrecognized error code"};
  return found == std::end(kErrors) ? kOther : *found;
}

}  // namespace

void reset() {
  Runtime& r = runtime();
  const std::scoped_lock lock(r.mutex);
  r.reset();
  this_thread() = {};
}

void set_lazy(std::uint64_t seed) {
  Runtime& r = runtime();
  const std::scoped_lock lock(r.mutex);
  r.settings.lazy = true;
  r.settings.random.seed(seed);
}

void set_eager() {
  Runtime& r = runtime();
  const std::scoped_lock lock(r.mutex);
  r.synchronize_all();
  r.settings.lazy = false;
}

void set_device_count(int count) {
  Runtime& r = runtime();
  const std::scoped_lock lock(r.mutex);
  r.settings.devices = std::clamp(count, 0, Memory::kMaxDevices);
}

void set_memory_limit(std::size_t bytes) {
  Runtime& r = runtime();
  const std::scoped_lock lock(r.mutex);
  r.settings.memory_limit = bytes;
}

void set_compute_capability(int major, int minor) {
  Runtime& r = runtime();
  const std::scoped_lock lock(r.mutex);
  r.settings.major = major;
  r.settings.minor = minor;
}

void set_driver_version(int version) {
  Runtime& r = runtime();
  const std::scoped_lock lock(r.mutex);
  r.settings.driver_version = version;
}

Counters counters() {
  Runtime& r = runtime();
  const std::scoped_lock lock(r.mutex);
  std::size_t device_bytes = 0;
  for (int device = 0; device < Memory::kMaxDevices; ++device) device_bytes += r.memory->bytes_in_use(device);
  return {.operations = r.operations_run(),
          .kernels = r.kernels_run(),
          .pending = r.pending(),
          .device_blocks = r.memory->blocks_in_use(),
          .device_bytes = device_bytes,
          .pinned_blocks = r.memory->pinned_blocks(),
          .pinned_bytes = r.memory->pinned_bytes(),
          .streams = r.streams.size(),
          .events = r.events.size(),
          .graphs = r.graphs.size(),
          .executables = r.executables.size()};
}

std::string last_fault() {
  Runtime& r = runtime();
  const std::scoped_lock lock(r.mutex);
  return r.fault;
}

std::string last_refusal() {
  Runtime& r = runtime();
  const std::scoped_lock lock(r.mutex);
  return r.refusal;
}

}  // namespace dcase::emulator::fake

using namespace dcase::emulator::fake;  // NOLINT(google-build-using-namespace): C functions stand outside of namespaces

extern "C" {

cudaError_t cudaGetLastError() {
  ThreadState& thread = this_thread();
  if (thread.inside_operation) return cudaErrorNotPermitted;
  const cudaError_t code = thread.last_error;
  const std::scoped_lock lock(runtime().mutex);
  thread.last_error = runtime().sticky;  // stays until the context is destroyed
  return runtime().sticky != cudaSuccess ? runtime().sticky : code;
}

cudaError_t cudaPeekAtLastError() {
  if (this_thread().inside_operation) return cudaErrorNotPermitted;
  const std::scoped_lock lock(runtime().mutex);
  return runtime().sticky != cudaSuccess ? runtime().sticky : this_thread().last_error;
}

const char* cudaGetErrorName(cudaError_t error) { return describe(error).name; }
const char* cudaGetErrorString(cudaError_t error) { return describe(error).text; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  return call("cudaGetDeviceCount", [&](Runtime& r) { *count = r.settings.devices; });
}

cudaError_t cudaSetDevice(int device) {
  return call("cudaSetDevice", [&](Runtime& r) {
    require_index(r, device);
    this_thread().device = device;
  });
}

cudaError_t cudaGetDevice(int* device) {
  return call("cudaGetDevice", [&](Runtime&) { *device = this_thread().device; });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* prop, int device) {
  return call("cudaGetDeviceProperties", [&](Runtime& r) {
    require_index(r, device);
    *prop = properties(r, device);
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attr, int device) {
  return call("cudaDeviceGetAttribute", [&](Runtime& r) {
    require_index(r, device);
    *value = attribute(r, attr);
  });
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return call("cudaDeviceGetStreamPriorityRange", [&](Runtime&) {
    if (least != nullptr) *least = 0;
    if (greatest != nullptr) *greatest = -5;
  });
}

cudaError_t cudaDriverGetVersion(int* version) {
  const std::scoped_lock lock(runtime().mutex);
  *version = runtime().settings.driver_version;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  return call("cudaDeviceSynchronize", [](Runtime& r) {
    if (Capture* capture = r.capture_of_this_thread()) {
      r.spoil(*capture, cudaErrorStreamCaptureUnsupported, "the device cannot be waited for during a capture");
    }
    r.synchronize_all();
  });
}

cudaError_t cudaDeviceReset() {
  if (this_thread().inside_operation) return cudaErrorNotPermitted;
  const std::scoped_lock lock(runtime().mutex);
  const Settings kept = runtime().settings;
  runtime().reset();
  runtime().settings = kept;
  this_thread().last_error = cudaSuccess;
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* func, cudaFuncAttribute attr, int value) {
  return call("cudaFuncSetAttribute", [&](Runtime&) {
    if (func == nullptr) refuse(cudaErrorInvalidValue, "no function");
    if (attr == cudaFuncAttributeMaxDynamicSharedMemorySize && (value < 0 || value > kSharedOfBlockAskedFor)) {
      refuse(cudaErrorInvalidValue, value, " bytes of shared memory; a block may have ", kSharedOfBlockAskedFor);
    }
  });
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attr, const void* func) {
  return call("cudaFuncGetAttributes", [&](Runtime& r) {
    if (func == nullptr) refuse(cudaErrorInvalidValue, "no function");
    *attr = {};
    attr->maxThreadsPerBlock = kThreadsOfBlock;
    attr->maxDynamicSharedSizeBytes = kSharedOfBlock;
    attr->numRegs = 32;
    attr->binaryVersion = attr->ptxVersion = 10 * r.settings.major + r.settings.minor;
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void* func, int block_size,
                                                                   size_t dynamic_bytes, unsigned) {
  return call("cudaOccupancyMaxActiveBlocksPerMultiprocessor", [&](Runtime&) {
    if (func == nullptr || block_size <= 0) refuse(cudaErrorInvalidValue, "blocks of ", block_size, " threads");
    *blocks = 0;
    if (block_size > kThreadsOfBlock || dynamic_bytes > kSharedOfBlockAskedFor) return;
    const int of_threads = kThreadsOfMultiprocessor / ((block_size + 31) / 32 * 32);
    const int of_shared = kSharedOfMultiprocessor / (static_cast<int>(dynamic_bytes) + kSharedReserved);
    *blocks = std::min({kBlocksOfMultiprocessor, of_threads, of_shared});
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* func, int block_size,
                                                          size_t dynamic_bytes) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, func, block_size, dynamic_bytes, 0);
}

}  // extern "C"
