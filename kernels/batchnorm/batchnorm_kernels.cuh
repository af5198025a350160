#pragma once
// Bound by memory: statistics read x once, forward reads x and writes y, backward reads x and dy twice and writes dx.
// A thread has one or four channels for good, their parameters in registers, and takes one window of positions after
// the other (kernels/common/lanes.cuh, windows.cuh): contiguous along the channels, several loads under way.
//
// Sums: a thread adds a few neighbours in float and those sums in double; the threads of a block are added in order,
// then the blocks in order. So the bits depend on the sizes alone, and double arithmetic costs one operation for some
// elements.

#include "kernels/common/windows.cuh"

namespace dcase::cuda {

struct BatchnormParameters {
  const float* mean;  // [C]; so all
  const float* variance;
  const float* gamma;
  const float* beta;
  float eps;
  bool relu;
};

/// z = (x - mean) * scale + beta of a thread's channels. The difference comes first: folding the mean into one offset
/// would cancel where |mean| >> deviation. Forward and both passes of backward share the expression, so that all see
/// the same side of the ReLU.
template <int kWidth>
struct Normaliser {
  Vector<kWidth> mean, scale, beta;

  __device__ Normaliser(const BatchnormParameters& p, unsigned channel) {
    DCASE_UNROLL
    for (int i = 0; i < kWidth; ++i) {
      mean.at[i] = p.mean[channel + i];
      scale.at[i] = p.gamma[channel + i] * (1.0F / sqrtf(p.variance[channel + i] + p.eps));
      beta.at[i] = p.beta[channel + i];
    }
  }
  __device__ __forceinline__ float operator()(float x, int i) const {
    return fmaf(x - mean.at[i], scale.at[i], beta.at[i]);
  }
};

/// y = pool(act(z)). y may be x.
template <class Kind>
__global__ void __launch_bounds__(kLaneThreads)
    batchnorm_forward_kernel(const float* x, float* y, BatchnormParameters p, typename Kind::Walk windows,
                             Lanes lanes) {
  constexpr int kWidth = Kind::width;
  const Lane<kWidth> lane(lanes);
  if (!lane.active) return;
  const Normaliser<kWidth> normalise(p, lane.channel);
  const float inverse = 1.0F / static_cast<float>(windows.m() * windows.t());
  x += windows.fine.channel(lane.channel);
  y += windows.coarse.channel(lane.channel);
  const unsigned step = gridDim.x * lanes.rows;
  for (unsigned w = blockIdx.x * lanes.rows + lane.row; w < windows.count; w += Kind::batch * step) {
    Vector<kWidth> means[Kind::batch];
    DCASE_UNROLL
    for (int b = 0; b < Kind::batch; ++b) {
      if (w + b * step >= windows.count) break;
      const float* const in = x + windows.place(w + b * step).fine;
      Vector<kWidth> sum = {};
      for (unsigned m = 0; m < windows.m(); ++m) {
        const float* at = in + m * windows.fine.row;
        for (unsigned t = 0; t < windows.t(); ++t, at += windows.fine.frame) {
          const Vector<kWidth> value = load_vector<kWidth>(at);
          DCASE_UNROLL
          for (int i = 0; i < kWidth; ++i) {
            const float z = normalise(value.at[i], i);
            sum.at[i] += p.relu && z < 0 ? 0.0F : z;  // a NaN passes
          }
        }
      }
      DCASE_UNROLL
      for (int i = 0; i < kWidth; ++i) means[b].at[i] = sum.at[i] * inverse;
    }
    DCASE_UNROLL
    for (int b = 0; b < Kind::batch; ++b) {
      if (w + b * step < windows.count) {
        put_vector<kWidth>(y + windows.place(w + b * step).coarse, means[b], false);
      }
    }
  }
}

/// What batchnorm_sums_kernel adds up for the statistics: x - x0 and its square, x0 the channel's first value.
///
/// Float sums would not do: where x0 is far from the mean, the differences are rounded and the variance cancels. So up
/// to n = 8 values are taken together, relative to the first of them, k: with s = sum (x - k) and m = s / n nearly, the
/// spread sum (x - k - m)^2 is all that is squared in float. The rest follows in double, with M = k + m - x0:
///   sum (x - x0) = s + n (k - x0) = S,   sum (x - x0)^2 = spread + M (2 S - n M), whatever m is.
template <int kVectorWidth>
struct StatisticsTerms {
  using Walk = Windows<1, 1>;
  static constexpr int kWidth = kVectorWidth;
  static constexpr int kBatch = 8;

  struct Channels {
    const float* x;
    Vector<kWidth> origin;
  };
  [[nodiscard]] __device__ Channels of(const Walk& windows, unsigned channel) const {
    const float* const first = x + windows.fine.channel(channel);
    return {first, load_vector<kWidth>(first)};
  }
  /// `count` windows, step apart, 1 to kBatch.
  __device__ __forceinline__ void add(const Channels& c, const Walk& windows, unsigned window, unsigned step, int count,
                                      double* sum, double* square) const {
    Vector<kWidth> value[kBatch];
    value[0] = load_vector<kWidth>(c.x + windows.place(window).fine);
    DCASE_UNROLL
    for (int b = 1; b < kBatch; ++b) {
      value[b] = b < count ? load_vector<kWidth>(c.x + windows.place(window + b * step).fine) : value[0];
    }
    const float inverse = 1.0F / static_cast<float>(count);
    DCASE_UNROLL
    for (int i = 0; i < kWidth; ++i) {
      const float k = value[0].at[i];
      float s = 0;
      DCASE_UNROLL
      for (int b = 1; b < kBatch; ++b) s += value[b].at[i] - k;
      const float m = s * inverse;
      float spread = 0;
      DCASE_UNROLL
      for (int b = 0; b < kBatch; ++b) {
        const float e = b < count ? value[b].at[i] - k - m : 0.0F;
        spread = fmaf(e, e, spread);
      }
      const double first = static_cast<double>(k) - static_cast<double>(c.origin.at[i]);
      const double total = static_cast<double>(s) + count * first;
      const double middle = static_cast<double>(m) + first;
      sum[i] += total;
      square[i] += static_cast<double>(spread) + middle * (2 * total - count * middle);
    }
  }

  const float* x;
};

/// What it adds up for the gradients: dz and dz * (x - mean).
template <class Kind>
struct GradientTerms {
  using Walk = typename Kind::Walk;
  static constexpr int kWidth = Kind::width;
  static constexpr int kBatch = Kind::batch;

  struct Channels {
    const float* x;
    const float* dy;
    Normaliser<kWidth> normalise;
  };
  [[nodiscard]] __device__ Channels of(const Walk& windows, unsigned channel) const {
    return {x + windows.fine.channel(channel), dy + windows.coarse.channel(channel), {parameters, channel}};
  }
  __device__ __forceinline__ void add(const Channels& c, const Walk& windows, unsigned window, unsigned step, int count,
                                      double* sum_dz, double* sum_product) const {
    const float inverse = 1.0F / static_cast<float>(windows.m() * windows.t());
    Vector<kWidth> dz_sum = {};
    Vector<kWidth> product = {};
    DCASE_UNROLL
    for (int b = 0; b < kBatch; ++b) {
      if (b >= count) break;
      const WindowPlace place = windows.place(window + b * step);
      const Vector<kWidth> gradient = load_vector<kWidth>(c.dy + place.coarse);
      for (unsigned m = 0; m < windows.m(); ++m) {
        const float* at = c.x + place.fine + m * windows.fine.row;
        for (unsigned t = 0; t < windows.t(); ++t, at += windows.fine.frame) {
          const Vector<kWidth> value = load_vector<kWidth>(at);
          DCASE_UNROLL
          for (int i = 0; i < kWidth; ++i) {
            const bool off = parameters.relu && !(c.normalise(value.at[i], i) > 0);
            const float dz = off ? 0.0F : gradient.at[i] * inverse;
            dz_sum.at[i] += dz;
            product.at[i] = fmaf(dz, value.at[i] - c.normalise.mean.at[i], product.at[i]);
          }
        }
      }
    }
    DCASE_UNROLL
    for (int i = 0; i < kWidth; ++i) {
      sum_dz[i] += static_cast<double>(dz_sum.at[i]);
      sum_product[i] += static_cast<double>(product.at[i]);
    }
  }

  const float* x;
  const float* dy;
  BatchnormParameters parameters;
};

/// partial[chunk, which, c] = the first or second sum of Terms for channel c over the windows of the chunk.
/// Grid: (chunks, blocks of lanes).
template <class Terms>
__global__ void __launch_bounds__(kLaneThreads)
    batchnorm_sums_kernel(Terms terms, double* partial, typename Terms::Walk windows, Lanes lanes, unsigned chunk) {
  constexpr int kWidth = Terms::kWidth;
  DCASE_SHARED(double, sums, [2 * kWidth][kLaneThreads]);  // [sum and channel, row and lane]
  const Lane<kWidth> lane(lanes);
  double first[kWidth] = {};
  double second[kWidth] = {};
  if (lane.active) {
    const typename Terms::Channels channels = terms.of(windows, lane.channel);
    const unsigned begin = blockIdx.x * chunk;
    const unsigned end = windows.count - begin < chunk ? windows.count : begin + chunk;
    const unsigned step = lanes.rows;
    for (unsigned w = begin + lane.row; w < end; w += Terms::kBatch * step) {
      const unsigned left = (end - w + step - 1) / step;
      terms.add(channels, windows, w, step, left < Terms::kBatch ? static_cast<int>(left) : Terms::kBatch, first,
                second);
    }
  }
  DCASE_UNROLL
  for (int i = 0; i < kWidth; ++i) {
    sums[i][threadIdx.x] = first[i];
    sums[kWidth + i][threadIdx.x] = second[i];
  }
  __syncthreads();  // the sums of all rows are there
  double* const of_block = partial + std::int64_t{2} * blockIdx.x * lanes.channels;
  add_rows(sums, lanes, [&](unsigned which, unsigned column, double sum) {
    const unsigned channel = channel_of<kWidth>(lanes, column) + which % kWidth;
    if (channel < lanes.channels) of_block[std::int64_t{which / kWidth} * lanes.channels + channel] = sum;
  });
}

inline constexpr unsigned kFinishChannels = 8;  // of a block: 64 contiguous bytes
inline constexpr unsigned kFinishRows = 32;     // chunks that it adds at a time

/// finish(c, first, second) with the sums of channel c over all chunks. A block for eight channels; there are as many
/// chunks as fill a GPU, so the rows of threads share them.
template <class Finish>
__global__ void __launch_bounds__(kFinishChannels* kFinishRows)
    batchnorm_finish_kernel(const double* partial, unsigned chunks, unsigned channels, Finish finish) {
  DCASE_SHARED(double, sums, [2][kFinishRows][kFinishChannels]);
  const unsigned column = threadIdx.x % kFinishChannels;
  const unsigned row = threadIdx.x / kFinishChannels;
  const unsigned channel = blockIdx.x * kFinishChannels + column;
  double first = 0;
  double second = 0;
  if (channel < channels) {
    for (unsigned chunk = row; chunk < chunks; chunk += kFinishRows) {
      const double* const of_chunk = partial + std::int64_t{2} * chunk * channels + channel;
      first += of_chunk[0];
      second += of_chunk[channels];
    }
  }
  sums[0][row][column] = first;
  sums[1][row][column] = second;
  __syncthreads();  // the sums of all rows are there
  if (row > 0 || channel >= channels) return;
  for (unsigned other = 1; other < kFinishRows; ++other) {
    first += sums[0][other][column];
    second += sums[1][other][column];
  }
  finish(channel, first, second);
}

/// From the sums of x - x0 and of its square.
struct StatisticsFinish {
  const float* x;
  MapStrides strides;
  double count;
  float* mean;
  float* variance;

  __device__ void operator()(unsigned c, double sum, double square) const {
    const double shift = sum / count;
    const double v = square / count - shift * shift;
    mean[c] = static_cast<float>(static_cast<double>(x[strides.channel(c)]) + shift);
    variance[c] = static_cast<float>(v < 0 ? 0.0 : v);  // a NaN passes
  }
};

/// dbeta and dgamma (or null) from the sums of dz and of dz * (x - mean); and, with offset and slope (or null), what is
/// left of the gradient's formula: dx = scale * dz - offset - slope * (x - mean).
struct GradientFinish {
  const float* variance;
  const float* gamma;
  double eps;
  double count;
  float* dgamma;
  float* dbeta;
  bool add_dgamma, add_dbeta;
  float* offset;
  float* slope;

  __device__ void operator()(unsigned c, double sum_dz, double sum_product) const {
    const double r = 1 / sqrt(static_cast<double>(variance[c]) + eps);
    const auto dg = static_cast<float>(sum_product * r);
    const auto db = static_cast<float>(sum_dz);
    if (dgamma != nullptr) dgamma[c] = add_dgamma ? dgamma[c] + dg : dg;
    if (dbeta != nullptr) dbeta[c] = add_dbeta ? dbeta[c] + db : db;
    if (offset == nullptr) return;
    const double scale = static_cast<double>(gamma[c]) * r;
    offset[c] = static_cast<float>(scale * sum_dz / count);
    slope[c] = static_cast<float>(scale * r * r * sum_product / count);
  }
};

/// dx = scale * dz - offset - slope * (x - mean), or += with `accumulate`; constant statistics have no offset and slope
/// (null). Visits the partial windows too, whose dz is 0.
/// Two blocks at least: without a number ptxas spills, to fit more threads than the loads under way need.
template <class Kind>
__global__ void __launch_bounds__(kLaneThreads, 2)
    batchnorm_dx_kernel(const float* __restrict__ x, const float* __restrict__ dy, float* __restrict__ dx,
                        BatchnormParameters p, const float* __restrict__ offset, const float* __restrict__ slope,
                        bool accumulate, typename Kind::Walk windows, Lanes lanes) {
  constexpr int kWidth = Kind::width;
  const Lane<kWidth> lane(lanes);
  if (!lane.active) return;
  const Normaliser<kWidth> normalise(p, lane.channel);
  Vector<kWidth> constant = {};
  Vector<kWidth> linear = {};
  if (offset != nullptr) {
    DCASE_UNROLL
    for (int i = 0; i < kWidth; ++i) {
      constant.at[i] = offset[lane.channel + i];
      linear.at[i] = slope[lane.channel + i];
    }
  }
  const float inverse = 1.0F / static_cast<float>(windows.m() * windows.t());
  const std::int64_t first = windows.fine.channel(lane.channel);
  dy += windows.coarse.channel(lane.channel);
  const unsigned step = gridDim.x * lanes.rows;
  for (unsigned w0 = blockIdx.x * lanes.rows + lane.row; w0 < windows.count; w0 += Kind::batch * step) {
    DCASE_UNROLL
    for (int b = 0; b < Kind::batch; ++b) {
      const unsigned w = w0 + b * step;
      if (w >= windows.count) break;
      const WindowPlace place = windows.place(w);
      const Vector<kWidth> gradient = place.whole ? load_vector<kWidth>(dy + place.coarse) : Vector<kWidth>{};
      // A window of known size is unrolled and masked at the edge of the map; any other ends there.
      const unsigned rows = Kind::m > 0 ? Kind::m : place.rows;
      const unsigned frames = Kind::t > 0 ? Kind::t : place.frames;
      for (unsigned m = 0; m < rows; ++m) {
        std::int64_t at = first + place.fine + m * windows.fine.row;
        for (unsigned t = 0; t < frames; ++t, at += windows.fine.frame) {
          if (m >= place.rows || t >= place.frames) continue;
          const Vector<kWidth> value = load_vector<kWidth>(x + at);
          Vector<kWidth> out;
          DCASE_UNROLL
          for (int i = 0; i < kWidth; ++i) {
            const bool off = p.relu && !(normalise(value.at[i], i) > 0);
            const float dz = off ? 0.0F : gradient.at[i] * inverse;
            const float rest = fmaf(linear.at[i], value.at[i] - normalise.mean.at[i], constant.at[i]);
            out.at[i] = fmaf(normalise.scale.at[i], dz, -rest);
          }
          put_vector<kWidth>(dx + at, out, accumulate);
        }
      }
    }
  }
}

/// The running statistics; a thread for a channel.
__global__ void __launch_bounds__(kLaneThreads)
    batchnorm_running_kernel(const float* mean, const float* variance, float* running_mean, float* running_variance,
                             unsigned channels, double momentum, double unbiased) {
  const unsigned c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= channels) return;
  const double keep = 1 - momentum;
  running_mean[c] =
      static_cast<float>(keep * static_cast<double>(running_mean[c]) + momentum * static_cast<double>(mean[c]));
  running_variance[c] = static_cast<float>(keep * static_cast<double>(running_variance[c]) +
                                           momentum * unbiased * static_cast<double>(variance[c]));
}

}  // namespace dcase::cuda
