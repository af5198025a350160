#pragma once
// Bound by memory: each element is read and written once. A thread takes four neighbours at a time as one 16-byte
// access where all arrays are aligned to 16 (kVector), else single elements; a warp's accesses are contiguous either
// way.

#include "kernels/common/dialect.cuh"

namespace dcase::cuda {

struct ReluForwardFunction {
  __device__ float operator()(float x) const { return x < 0 ? 0.0F : x; }  // NaN stays
};
struct SigmoidForwardFunction {
  __device__ float operator()(float x) const { return 1.0F / (1.0F + expf(-x)); }
};
struct TanhForwardFunction {
  __device__ float operator()(float x) const { return tanhf(x); }
};
struct ScaleFunction {
  float alpha;
  __device__ float operator()(float x) const { return alpha * x; }
};
struct ScaleByFunction {
  const float* factor;
  __device__ float operator()(float x) const { return *factor * x; }
};
// Of the output y and its gradient dy.
struct ReluBackwardFunction {
  __device__ float operator()(float y, float dy) const { return y > 0 ? dy : 0.0F; }
};
struct SigmoidBackwardFunction {
  __device__ float operator()(float y, float dy) const { return dy * y * (1.0F - y); }
};
struct TanhBackwardFunction {
  __device__ float operator()(float y, float dy) const { return dy * (1.0F - y * y); }
};
struct AddFunction {
  __device__ float operator()(float a, float b) const { return a + b; }
};

inline constexpr int kElementwiseThreads = 256;

/// y[i] = f(x[i]), or y[i] += f(x[i]) with kAdd. y may be x.
template <class Function, bool kAdd, bool kVector>
__global__ void __launch_bounds__(kElementwiseThreads)
    map_kernel(const float* x, float* y, std::int64_t n, Function f) {
  const std::int64_t threads = std::int64_t{gridDim.x} * blockDim.x;
  const std::int64_t self = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::int64_t vectors = kVector ? n / 4 : 0;
  for (std::int64_t i = self; i < vectors; i += threads) {
    const float4 in = reinterpret_cast<const float4*>(x)[i];
    float4 out = {f(in.x), f(in.y), f(in.z), f(in.w)};
    if (kAdd) {
      const float4 before = reinterpret_cast<const float4*>(y)[i];
      out = {before.x + out.x, before.y + out.y, before.z + out.z, before.w + out.w};
    }
    reinterpret_cast<float4*>(y)[i] = out;
  }
  for (std::int64_t i = vectors * 4 + self; i < n; i += threads) y[i] = kAdd ? y[i] + f(x[i]) : f(x[i]);
}

/// y[i] = value
__global__ void __launch_bounds__(kElementwiseThreads) fill_kernel(float* y, std::int64_t n, float value) {
  const std::int64_t threads = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += threads) y[i] = value;
}

/// y[i] = x[i] rounded to float
__global__ void __launch_bounds__(kElementwiseThreads) narrow_kernel(const double* x, float* y, std::int64_t n) {
  const std::int64_t threads = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += threads) {
    y[i] = static_cast<float>(x[i]);
  }
}

/// z[i] = f(x[i], y[i]), or z[i] += f(x[i], y[i]) with kAdd. z may be x or y.
template <class Function, bool kAdd, bool kVector>
__global__ void __launch_bounds__(kElementwiseThreads)
    zip_kernel(const float* x, const float* y, float* z, std::int64_t n, Function f) {
  const std::int64_t threads = std::int64_t{gridDim.x} * blockDim.x;
  const std::int64_t self = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::int64_t vectors = kVector ? n / 4 : 0;
  for (std::int64_t i = self; i < vectors; i += threads) {
    const float4 a = reinterpret_cast<const float4*>(x)[i];
    const float4 b = reinterpret_cast<const float4*>(y)[i];
    float4 out = {f(a.x, b.x), f(a.y, b.y), f(a.z, b.z), f(a.w, b.w)};
    if (kAdd) {
      const float4 before = reinterpret_cast<const float4*>(z)[i];
      out = {before.x + out.x, before.y + out.y, before.z + out.z, before.w + out.w};
    }
    reinterpret_cast<float4*>(z)[i] = out;
  }
  for (std::int64_t i = vectors * 4 + self; i < n; i += threads) z[i] = kAdd ? z[i] + f(x[i], y[i]) : f(x[i], y[i]);
}

}  // namespace dcase::cuda
