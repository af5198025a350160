#pragma once
/// Device memory by the plain calls, for tests.

#include <cuda_runtime_api.h>

#include <cstdint>
#include <vector>

#include "kernels/common/cuda_error.hpp"

namespace dcase::test {

template <class T>
class DeviceBuffer {
 public:
  explicit DeviceBuffer(std::int64_t size) : bytes_(static_cast<std::size_t>(size) * sizeof(T)) {
    void* block = nullptr;
    DCASE_CUDA_CALL(cudaMalloc(&block, bytes_));
    data_ = static_cast<T*>(block);
  }
  explicit DeviceBuffer(const std::vector<T>& values) : DeviceBuffer(static_cast<std::int64_t>(values.size())) {
    upload(values);
  }
  ~DeviceBuffer() { static_cast<void>(cudaFree(data_)); }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

  void upload(const std::vector<T>& values) const {
    DCASE_CUDA_CALL(cudaMemcpy(data_, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice));
  }
  /// Waits for the default stream, and with it for kernels that were launched there.
  [[nodiscard]] std::vector<T> download() const {
    std::vector<T> values(bytes_ / sizeof(T));
    DCASE_CUDA_CALL(cudaMemcpy(values.data(), data_, bytes_, cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  std::size_t bytes_;
  T* data_ = nullptr;
};

}  // namespace dcase::test
