#pragma once
/// Tensor maps: what copy_tensor and store_tensor (ptx.cuh) know of a tensor in global memory. A map is made on the
/// host and passed to the kernel as `const __grid_constant__ TensorMap`.

#include <cstdint>

#include "kernels/common/fragments.hpp"

namespace dcase {

/// The driver's CUtensorMap; its content is the driver's affair.
struct alignas(128) TensorMap {
  unsigned char opaque[128];
};

enum class TensorElement : std::uint8_t { kBf16, kFloat };

/// Axes count from the innermost, as the coordinates of the copies do.
struct TensorLayout {
  static constexpr int kMostAxes = 5;
  const void* global = nullptr;  // aligned to 16 bytes
  TensorElement element = TensorElement::kFloat;
  int rank = 0;                         // 2 to 5
  std::int64_t extent[kMostAxes] = {};  // elements, 1 to 2^32
  std::int64_t stride[kMostAxes] = {};  // elements; [0] is 1, the others are multiples of 16 bytes below 2^40
  std::int64_t box[kMostAxes] = {};     // elements that one copy moves, 1 to 256; [0] is a multiple of 16 bytes ...
  Swizzle swizzle = Swizzle::kNone;     // ... and exactly the span of the swizzle, where there is one
};

/// Throws Error(kArgument) where the layout breaks a rule above, kDevice where the driver has no tensor maps or refuses
/// this one.
[[nodiscard]] TensorMap make_tensor_map(const TensorLayout& layout);

}  // namespace dcase
