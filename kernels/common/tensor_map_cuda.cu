#include "kernels/common/tensor_map.hpp"

#include <cuda.h>

#include <cstring>
#include <string>

#include "kernels/common/cuda_error.hpp"

namespace dcase {
namespace {

std::int64_t bytes_of(TensorElement element) { return element == TensorElement::kBf16 ? 2 : 4; }

// The rules of cuTensorMapEncodeTiled, and one of our own: where a box is narrower than its swizzle's span, the place
// of its rows in shared memory is not written down anywhere, so the widths must agree.
void check_layout(const TensorLayout& l) {
  constexpr std::int64_t kMostElements = std::int64_t{1} << 32;
  constexpr std::int64_t kStrideLimit = std::int64_t{1} << 40;
  const std::int64_t element = bytes_of(l.element);
  DCASE_CHECK(l.rank >= 2 && l.rank <= TensorLayout::kMostAxes, "tensor map: rank ", l.rank, ", it may be 2 to 5");
  DCASE_CHECK(l.global != nullptr && reinterpret_cast<std::uintptr_t>(l.global) % 16 == 0, "tensor map: the tensor at ",
              l.global, " is not aligned to 16 bytes");
  for (int i = 0; i < l.rank; ++i) {
    DCASE_CHECK(l.extent[i] >= 1 && l.extent[i] <= kMostElements, "tensor map: extent[", i, "] is ", l.extent[i],
                ", it may be 1 to 2^32");
    DCASE_CHECK(l.box[i] >= 1 && l.box[i] <= 256, "tensor map: box[", i, "] is ", l.box[i], ", it may be 1 to 256");
    DCASE_CHECK(i == 0 || (l.stride[i] > 0 && l.stride[i] < kStrideLimit / element && l.stride[i] * element % 16 == 0),
                "tensor map: stride[", i, "] is ", l.stride[i], " elements of ", element,
                " bytes, no multiple of 16 bytes below 2^40");
  }
  DCASE_CHECK(l.stride[0] == 1, "tensor map: stride[0] is ", l.stride[0], ", it may be 1");
  DCASE_CHECK(l.box[0] * element % 16 == 0, "tensor map: box[0] is ", l.box[0], " elements of ", element,
              " bytes, no multiple of 16 bytes");
  DCASE_CHECK(l.swizzle == Swizzle::kNone || l.box[0] * element == swizzle_span(l.swizzle), "tensor map: box[0] has ",
              l.box[0] * element, " bytes, the span of its swizzle has ", swizzle_span(l.swizzle));
}

std::string text_of(const TensorLayout& l) {
  std::string text = concat("element ", bytes_of(l.element), " bytes, swizzle ", swizzle_span(l.swizzle), " bytes");
  for (int i = 0; i < l.rank; ++i) {
    text += concat(", axis ", i, ": extent ", l.extent[i], " stride ", l.stride[i], " box ", l.box[i]);
  }
  return text;
}

// The driver's function, through the runtime: nothing here is linked with libcuda.
using Encode = decltype(&cuTensorMapEncodeTiled);
Encode driver_function() {
  constexpr unsigned kSince = 12000;  // CUDA 12.0
  void* entry = nullptr;
  cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
  DCASE_CUDA_CALL(
      cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &entry, kSince, cudaEnableDefault, &found));
  if (found != cudaDriverEntryPointSuccess || entry == nullptr) {
    fail(ErrorKind::kDevice, "tensor map: the driver has no cuTensorMapEncodeTiled, query result ",
         static_cast<int>(found));
  }
  return reinterpret_cast<Encode>(entry);
}

CUtensorMapSwizzle driver_swizzle(Swizzle swizzle) {
  switch (swizzle) {
    case Swizzle::k32:
      return CU_TENSOR_MAP_SWIZZLE_32B;
    case Swizzle::k64:
      return CU_TENSOR_MAP_SWIZZLE_64B;
    case Swizzle::k128:
      return CU_TENSOR_MAP_SWIZZLE_128B;
    default:
      return CU_TENSOR_MAP_SWIZZLE_NONE;
  }
}

}  // namespace

TensorMap make_tensor_map(const TensorLayout& layout) {
  check_layout(layout);
  cuuint64_t extents[TensorLayout::kMostAxes] = {};
  cuuint64_t strides[TensorLayout::kMostAxes] = {};  // bytes, from axis 1 on
  cuuint32_t box[TensorLayout::kMostAxes] = {};
  cuuint32_t steps[TensorLayout::kMostAxes] = {};
  for (int i = 0; i < layout.rank; ++i) {
    extents[i] = static_cast<cuuint64_t>(layout.extent[i]);
    box[i] = static_cast<cuuint32_t>(layout.box[i]);
    steps[i] = 1;
    if (i > 0) strides[i - 1] = static_cast<cuuint64_t>(layout.stride[i] * bytes_of(layout.element));
  }
  CUtensorMap map = {};
  const CUresult result = driver_function()(
      &map, layout.element == TensorElement::kBf16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
      static_cast<cuuint32_t>(layout.rank), const_cast<void*>(layout.global), extents, strides, box, steps,
      CU_TENSOR_MAP_INTERLEAVE_NONE, driver_swizzle(layout.swizzle), CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
      CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);  // what is outside becomes zero
  if (result != CUDA_SUCCESS) {
    fail(ErrorKind::kDevice, "tensor map: cuTensorMapEncodeTiled refuses with CUresult ", static_cast<int>(result),
         ": ", text_of(layout));
  }
  TensorMap out;
  static_assert(sizeof(TensorMap) == sizeof(CUtensorMap) && alignof(TensorMap) >= alignof(CUtensorMap));
  std::memcpy(&out, &map, sizeof(out));
  return out;
}

}  // namespace dcase
