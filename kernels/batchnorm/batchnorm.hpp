#pragma once
/// Batch normalisation over the positions (N, M, T) of a map, with the ReLU and the average pool that follow it in a
/// convolution block fused in. Ioffe and Szegedy (2015); numbers as torch.nn.BatchNorm2d.
///
/// One training step is: batchnorm_statistics, batchnorm_update_running, batchnorm_forward; then batchnorm_backward.
/// Evaluation is batchnorm_forward on the running statistics. Backward needs x and the statistics, nothing else: the
/// normalised map and the ReLU mask are recomputed, because reading a saved map costs more than the arithmetic.
///
/// CUDA takes maps of up to 2^31 - 1 positions; sums are taken in float over a few neighbours of a thread, and from
/// there on in double, in an order that the sizes alone decide.
///
/// Maps are [N,G,M,T,B] (kernels/common/map.hpp); C = G * B. All operators are thread-safe on distinct outputs, give
/// the same bits for every number of threads (not for every instruction set), and throw Error(kArgument) on shapes that
/// do not fit.

#include <cstdint>

#include "kernels/common/context.hpp"
#include "kernels/common/map.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

/// mean[c] = sum x / P,  variance[c] = sum (x - mean[c])^2 / P,  P = N * M * T >= 1. The biased variance.
/// Accumulates x - x0[c] in double (x0: the channel's first value), so |mean| >> deviation loses nothing.
template <class Real>
struct BatchnormStatistics {
  View<const Real> x;   // [N,G,M,T,B]
  View<Real> mean;      // [C], overwritten
  View<Real> variance;  // [C], overwritten
};

/// running_mean = (1 - momentum) * running_mean + momentum * mean
/// running_variance = (1 - momentum) * running_variance + momentum * variance * count / (count - 1)
/// `count` = N * M * T of the batch. Like PyTorch it refuses count < 2, which has no unbiased variance.
template <class Real>
struct BatchnormUpdateRunning {
  View<const Real> mean;      // [C], from batchnorm_statistics
  View<const Real> variance;  // [C]
  std::int64_t count = 0;
  double momentum = 0.1;
  View<Real> running_mean;      // [C], updated
  View<Real> running_variance;  // [C], updated
};

/// y = pool(act((x - mean) * gamma / sqrt(variance + eps) + beta))
/// act is the ReLU or the identity; pool is the mean over windows of pool_m x pool_t positions, stride as the window.
/// Rows and frames that fill no window are left out (floor mode), so y may be empty. y may have another grouping than
/// x: a blocked [N,4,M,T,16] map goes straight to channels-last [N,1,M/pool_m,T/pool_t,64].
template <class Real>
struct BatchnormForward {
  View<const Real> x;         // [N,G,M,T,B]
  View<const Real> mean;      // [C], of the batch, or the running one
  View<const Real> variance;  // [C]
  View<const Real> gamma;     // [C]
  View<const Real> beta;      // [C]
  double eps = 1e-5;
  bool relu = false;
  int pool_m = 1;
  int pool_t = 1;
  View<Real> y;  // [N,G',M/pool_m,T/pool_t,B'], overwritten; the same memory as x only with pool 1x1 and x's grouping
};

/// The gradient of batchnorm_forward, with z = (x - mean) * r * gamma + beta, r = 1 / sqrt(variance + eps) and
/// dz = act'(z) * pool'(dy), P = N * M * T:
///   dbeta = sum dz,   dgamma = sum dz * (x - mean) * r
///   dx = gamma * r * (dz - dbeta / P - (x - mean) * r * dgamma / P)   statistics of the batch (training)
///   dx = gamma * r * dz                                               constant statistics (evaluation)
/// Positions that no window covers have dz = 0 but take part in P and in dx.
template <class Real>
struct BatchnormBackward {
  View<const Real> x;         // [N,G,M,T,B]
  View<const Real> mean;      // [C], as in forward
  View<const Real> variance;  // [C]
  View<const Real> gamma;     // [C]
  View<const Real> beta;      // [C]
  double eps = 1e-5;
  bool relu = false;
  int pool_m = 1;
  int pool_t = 1;
  View<const Real> dy;  // [N,G',M/pool_m,T/pool_t,B']
  bool batch_statistics = true;
  View<Real> dx = {};      // [N,G,M,T,B], or absent; overlaps no other argument
  View<Real> dgamma = {};  // [C], or absent
  View<Real> dbeta = {};   // [C], or absent
  GradMode dx_mode = GradMode::kSet;
  GradMode dgamma_mode = GradMode::kSet;
  GradMode dbeta_mode = GradMode::kSet;
};

namespace cpu {
template <class Real>
void batchnorm_statistics(const BatchnormStatistics<Real>& a, const Context& context);  // float, double
template <class Real>
void batchnorm_update_running(const BatchnormUpdateRunning<Real>& a, const Context& context);  // float, double
template <class Real>
void batchnorm_forward(const BatchnormForward<Real>& a, const Context& context);  // float, double
template <class Real>
void batchnorm_backward(const BatchnormBackward<Real>& a, const Context& context);  // float, double
}  // namespace cpu

namespace cuda {
void batchnorm_statistics(const BatchnormStatistics<float>& a, const Context& context);
void batchnorm_update_running(const BatchnormUpdateRunning<float>& a, const Context& context);
void batchnorm_forward(const BatchnormForward<float>& a, const Context& context);
void batchnorm_backward(const BatchnormBackward<float>& a, const Context& context);
}  // namespace cuda

/// Throw Error(kArgument) where a call breaks the contract.
template <class Real>
void check(const BatchnormStatistics<Real>& a) {
  const char* op = "batchnorm_statistics";
  check_map(op, "x", a.x);
  check_shape(op, "mean", a.mean, {channels(a.x)});
  check_shape(op, "variance", a.variance, {channels(a.x)});
  DCASE_CHECK(channels(a.x) == 0 || positions(a.x) >= 1, op, ": x ", shape_string(a.x),
              " has no positions to take statistics of");
}

template <class Real>
void check(const BatchnormUpdateRunning<Real>& a) {
  const char* op = "batchnorm_update_running";
  DCASE_CHECK(a.mean.rank == 1, op, ": mean has shape ", shape_string(a.mean), ", expected [C]");
  const std::int64_t c = a.mean.dim(0);
  check_shape(op, "mean", a.mean, {c});
  check_shape(op, "variance", a.variance, {c});
  check_shape(op, "running_mean", a.running_mean, {c});
  check_shape(op, "running_variance", a.running_variance, {c});
  DCASE_CHECK(a.count >= 2, op, ": ", a.count,
              " value(s) a channel have no unbiased variance; training needs batches of two or more");
  DCASE_CHECK(a.momentum >= 0 && a.momentum <= 1, op, ": momentum is ", a.momentum);
}

/// The parameters that normalise, as forward and backward take them.
template <class Args>
void check_normaliser(const char* op, const Args& a) {
  const std::int64_t c = channels(a.x);
  check_shape(op, "mean", a.mean, {c});
  check_shape(op, "variance", a.variance, {c});
  check_shape(op, "gamma", a.gamma, {c});
  check_shape(op, "beta", a.beta, {c});
  DCASE_CHECK(a.eps >= 0, op, ": eps is ", a.eps);
}

template <class Real>
void check(const BatchnormForward<Real>& a) {
  const char* op = "batchnorm_forward";
  check_pooled(op, "x", a.x, "y", a.y, a.pool_m, a.pool_t);
  check_normaliser(op, a);
}

template <class Real>
void check(const BatchnormBackward<Real>& a) {
  const char* op = "batchnorm_backward";
  check_pooled(op, "x", a.x, "dy", a.dy, a.pool_m, a.pool_t);
  check_normaliser(op, a);
  if (a.dx.present()) {
    DCASE_CHECK(same_shape(a.dx, a.x), op, ": dx has shape ", shape_string(a.dx), ", x ", shape_string(a.x));
  }
  if (a.dgamma.present()) check_shape(op, "dgamma", a.dgamma, {channels(a.x)});
  if (a.dbeta.present()) check_shape(op, "dbeta", a.dbeta, {channels(a.x)});
}

/// Runs on context.device. Takes scratch memory (a few doubles a channel and chunk) from context.allocator.
template <class Real>
void batchnorm_statistics(const BatchnormStatistics<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::batchnorm_statistics(a, context);
  }
  require_cpu(context, "batchnorm_statistics");
  cpu::batchnorm_statistics(a, context);
}

/// Runs on context.device.
template <class Real>
void batchnorm_update_running(const BatchnormUpdateRunning<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::batchnorm_update_running(a, context);
  }
  require_cpu(context, "batchnorm_update_running");
  cpu::batchnorm_update_running(a, context);
}

/// Runs on context.device. Takes scratch memory of a few numbers a channel.
template <class Real>
void batchnorm_forward(const BatchnormForward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::batchnorm_forward(a, context);
  }
  require_cpu(context, "batchnorm_forward");
  cpu::batchnorm_forward(a, context);
}

/// Runs on context.device. Takes scratch memory (a few doubles a channel and chunk) from context.allocator.
template <class Real>
void batchnorm_backward(const BatchnormBackward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::batchnorm_backward(a, context);
  }
  require_cpu(context, "batchnorm_backward");
  cpu::batchnorm_backward(a, context);
}

/// One reading of x.
template <class Real>
[[nodiscard]] Cost cost(const BatchnormStatistics<Real>& a) {
  const double n = static_cast<double>(a.x.size());
  return {.flops = 4 * n, .bytes = n * sizeof(Real)};
}

/// One reading of x, one writing of y.
template <class Real>
[[nodiscard]] Cost cost(const BatchnormForward<Real>& a) {
  const double n = static_cast<double>(a.x.size());
  return {.flops = (a.relu ? 5 : 4) * n, .bytes = (n + static_cast<double>(a.y.size())) * sizeof(Real)};
}

/// Two readings of x and dy, one writing of dx (and its reading where it accumulates).
template <class Real>
[[nodiscard]] Cost cost(const BatchnormBackward<Real>& a) {
  const double n = static_cast<double>(a.x.size());
  const double maps = a.dx.present() ? (a.dx_mode == GradMode::kAdd ? 4 : 3) : 1;
  const double dy_reads = a.dx.present() ? 2 : 1;
  return {.flops = (a.dx.present() ? 14 : 7) * n,
          .bytes = (maps * n + dy_reads * static_cast<double>(a.dy.size())) * sizeof(Real)};
}

}  // namespace dcase
