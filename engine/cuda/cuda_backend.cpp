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
  CudaBackend(Device device, Precision precision) : stream_(device), arena_(device, stream_.handle()) {
    context_ = {.device = device, .stream = stream_.handle(), .allocator = &arena_, .precision = precision};
  }

  [[nodiscard]] Arena::Statistics memory() const override { return arena_.statistics(); }

  void fill(float* data, std::int64_t count, float value) override {
    dcase::fill<float>({.y = View<float>(data, {count}), .value = value}, context_);
  }
  void copy(float* to, const float* from, std::int64_t count) override {
    transfer(to, from, count, cudaMemcpyDeviceToDevice);
  }
  // The runtime stages pageable sources before it returns.
  void upload(float* to, const float* host, std::int64_t count) override {
    transfer(to, host, count, cudaMemcpyHostToDevice);
  }
  void download(float* host, const float* from, std::int64_t count) override {
    transfer(host, from, count, cudaMemcpyDeviceToHost);
    synchronise();
  }
  void synchronise() override { stream_.synchronize(); }

 private:
  void transfer(float* to, const float* from, std::int64_t count, cudaMemcpyKind kind) {
    if (count == 0) return;
    const DeviceGuard guard(device().index);
    DCASE_CUDA_CALL(cudaMemcpyAsync(to, from, static_cast<std::size_t>(count) * sizeof(float), kind, stream_.native()));
  }

  CudaStream stream_;
  DeviceArena arena_;
};

}  // namespace

std::shared_ptr<Backend> make_cuda_backend(Device device, Precision precision) {
  static_cast<void>(choose_device(device.name()));  // throws where it cannot be used, with the reason
  return std::make_shared<CudaBackend>(device, precision);
}

}  // namespace dcase
