#pragma once
/// Backend: the device, stream and memory that a model and its tensors live on.

#include <cstdint>
#include <memory>

#include "engine/arena.hpp"
#include "kernels/common/context.hpp"

namespace dcase {

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
  /// backend for or this machine does not have.
  [[nodiscard]] static std::shared_ptr<Backend> on(Device device, Precision precision = Precision::kFp32);

  [[nodiscard]] const Context& context() const { return context_; }
  [[nodiscard]] Device device() const { return context_.device; }
  [[nodiscard]] Allocator& allocator() { return *context_.allocator; }
  [[nodiscard]] virtual Arena::Statistics memory() const = 0;

  // Memory of this backend. In stream order: what is put behind sees the result.
  virtual void fill(float* data, std::int64_t count, float value) = 0;
  virtual void copy(float* to, const float* from, std::int64_t count) = 0;
  /// From the host; the source may be reused when the call returns.
  virtual void upload(float* to, const float* host, std::int64_t count) = 0;
  /// To the host; waits for everything that was put into the stream before.
  virtual void download(float* host, const float* from, std::int64_t count) = 0;
  /// Waits for everything that was put into the stream before; throws what failed there.
  virtual void synchronise() = 0;

 protected:
  Backend() = default;
  Context context_;
};

using BackendPtr = std::shared_ptr<Backend>;

}  // namespace dcase
