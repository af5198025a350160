/// The fake libcublas: plain loops, in the stream like any operation. Products of float and bf16 with float sums; other
/// types, and scalars in device memory, are refused as not supported.

#include <cublas_v2.h>
#include <cuda_bf16.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "tests/emulator/fake_runtime.hpp"
#include "tests/emulator/grid.hpp"

using namespace dcase::emulator::fake;  // NOLINT(google-build-using-namespace): C functions stand outside of namespaces
using dcase::concat;

struct cublasContext {
  int device = 0;
  cudaStream_t stream = nullptr;
  cublasMath_t math = CUBLAS_DEFAULT_MATH;
  cublasPointerMode_t pointers = CUBLAS_POINTER_MODE_HOST;
};

namespace {

struct Matrix {
  void* data = nullptr;
  cudaDataType type = CUDA_R_32F;
  std::int64_t leading = 0;  // column-major
  std::int64_t stride = 0;   // from one matrix of a batch to the next
  const char* name = "";

  [[nodiscard]] std::size_t element() const { return type == CUDA_R_32F ? sizeof(float) : sizeof(__nv_bfloat16); }
  /// From the first element to the last of a matrix of these sizes.
  [[nodiscard]] std::size_t bytes(std::int64_t rows, std::int64_t columns) const {
    return static_cast<std::size_t>((columns - 1) * leading + rows) * element();
  }
  [[nodiscard]] std::byte* at(int batch) const {
    return static_cast<std::byte*>(data) + batch * stride * static_cast<std::int64_t>(element());
  }
};

struct Gemm {
  std::string name;
  cublasOperation_t op_a = CUBLAS_OP_N, op_b = CUBLAS_OP_N;
  std::int64_t m = 0, n = 0, k = 0;
  float alpha = 0, beta = 0;
  Matrix a, b, c;
  int batches = 1;
};

float load(const std::byte* base, cudaDataType type, std::int64_t i) {
  if (type == CUDA_R_32F) return reinterpret_cast<const float*>(base)[i];
  return __bfloat162float(reinterpret_cast<const __nv_bfloat16*>(base)[i]);
}

void store(std::byte* base, cudaDataType type, std::int64_t i, float value) {
  if (type == CUDA_R_32F) {
    reinterpret_cast<float*>(base)[i] = value;
  } else {
    reinterpret_cast<__nv_bfloat16*>(base)[i] = __float2bfloat16(value);
  }
}

/// The host's view of one matrix of the batch. Every byte of what is read must have been written.
std::byte* view(Runtime& r, const Gemm& g, const Matrix& matrix, int batch, std::int64_t rows, std::int64_t columns,
                bool read) {
  const std::size_t column = static_cast<std::size_t>(rows) * matrix.element();
  for (std::int64_t j = 0; read && j < columns; ++j) {
    const std::byte* start = matrix.at(batch) + j * matrix.leading * static_cast<std::int64_t>(matrix.element());
    if (r.memory->is_device_address(start) && !dcase::emulator::is_written(start, column)) {
      throw Fault(concat(g.name, ": ", matrix.name, " has elements that nothing has written"));
    }
  }
  return r.memory->content(matrix.at(batch), matrix.bytes(rows, columns), concat(g.name, ": ", matrix.name));
}

void run_gemm(Runtime& r, const Gemm& g) {
  const bool ta = g.op_a != CUBLAS_OP_N;
  const bool tb = g.op_b != CUBLAS_OP_N;
  for (int batch = 0; batch < g.batches; ++batch) {
    std::byte* c = view(r, g, g.c, batch, g.m, g.n, g.beta != 0);
    const std::byte* a = nullptr;
    const std::byte* b = nullptr;
    if (g.k > 0) {
      a = view(r, g, g.a, batch, ta ? g.k : g.m, ta ? g.m : g.k, true);
      b = view(r, g, g.b, batch, tb ? g.n : g.k, tb ? g.k : g.n, true);
    }
    for (std::int64_t j = 0; j < g.n; ++j) {
      for (std::int64_t i = 0; i < g.m; ++i) {
        float sum = 0;
        for (std::int64_t p = 0; p < g.k; ++p) {
          sum += load(a, g.a.type, ta ? i * g.a.leading + p : p * g.a.leading + i) *
                 load(b, g.b.type, tb ? p * g.b.leading + j : j * g.b.leading + p);
        }
        const std::int64_t at = j * g.c.leading + i;
        // With beta 0, C is not read: it may be anything.
        store(c, g.c.type, at, g.beta == 0 ? g.alpha * sum : g.alpha * sum + g.beta * load(c, g.c.type, at));
      }
      dcase::emulator::mark_written(g.c.at(batch) + j * g.c.leading * static_cast<std::int64_t>(g.c.element()),
                                    static_cast<std::size_t>(g.m) * g.c.element());
    }
  }
}

bool known(cudaDataType type) { return type == CUDA_R_32F || type == CUDA_R_16BF; }

cublasStatus_t enqueue(cublasHandle_t handle, Gemm g, const void* alpha, const void* beta) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  const bool ta = g.op_a != CUBLAS_OP_N;
  const bool tb = g.op_b != CUBLAS_OP_N;
  if (g.m < 0 || g.n < 0 || g.k < 0 || g.batches < 0 || alpha == nullptr || beta == nullptr ||
      g.a.leading < std::max<std::int64_t>(1, ta ? g.k : g.m) ||
      g.b.leading < std::max<std::int64_t>(1, tb ? g.n : g.k) || g.c.leading < std::max<std::int64_t>(1, g.m)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (handle->pointers != CUBLAS_POINTER_MODE_HOST || !known(g.a.type) || g.b.type != g.a.type || !known(g.c.type) ||
      (g.a.type == CUDA_R_32F && g.c.type != CUDA_R_32F)) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (g.m == 0 || g.n == 0 || g.batches == 0) return CUBLAS_STATUS_SUCCESS;
  g.alpha = *static_cast<const float*>(alpha);
  g.beta = *static_cast<const float*>(beta);
  const cudaError_t code = call(g.name.c_str(), [&](Runtime& r) {
    StreamState& stream = r.stream(handle->stream);
    if (stream.device != handle->device) {
      refuse(cudaErrorInvalidResourceHandle, "a handle of device ", handle->device, " with a stream of device ",
             stream.device);
    }
    r.submit(stream, {.kind = Kind::kKernel, .name = g.name, .run = [&r, g] { run_gemm(r, g); }});
  });
  return code == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

Matrix input(const void* data, cudaDataType type, std::int64_t leading, std::int64_t stride, const char* name) {
  return {.data = const_cast<void*>(data), .type = type, .leading = leading, .stride = stride, .name = name};
}

bool float_sums(cublasComputeType_t type) {
  return type == CUBLAS_COMPUTE_32F || type == CUBLAS_COMPUTE_32F_PEDANTIC || type == CUBLAS_COMPUTE_32F_FAST_TF32 ||
         type == CUBLAS_COMPUTE_32F_FAST_16BF;
}

}  // namespace

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = new cublasContext{.device = device};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetStream_v2(cublasHandle_t handle, cudaStream_t* stream) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  *stream = handle->stream;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->math = mode;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t* mode) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  *mode = handle->math;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t mode) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->pointers = mode;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, size_t bytes) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (reinterpret_cast<std::uintptr_t>(workspace) % 256 != 0 || (workspace == nullptr && bytes != 0)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetVersion_v2(cublasHandle_t, int* version) {
  *version = CUBLAS_VERSION;
  return CUBLAS_STATUS_SUCCESS;
}

const char* cublasGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    default:
      return "another status of cuBLAS";
  }
}

const char* cublasGetStatusString(cublasStatus_t status) { return cublasGetStatusName(status); }

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                              int k, const float* alpha, const float* a, int lda, const float* b, int ldb,
                              const float* beta, float* c, int ldc) {
  return enqueue(handle,
                 {.name = "cublasSgemm",
                  .op_a = transa,
                  .op_b = transb,
                  .m = m,
                  .n = n,
                  .k = k,
                  .a = input(a, CUDA_R_32F, lda, 0, "A"),
                  .b = input(b, CUDA_R_32F, ldb, 0, "B"),
                  .c = {.data = c, .leading = ldc, .name = "C"}},
                 alpha, beta);
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
                                          int m, int n, int k, const void* alpha, const void* a, cudaDataType a_type,
                                          int lda, long long stride_a, const void* b, cudaDataType b_type, int ldb,
                                          long long stride_b, const void* beta, void* c, cudaDataType c_type, int ldc,
                                          long long stride_c, int batches, cublasComputeType_t compute,
                                          cublasGemmAlgo_t) {
  if (!float_sums(compute)) return CUBLAS_STATUS_NOT_SUPPORTED;
  return enqueue(handle,
                 {.name = "cublasGemmStridedBatchedEx",
                  .op_a = transa,
                  .op_b = transb,
                  .m = m,
                  .n = n,
                  .k = k,
                  .a = input(a, a_type, lda, stride_a, "A"),
                  .b = input(b, b_type, ldb, stride_b, "B"),
                  .c = {.data = c, .type = c_type, .leading = ldc, .stride = stride_c, .name = "C"},
                  .batches = batches},
                 alpha, beta);
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                            int k, const void* alpha, const void* a, cudaDataType a_type, int lda, const void* b,
                            cudaDataType b_type, int ldb, const void* beta, void* c, cudaDataType c_type, int ldc,
                            cublasComputeType_t compute, cublasGemmAlgo_t algorithm) {
  return cublasGemmStridedBatchedEx(handle, transa, transb, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0, beta,
                                    c, c_type, ldc, 0, 1, compute, algorithm);
}

}  // extern "C"
