#pragma once
/// A CUDA context, and buffers that go there and back, for tests of operators.

#include "engine/cuda/device_arena.hpp"
#include "tests/cuda/cuda_test.hpp"
#include "tests/cuda/device_buffer.hpp"
#include "tests/support/compare.hpp"

namespace dcase::test {

class CudaContext {
 public:
  explicit CudaContext(Precision precision = Precision::kFp32)
      : stream_(kGpu),
        arena_(kGpu, stream_.handle()),
        context_{.device = kGpu, .stream = stream_.handle(), .allocator = &arena_, .precision = precision} {}
  [[nodiscard]] operator const Context&() const { return context_; }  // NOLINT(google-explicit-constructor)
  [[nodiscard]] const CudaStream& stream() const { return stream_; }

 private:
  CudaStream stream_;
  DeviceArena arena_;
  Context context_;
};

/// A copy of a host buffer in device memory. Pointers are as aligned as those of the host's view.
class OnDevice {
 public:
  /// Shifts the copy by `offset` elements from its 256-byte alignment.
  explicit OnDevice(View<const float> host, std::int64_t offset = 0)
      : memory_(host.size() + offset + 1), offset_(offset), shape_(host) {
    std::vector<float> all(static_cast<std::size_t>(host.size() + offset + 1), 0.0F);
    for (std::int64_t i = 0; i < host.size(); ++i) all[static_cast<std::size_t>(i + offset)] = host[i];
    memory_.upload(all);
  }
  [[nodiscard]] View<float> view() const {
    View<float> view;
    view.data = memory_.data() + offset_;
    view.rank = shape_.rank;
    for (int i = 0; i < view.rank; ++i) view.shape[i] = shape_.shape[i];
    return view;
  }
  /// Waits for everything; into a buffer of the same size.
  void download(View<float> host) const {
    DCASE_CUDA_CALL(cudaDeviceSynchronize());
    const std::vector<float> all = memory_.download();
    for (std::int64_t i = 0; i < host.size(); ++i) host[i] = all[static_cast<std::size_t>(i + offset_)];
  }

 private:
  DeviceBuffer<float> memory_;
  std::int64_t offset_;
  View<const float> shape_;
};

}  // namespace dcase::test
