#pragma once
/// The only way to start a kernel: launch(kernel, {.grid = ..., .block = ..., .stream = ..., .name = "..."},
/// arguments...). It converts the arguments to the kernel's parameters, asks for the shared memory, and throws
/// CudaError with the kernel's name where the launch is refused. The stream's device need not be current. Faults inside
/// the kernel appear at the next synchronisation. In profiles the launch is an NVTX range of the kernel's name.

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/common/context.hpp"
#include "kernels/common/device_guard.hpp"

namespace dcase {

struct Launch {
  dim3 grid;             // blocks
  dim3 block;            // threads of a block
  std::size_t smem = 0;  // dynamic shared memory of a block, bytes
  Stream stream = {};
  dim3 cluster = {1, 1, 1};   // blocks of a cluster (sm_90 and later)
  bool cooperative = false;   // all blocks are resident at once and may use grid_sync
  bool programmatic = false;  // may start before the kernel ahead in the stream ends; waits in wait_for_kernel_ahead
  const char* name = "";      // in errors and profiles
};

/// Blocks of a kernel whose threads go on by grid-sized strides: enough for `elements`, `per_block` of them each, but
/// no more than fill any GPU several times over.
inline constexpr std::int64_t kMostBlocks = 2048;
[[nodiscard]] inline unsigned strided_blocks(std::int64_t elements, std::int64_t per_block) {
  return static_cast<unsigned>(std::min((elements + per_block - 1) / per_block, kMostBlocks));
}

}  // namespace dcase

#ifdef DCASE_EMULATED
#include "emulated_launch.hpp"  // tests/emulator: the same function, for kernels compiled as plain C++
#else

#include <nvtx3/nvToolsExt.h>

namespace dcase {

/// A range of the calling thread in a profile; costs nothing where no profiler listens.
class ProfileRange {
 public:
  explicit ProfileRange(const char* name) { nvtxRangePushA(name); }
  ~ProfileRange() { nvtxRangePop(); }
  ProfileRange(const ProfileRange&) = delete;
  ProfileRange& operator=(const ProfileRange&) = delete;
};

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const Launch& l, Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments), "as many arguments as the kernel has parameters");
  const ProfileRange range(l.name);
  const DeviceGuard guard(l.stream.device);
  cudaLaunchAttribute attributes[3] = {};
  unsigned count = 0;
  if (l.cluster.x * l.cluster.y * l.cluster.z > 1) {
    attributes[count].id = cudaLaunchAttributeClusterDimension;
    attributes[count].val.clusterDim = {l.cluster.x, l.cluster.y, l.cluster.z};
    ++count;
  }
  if (l.cooperative) {
    attributes[count].id = cudaLaunchAttributeCooperative;
    attributes[count].val.cooperative = 1;
    ++count;
  }
  if (l.programmatic) {
    attributes[count].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[count].val.programmaticStreamSerializationAllowed = 1;
    ++count;
  }
  cudaLaunchConfig_t config = {};
  config.gridDim = l.grid;
  config.blockDim = l.block;
  config.dynamicSmemBytes = l.smem;
  config.stream = static_cast<cudaStream_t>(l.stream.handle);
  config.attrs = attributes;
  config.numAttrs = count;
  constexpr std::size_t kWithoutAsking = 48 * 1024;  // more must be asked for, kernel by kernel
  if (l.smem > kWithoutAsking) {
    check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(l.smem)),
               l.name, __FILE__, __LINE__);
  }
  check_cuda(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), l.name, __FILE__, __LINE__);
}

}  // namespace dcase
#endif
