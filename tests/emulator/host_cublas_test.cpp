#include <cublas_v2.h>
#include <cuda_bf16.h>

#include "tests/emulator/host_fixture.hpp"

namespace dcase::test {
namespace {

struct Handle {
  cublasHandle_t handle = nullptr;
  explicit Handle(const CudaStream& stream) {
    REQUIRE(cublasCreate(&handle) == CUBLAS_STATUS_SUCCESS);
    REQUIRE(cublasSetStream(handle, stream.native()) == CUBLAS_STATUS_SUCCESS);
    REQUIRE(cublasSetMathMode(handle, CUBLAS_PEDANTIC_MATH) == CUBLAS_STATUS_SUCCESS);
  }
  ~Handle() { cublasDestroy(handle); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

constexpr int kM = 2, kN = 3, kK = 4;

// Small whole numbers: every sum is exact, in bf16 as well.
float a_at(int i, int p) { return static_cast<float>(i + 2 * p - 3); }
float b_at(int p, int j) { return static_cast<float>(p - j + 1); }
float product(int i, int j) {
  float sum = 0;
  for (int p = 0; p < kK; ++p) sum += a_at(i, p) * b_at(p, j);
  return sum;
}

}  // namespace

TEST_CASE("fake cublas: float products in all four transpositions", "[fake]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  const Handle cublas(stream);
  cudaStream_t set = nullptr;
  CHECK(cublasGetStream(cublas.handle, &set) == CUBLAS_STATUS_SUCCESS);
  CHECK(set == stream.native());
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      INFO(ta << tb);
      const int lda = (ta ? kK : kM) + 1;  // a row of padding each
      const int ldb = (tb ? kN : kK) + 2;
      const int ldc = kM + 1;
      std::vector<float> a(static_cast<std::size_t>(lda * (ta ? kM : kK)), -99);
      std::vector<float> b(static_cast<std::size_t>(ldb * (tb ? kK : kN)), -99);
      std::vector<float> c(static_cast<std::size_t>(ldc * kN), 10);
      for (int i = 0; i < kM; ++i)
        for (int p = 0; p < kK; ++p) a[static_cast<std::size_t>(ta ? i * lda + p : p * lda + i)] = a_at(i, p);
      for (int p = 0; p < kK; ++p)
        for (int j = 0; j < kN; ++j) b[static_cast<std::size_t>(tb ? p * ldb + j : j * ldb + p)] = b_at(p, j);
      const DeviceBuffer<float> da(static_cast<std::int64_t>(a.size()));
      const DeviceBuffer<float> db(static_cast<std::int64_t>(b.size()));
      const DeviceBuffer<float> dc(static_cast<std::int64_t>(c.size()));
      da.upload(a);
      db.upload(b);
      dc.upload(c);
      const float alpha = 2;
      const float beta = 3;
      const std::uint64_t before = fake::counters().kernels;
      CHECK(cublasSgemm(cublas.handle, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_T : CUBLAS_OP_N, kM, kN, kK,
                        &alpha, da.data(), lda, db.data(), ldb, &beta, dc.data(), ldc) == CUBLAS_STATUS_SUCCESS);
      CHECK(fake::counters().kernels == before);  // waits in the stream
      stream.synchronize();
      const std::vector<float> result = dc.download();
      for (int j = 0; j < kN; ++j) {
        for (int i = 0; i < kM; ++i) CHECK(result[static_cast<std::size_t>(j * ldc + i)] == 2 * product(i, j) + 30);
        CHECK(result[static_cast<std::size_t>(j * ldc + kM)] == 10);
      }
    }
  }
}

TEST_CASE("fake cublas: batches of bf16 with float sums, and C not read where beta is 0", "[fake]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  const Handle cublas(stream);
  constexpr int kBatches = 2;
  std::vector<__nv_bfloat16> a;
  std::vector<__nv_bfloat16> b;
  for (int batch = 0; batch < kBatches; ++batch) {
    for (int p = 0; p < kK; ++p)
      for (int i = 0; i < kM; ++i) a.push_back(__float2bfloat16(a_at(i, p)));
    for (int j = 0; j < kN; ++j)
      for (int p = 0; p < kK; ++p) b.push_back(__float2bfloat16(b_at(p, j) * static_cast<float>(batch + 1)));
  }
  const DeviceBuffer<__nv_bfloat16> da(kBatches * kM * kK);
  const DeviceBuffer<__nv_bfloat16> db(kBatches * kK * kN);
  const DeviceBuffer<float> dc(kBatches * kM * kN);  // NaN
  const DeviceBuffer<__nv_bfloat16> rounded(kM * kN);
  da.upload(a);
  db.upload(b);
  const float alpha = 1;
  const float beta = 0;
  CHECK(cublasGemmStridedBatchedEx(cublas.handle, CUBLAS_OP_N, CUBLAS_OP_N, kM, kN, kK, &alpha, da.data(), CUDA_R_16BF,
                                   kM, kM * kK, db.data(), CUDA_R_16BF, kK, kK * kN, &beta, dc.data(), CUDA_R_32F, kM,
                                   kM * kN, kBatches, CUBLAS_COMPUTE_32F,
                                   CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS);
  CHECK(cublasGemmEx(cublas.handle, CUBLAS_OP_N, CUBLAS_OP_N, kM, kN, kK, &alpha, da.data(), CUDA_R_16BF, kM, db.data(),
                     CUDA_R_16BF, kK, &beta, rounded.data(), CUDA_R_16BF, kM, CUBLAS_COMPUTE_32F,
                     CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS);
  stream.synchronize();
  const std::vector<float> c = dc.download();
  const std::vector<__nv_bfloat16> r = rounded.download();
  for (int j = 0; j < kN; ++j) {
    for (int i = 0; i < kM; ++i) {
      const auto at = static_cast<std::size_t>(j * kM + i);
      CHECK(c[at] == product(i, j));
      CHECK(c[at + kM * kN] == 2 * product(i, j));
      CHECK(__bfloat162float(r[at]) == product(i, j));
    }
  }
}

TEST_CASE("fake cublas: what it refuses, and what faults", "[fake]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  const Handle cublas(stream);
  const DeviceBuffer<float> x(4);
  x.upload({1, 2, 3, 4});
  const float one = 1;
  const auto square = [&](int n, int leading, cudaDataType type) {
    return cublasGemmEx(cublas.handle, CUBLAS_OP_N, CUBLAS_OP_N, n, n, n, &one, x.data(), type, leading, x.data(), type,
                        leading, &one, x.data(), type, leading, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
  };
  CHECK(square(2, 1, CUDA_R_32F) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(square(2, 2, CUDA_R_64F) == CUBLAS_STATUS_NOT_SUPPORTED);
  CHECK(square(0, 1, CUDA_R_32F) == CUBLAS_STATUS_SUCCESS);
  CHECK(square(3, 3, CUDA_R_32F) == CUBLAS_STATUS_SUCCESS);  // the sizes are seen when it runs
  CHECK_THROWS_AS(stream.synchronize(), CudaError);
  CHECK_THAT(fake::last_fault(), Catch::Contains("reach beyond"));
  CHECK(square(1, 1, CUDA_R_32F) == CUBLAS_STATUS_EXECUTION_FAILED);
}

}  // namespace dcase::test
