#include "engine/backend.hpp"

#include <algorithm>

#ifdef DCASE_HAS_CUDA
#include "engine/cuda/cuda_backend.hpp"
#endif

namespace dcase {
namespace {

class CpuBackend final : public Backend {
 public:
  CpuBackend() { context_.allocator = &arena_; }

  [[nodiscard]] Arena::Statistics memory() const override { return arena_.statistics(); }
  void fill(float* data, std::int64_t count, float value) override { std::fill_n(data, count, value); }
  void copy(float* to, const float* from, std::int64_t count) override { std::copy_n(from, count, to); }
  void upload(float* to, const float* host, std::int64_t count) override { std::copy_n(host, count, to); }
  void download(float* host, const float* from, std::int64_t count) override { std::copy_n(from, count, host); }
  void synchronise() override {}

 private:
  Arena arena_;
};

}  // namespace

std::shared_ptr<Backend> Backend::cpu() { return std::make_shared<CpuBackend>(); }

std::shared_ptr<Backend> Backend::on(Device device, [[maybe_unused]] Precision precision) {
  if (device.is_cpu()) return cpu();
#ifdef DCASE_HAS_CUDA
  return make_cuda_backend(device, precision);
#else
  fail(ErrorKind::kDevice, "device ", device.name(), ": this build has no CUDA backend; use cpu");
#endif
}

}  // namespace dcase
