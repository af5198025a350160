#pragma once
/// Failures of the CUDA runtime as exceptions. For sources that name CUDA: *_cuda.cu and engine/cuda.

#include <cuda_runtime_api.h>

#include "kernels/common/error.hpp"

namespace dcase {

/// kDevice, with the runtime's own code. The message names the call, the code and what it means.
class CudaError : public Error {
 public:
  CudaError(cudaError_t code, const std::string& message) : Error(ErrorKind::kDevice, message), code_(code) {}
  [[nodiscard]] cudaError_t code() const noexcept { return code_; }

 private:
  cudaError_t code_;
};

/// Throws CudaError unless `code` is success; what the thread's last error said is forgotten then, so that the next
/// call is not blamed for it.
inline void check_cuda(cudaError_t code, const char* call, const char* file, int line) {
  if (code == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());
  throw CudaError(
      code, concat(call, ": ", cudaGetErrorString(code), " (", cudaGetErrorName(code), ", ", file, ":", line, ")"));
}

}  // namespace dcase

/// DCASE_CUDA_CALL(cudaMemcpyAsync(...));
#define DCASE_CUDA_CALL(call) ::dcase::check_cuda(call, #call, __FILE__, __LINE__)
