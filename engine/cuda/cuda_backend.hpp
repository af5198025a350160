#pragma once
/// The backend of a CUDA device: one stream, and memory in its order.

#include "engine/backend.hpp"

namespace dcase {

/// Throws Error(kDevice) where there is no such device, CudaError for what the runtime refuses.
[[nodiscard]] std::shared_ptr<Backend> make_cuda_backend(Device device, const BackendOptions& options);

}  // namespace dcase
