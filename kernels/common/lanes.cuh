#pragma once
/// How blocks divide arrays [rows, channels] whose channels are neighbours in memory: a thread keeps one column, of
/// kWidth channels, and walks over rows; the columns of a block are its lanes. What belongs to a channel then stays in
/// registers, a warp reads contiguous memory, and no element needs a division.

#include <algorithm>

#include "kernels/common/dialect.cuh"
#include "kernels/common/launch.hpp"
#include "kernels/common/view.hpp"

namespace dcase::cuda {

inline constexpr unsigned kLaneThreads = 256;
inline constexpr unsigned kMostLanes = 32;  // of a block: at least eight rows are left to share a reduction

/// Four neighbours as one access of 16 bytes, which must be aligned, or one.
template <int kWidth>
struct Vector {
  float at[kWidth];
};

template <int kWidth>
__device__ __forceinline__ Vector<kWidth> load_vector(const float* p) {
  static_assert(kWidth == 1 || kWidth == 4);
  if constexpr (kWidth == 4) {
    const float4 v = *reinterpret_cast<const float4*>(p);
    return {{v.x, v.y, v.z, v.w}};
  } else {
    return {{*p}};
  }
}

/// Overwrites, or accumulates.
template <int kWidth>
__device__ __forceinline__ void put_vector(float* p, Vector<kWidth> v, bool accumulate) {
  if (accumulate) {
    const Vector<kWidth> before = load_vector<kWidth>(p);
    DCASE_UNROLL
    for (int i = 0; i < kWidth; ++i) v.at[i] += before.at[i];
  }
  if constexpr (kWidth == 4) {
    *reinterpret_cast<float4*>(p) = {v.at[0], v.at[1], v.at[2], v.at[3]};
  } else {
    *p = v.at[0];
  }
}

/// Whether a launcher may take four neighbours at a time: all pointers (absent ones too) are aligned to 16 bytes.
template <class... Pointers>
[[nodiscard]] bool aligned16(const Pointers*... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) % 16 == 0) && ...);
}

/// Grid: (blocks along the rows, blocks along the channels, anything); threads beyond rows * lanes have no work.
struct Lanes {
  unsigned channels;  // of the array
  unsigned lanes;     // columns of a block
  unsigned rows;      // that a block takes at a time
  unsigned blocks;    // that all columns need: gridDim.y

  Lanes(const char* op, std::int64_t channel_count, int width) {
    const std::int64_t columns = std::max<std::int64_t>(1, channel_count / width);
    DCASE_CHECK(columns <= 65535 * std::int64_t{kMostLanes}, op, ": ", channel_count, " channels, at most ",
                65535 * std::int64_t{kMostLanes} * width);
    channels = static_cast<unsigned>(channel_count);
    blocks = static_cast<unsigned>((columns + kMostLanes - 1) / kMostLanes);
    lanes = static_cast<unsigned>((columns + blocks - 1) / blocks);
    rows = kLaneThreads / lanes;
  }

  /// Blocks along `row_count` rows for threads that go on by grid-sized strides, `batch` rows at a time.
  [[nodiscard]] unsigned strided(std::int64_t row_count, int batch) const {
    const std::int64_t enough = (row_count + rows * batch - 1) / (rows * batch);
    return static_cast<unsigned>(std::clamp<std::int64_t>(enough, 1, std::max<std::int64_t>(1, kMostBlocks / blocks)));
  }
};

/// The first channel of a column of the block.
template <int kWidth>
[[nodiscard]] __device__ __forceinline__ unsigned channel_of(const Lanes& l, unsigned column) {
  return (blockIdx.y * l.lanes + column) * kWidth;
}

/// What a thread has of them.
template <int kWidth>
struct Lane {
  unsigned row;      // of the block's rows
  unsigned channel;  // the first of the column's
  bool active;       // false: no such row or column

  __device__ explicit Lane(const Lanes& l)
      : row(threadIdx.x / l.lanes), channel(channel_of<kWidth>(l, threadIdx.x % l.lanes)) {
    active = row < l.rows && channel < l.channels;
  }
};

/// The sums over a block's rows of what its threads wrote to sums[which][thread] before a barrier, in order:
/// put(which, column, sum) for every one, shared among the threads. Reads go along the lanes: no bank conflicts.
template <int kSums, class Put>
__device__ __forceinline__ void add_rows(const double (&sums)[kSums][kLaneThreads], const Lanes& l, const Put& put) {
  for (unsigned task = threadIdx.x; task < kSums * l.lanes; task += kLaneThreads) {
    const unsigned which = task / l.lanes;
    const unsigned column = task % l.lanes;
    double sum = 0;
    for (unsigned row = 0; row < l.rows; ++row) sum += sums[which][row * l.lanes + column];
    put(which, column, sum);
  }
}

}  // namespace dcase::cuda
