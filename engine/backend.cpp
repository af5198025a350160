#include "engine/backend.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#ifdef DCASE_HAS_CUDA
#include "engine/cuda/cuda_backend.hpp"
#include "engine/cuda/device.hpp"
#endif

namespace dcase {
namespace {

class CpuBackend final : public Backend {
 public:
  CpuBackend() { context_.allocator = &arena_; }

  [[nodiscard]] Arena::Statistics memory() const override { return arena_.statistics(); }
  void fill(float* data, std::int64_t count, float value) override { std::fill_n(data, count, value); }
  void copy(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void copy_from(Backend&, void* to, const void* from, std::size_t bytes, void*) override { copy(to, from, bytes); }
  void upload(void* to, const void* host, std::size_t bytes) override { std::memcpy(to, host, bytes); }
  void download(void* host, const void* from, std::size_t bytes) override { std::memcpy(host, from, bytes); }
  void synchronise() override {}

 private:
  Arena arena_;
};

}  // namespace

std::string Backend::name() const {
  const char* const precision = context_.precision == Precision::kTf32   ? " tf32"
                                : context_.precision == Precision::kBf16 ? " bf16"
                                                                         : "";
  return device().name() + precision;
}

std::shared_ptr<Backend> Backend::cpu() { return std::make_shared<CpuBackend>(); }

std::shared_ptr<Backend> Backend::on(Device device, const BackendOptions& options) {
  if (device.is_cpu()) {
    DCASE_CHECK(options.precision == Precision::kFp32, "backend: the CPU computes in fp32 alone");
    return cpu();
  }
#ifdef DCASE_HAS_CUDA
  return make_cuda_backend(device, options);
#else
  fail(ErrorKind::kDevice, "device ", device.name(), ": this build has no CUDA backend; use cpu");
#endif
}

Device parse_device(const std::string& text) {
  if (text == "cpu" || text == "auto") return {};
  if (text == "cuda") return {DeviceType::kCuda, 0};
  const std::string prefix = "cuda:";
  if (text.starts_with(prefix)) {
    int index = 0;
    const char* const last = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + prefix.size(), last, index);
    if (parsed.ec == std::errc{} && parsed.ptr == last && index >= 0) return {DeviceType::kCuda, index};
  }
  fail(ErrorKind::kUsage, "device '", text, "': it may be auto, cpu, cuda or cuda:N");
}

DeviceChoice choose_device(const std::string& text) {
#ifdef DCASE_HAS_CUDA
  return choose_device(text, built_architectures());
#else
  const Device device = parse_device(text);
  if (!device.is_cpu()) fail(ErrorKind::kDevice, "device ", text, ": this build has no CUDA backend; use cpu");
  return {device, text == "cpu" ? "the CPU, as asked for" : "auto: the CPU, since this build has no CUDA backend"};
#endif
}

}  // namespace dcase
