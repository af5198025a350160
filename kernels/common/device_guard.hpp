#pragma once
/// The calling thread's current CUDA device, changed for a scope. For sources that name CUDA.

#include "kernels/common/cuda_error.hpp"

namespace dcase {

/// Makes `index` the calling thread's current device, and the one before current again at the end of the scope.
/// Everything that creates, allocates or launches does it under a guard, so that a caller's current device is never
/// changed. The constructor throws CudaError.
class DeviceGuard {
 public:
  explicit DeviceGuard(int index) {
    DCASE_CUDA_CALL(cudaGetDevice(&before_));
    if (before_ == index) return;
    DCASE_CUDA_CALL(cudaSetDevice(index));
    changed_ = true;
  }
  ~DeviceGuard() {
    if (changed_) static_cast<void>(cudaSetDevice(before_));
  }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int before_ = 0;
  bool changed_ = false;
};

}  // namespace dcase
