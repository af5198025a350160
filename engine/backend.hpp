#pragma once
/// Backend: the device, stream and memory that a model and its tensors live on.

#include <memory>

#include "engine/arena.hpp"
#include "kernels/common/context.hpp"

namespace dcase {

/// Shared by everything that lives on it; several models may share one. Thread-safe.
class Backend {
 public:
  /// A backend on the CPU with an arena of its own.
  [[nodiscard]] static std::shared_ptr<Backend> cpu() { return std::make_shared<Backend>(Device{}); }

  /// Throws Error(kDevice) for a device that this build has no backend for.
  explicit Backend(Device device);

  [[nodiscard]] const Context& context() const { return context_; }
  [[nodiscard]] Device device() const { return context_.device; }
  [[nodiscard]] Arena& arena() { return arena_; }

 private:
  Arena arena_;
  Context context_;
};

using BackendPtr = std::shared_ptr<Backend>;

}  // namespace dcase
