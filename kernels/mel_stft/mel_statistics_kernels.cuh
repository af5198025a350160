#pragma once
// Rows of a spectrogram over time. A warp takes a row: no barriers, and rows of a few hundred frames, which the two
// passes over them read again, stay in the first-level cache. Bound by memory.

#include "kernels/common/dialect.cuh"

namespace dcase::cuda {

inline constexpr int kRowThreads = 256;  // 8 rows of a block

struct RowMoments {
  double mean;
  double std;  // unbiased; 0 for one frame
};

/// The sum over the lanes, the same bits in each of them.
__device__ __forceinline__ double warp_sum(double value) {
  DCASE_UNROLL for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_xor_sync(0xFFFFFFFFU, value, lanes);
  return value;
}

/// Two passes in double: mean, then centred squares. E[x^2]-E[x]^2 loses the deviation when |mean| >> std.
__device__ __forceinline__ RowMoments row_moments(const float* x, std::int64_t T, int lane) {
  double sum = 0;
  for (std::int64_t t = lane; t < T; t += 32) sum += static_cast<double>(x[t]);
  const double mean = T > 0 ? warp_sum(sum) / static_cast<double>(T) : 0;
  double squares = 0;
  for (std::int64_t t = lane; t < T; t += 32) {
    const double deviation = static_cast<double>(x[t]) - mean;
    squares += deviation * deviation;
  }
  return {mean, T > 1 ? sqrt(warp_sum(squares) / static_cast<double>(T - 1)) : 0};
}

/// The warp's row.
__device__ __forceinline__ std::int64_t row_of_warp() {
  return std::int64_t{blockIdx.x} * (kRowThreads / 32) + threadIdx.x / 32;
}

__global__ void __launch_bounds__(kRowThreads)
    mel_statistics_kernel(const float* x, float* mean, float* std, std::int64_t rows, std::int64_t T) {
  const std::int64_t row = row_of_warp();
  if (row >= rows) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const RowMoments m = row_moments(x + row * T, T, lane);
  if (lane == 0) {
    mean[row] = static_cast<float>(m.mean);
    std[row] = static_cast<float>(m.std);
  }
}

/// What rows are normalised by: row r by mean[r mod given] and std[r mod given], or by its own where `given` is 0.
struct RowStatistics {
  const float* mean;
  const float* std;
  std::int64_t given;
  double std_floor;
};

/// x -> (x - mean) / max(std, std_floor) in a row. In double: with a deviation at the floor, the rounding of a float
/// mean would be multiplied by 1000.
struct RowNorm {
  double mean;
  double inverse;
  __device__ __forceinline__ float operator()(float x) const {
    return static_cast<float>((static_cast<double>(x) - mean) * inverse);
  }
};

__device__ __forceinline__ RowNorm row_norm(const float* x, std::int64_t row, std::int64_t T, const RowStatistics& s,
                                            int lane) {
  const RowMoments m =
      s.given > 0 ? RowMoments{static_cast<double>(s.mean[row % s.given]), static_cast<double>(s.std[row % s.given])}
                  : row_moments(x, T, lane);
  return {m.mean, 1 / (m.std < s.std_floor ? s.std_floor : m.std)};
}

__global__ void __launch_bounds__(kRowThreads)
    mel_normalize_kernel(float* x, std::int64_t rows, std::int64_t T, RowStatistics statistics) {
  const std::int64_t row = row_of_warp();
  if (row >= rows) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  float* const values = x + row * T;
  const RowNorm norm = row_norm(values, row, T, statistics, lane);
  for (std::int64_t t = lane; t < T; t += 32) values[t] = norm(values[t]);
}

/// Row m of item n and of item perm[n], normalised and mixed. Each row is read by two warps, and normalised by both:
/// cheaper than another pass over the batch. An index that is none of the batch makes NaN.
__global__ void __launch_bounds__(kRowThreads)
    mel_normalize_mixup_kernel(const float* x, const std::int64_t* perm, float* y, std::int64_t rows, std::int64_t M,
                               std::int64_t T, RowStatistics statistics, float lam, float rest) {
  const std::int64_t row = row_of_warp();
  if (row >= rows) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t partner = perm[row / M];
  const bool known = partner >= 0 && partner < rows / M;
  const std::int64_t other = known ? partner * M + row % M : row;
  const float factor = known ? rest : NAN;
  const float* const first = x + row * T;
  const float* const second = x + other * T;
  const RowNorm own = row_norm(first, row, T, statistics, lane);
  const RowNorm its = row_norm(second, other, T, statistics, lane);
  for (std::int64_t t = lane; t < T; t += 32) y[row * T + t] = fmaf(lam, own(first[t]), factor * its(second[t]));
}

/// y[r, t] = x[r, t mod T]
__global__ void __launch_bounds__(kRowThreads)
    mel_repeat_kernel(const float* x, float* y, std::int64_t rows, std::int64_t T, std::int64_t T2) {
  const std::int64_t row = row_of_warp();
  if (row >= rows) return;
  for (std::int64_t t = threadIdx.x % 32; t < T2; t += 32) y[row * T2 + t] = x[row * T + t % T];
}

}  // namespace dcase::cuda
