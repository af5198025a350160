#include "engine/cuda/cuda_backend.hpp"

#include "engine/cuda/device.hpp"
#include "engine/cuda/device_arena.hpp"
#include "engine/cuda/stream.hpp"
#include "kernels/common/device_guard.hpp"
#include "kernels/elementwise/elementwise.hpp"

namespace dcase {
namespace {

class CudaBackend final : public Backend {
 public:
  CudaBackend(Device device, const BackendOptions& options)
      : stream_(device), arena_(device, stream_.handle(), options.memory_limit) {
    context_ = {.device = device, .stream = stream_.handle(), .allocator = &arena_, .precision = options.precision};
  }

  [[nodiscard]] Arena::Statistics memory() const override { return arena_.statistics(); }

  void fill(float* data, std::int64_t count, float value) override {
    dcase::fill<float>({.y = View<float>(data, {count}), .value = value}, context_);
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    transfer(to, from, bytes, cudaMemcpyDeviceToDevice);
  }
  void copy_from(Backend& source, void* to, const void* from, std::size_t bytes, void* block) override {
    auto& other = dynamic_cast<CudaBackend&>(source);
    const CudaEvent ready(device());
    ready.record(other.stream_.handle());
    stream_.wait(ready);
    copy(to, from, bytes);
    other.arena_.record_use(block, stream_.handle());
  }
  // The runtime stages pageable sources before it returns.
  void upload(void* to, const void* host, std::size_t bytes) override {
    transfer(to, host, bytes, cudaMemcpyHostToDevice);
  }
  void download(void* host, const void* from, std::size_t bytes) override {
    transfer(host, from, bytes, cudaMemcpyDeviceToHost);
    synchronise();
  }
  void synchronise() override { stream_.synchronize(); }

 private:
  void transfer(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    if (bytes == 0) return;
    const DeviceGuard guard(device().index);
    DCASE_CUDA_CALL(cudaMemcpyAsync(to, from, bytes, kind, stream_.native()));
  }

  CudaStream stream_;
  DeviceArena arena_;
};

}  // namespace

std::shared_ptr<Backend> make_cuda_backend(Device device, const BackendOptions& options) {
  static_cast<void>(choose_device(device.name()));  // throws where it cannot be used, with the reason
  return std::make_shared<CudaBackend>(device, options);
}

}  // namespace dcase
