/// The one function of the fake driver, cuTensorMapEncodeTiled, and the fake runtime's way to it.

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <cstring>
#include <string>

#include "tests/emulator/fake_runtime.hpp"
#include "tests/emulator/tensor_box.hpp"

using namespace dcase::emulator::fake;  // NOLINT(google-build-using-namespace): C functions stand outside of namespaces

namespace {

// What the caller has checked (kernels/common/tensor_map.hpp) is not checked again.
CUresult encode_tiled(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, void* global,
                      const cuuint64_t* extents, const cuuint64_t* strides, const cuuint32_t* box,
                      const cuuint32_t* steps, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                      CUtensorMapL2promotion, CUtensorMapFloatOOBfill fill) {
  {
    Runtime& r = runtime();
    const std::scoped_lock lock(r.mutex);
    if (r.settings.major < 9) return CUDA_ERROR_NOT_SUPPORTED;
  }
  dcase::emulator::EncodedTensor tensor;
  if (rank == 0 || rank > dcase::emulator::EncodedTensor::kMostAxes || interleave != CU_TENSOR_MAP_INTERLEAVE_NONE ||
      fill != CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE || swizzle > CU_TENSOR_MAP_SWIZZLE_128B) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  tensor.global = static_cast<char*>(global);
  tensor.rank = static_cast<std::uint8_t>(rank);
  tensor.element_bytes = type == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 ? 2 : 4;
  tensor.swizzle_bits = static_cast<std::uint8_t>(swizzle);  // 32, 64, 128 bytes: 1, 2, 3
  for (cuuint32_t axis = 0; axis < rank; ++axis) {
    if (steps[axis] != 1) return CUDA_ERROR_INVALID_VALUE;
    tensor.extent[axis] = static_cast<std::int64_t>(extents[axis]);
    tensor.box[axis] = static_cast<std::int16_t>(box[axis]);
    if (axis > 0) tensor.stride_bytes[axis] = static_cast<std::int64_t>(strides[axis - 1]);
  }
  std::memcpy(map, &tensor, sizeof(tensor));
  return CUDA_SUCCESS;
}

}  // namespace

extern "C" cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** entry, unsigned int,
                                                        unsigned long long, cudaDriverEntryPointQueryResult* found) {
  return call("cudaGetDriverEntryPointByVersion", [&](Runtime&) {
    const bool known = std::string(symbol) == "cuTensorMapEncodeTiled";
    *entry = known ? reinterpret_cast<void*>(&encode_tiled) : nullptr;
    *found = known ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  });
}
