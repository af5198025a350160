#pragma once
/// Backend: the device, stream and memory that a model and its tensors live on.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "engine/arena.hpp"
#include "kernels/common/context.hpp"

namespace dcase {

struct BackendOptions {
  Precision precision = Precision::kFp32;  ///< of matrix products; the CPU takes kFp32 alone
  /// Of device memory; more than that is an error (out of memory), as where the device has no more. CUDA alone.
  std::size_t memory_limit = std::numeric_limits<std::size_t>::max();
};

/// Shared by everything that lives on it; several models may share one. Memory calls are thread-safe; operators of one
/// backend run in the order of its stream.
class Backend {
 public:
  virtual ~Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  /// A backend on the CPU with an arena of its own.
  [[nodiscard]] static std::shared_ptr<Backend> cpu();
  /// On any device, with a stream and an arena of its own. Throws Error(kDevice) for a device that this build has no
  /// backend for or this machine does not have, Error(kArgument) for options that the device does not take.
  [[nodiscard]] static std::shared_ptr<Backend> on(Device device, const BackendOptions& options = {});

  [[nodiscard]] const Context& context() const { return context_; }
  [[nodiscard]] Device device() const { return context_.device; }
  /// "cpu", "cuda:0", "cuda:0 bf16": what results depend on in their rounding.
  [[nodiscard]] std::string name() const;
  [[nodiscard]] Allocator& allocator() { return *context_.allocator; }
  [[nodiscard]] virtual Arena::Statistics memory() const = 0;

  // Memory of this backend. In stream order: what is put behind sees the result.
  virtual void fill(float* data, std::int64_t count, float value) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;
  /// From memory of another backend of the same device: behind what stands in its stream now, and ahead of what its
  /// allocator hands `block` out for later. `from` lies in `block`.
  virtual void copy_from(Backend& source, void* to, const void* from, std::size_t bytes, void* block) = 0;
  /// From the host; the source may be reused when the call returns.
  virtual void upload(void* to, const void* host, std::size_t bytes) = 0;
  /// To the host; waits for everything that was put into the stream before.
  virtual void download(void* host, const void* from, std::size_t bytes) = 0;
  /// Waits for everything that was put into the stream before; throws what failed there.
  virtual void synchronise() = 0;

 protected:
  Backend() = default;
  Context context_;
};

using BackendPtr = std::shared_ptr<Backend>;

struct DeviceChoice {
  Device device;
  std::string reason;  ///< one sentence, for the log
};

/// "cpu", "cuda" (the first device), "cuda:N" or "auto": the first CUDA device that can be used, otherwise the CPU.
/// `cuda` where there is none, or in a build without CUDA, throws Error(kDevice) with the reason, never another device;
/// any other text throws Error(kUsage).
[[nodiscard]] DeviceChoice choose_device(const std::string& text);
/// The device that such a text names; "auto" names the CPU. Throws Error(kUsage).
[[nodiscard]] Device parse_device(const std::string& text);

}  // namespace dcase
