#pragma once
/// How pooling operators walk over two maps at once: the "fine" one (x, dx) and the "coarse" one with a value a window
/// (y, dy), which may group their channels differently. Shared by pool2d and batchnorm; not a contract of its own.
///
/// The innermost loop of all of them runs over `width` channels that are neighbours in both maps. Where the two have
/// the same grouping and there is no pool, several positions of a narrow map are taken as one of `tile` times the
/// width, so that a map of 1 or 8 channels fills vector registers as one of 64 does.

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "kernels/common/map.hpp"
#include "kernels/common/parallel.hpp"

namespace dcase::cpu {

/// A window size that is known to the compiler where it is one of the models' own (0 stands for any).
template <int kM, int kT>
struct Window {
  int runtime_m = 1;
  int runtime_t = 1;
  [[nodiscard]] int m() const { return kM > 0 ? kM : runtime_m; }
  [[nodiscard]] int t() const { return kT > 0 ? kT : runtime_t; }
};

/// Calls body(Window<..>) with the most specific type for pool_m x pool_t.
template <class Body>
void with_window(int pool_m, int pool_t, const Body& body) {
  if (pool_m == 1 && pool_t == 1) return body(Window<1, 1>{});
  if (pool_m == 2 && pool_t == 2) return body(Window<2, 2>{});
  if (pool_m == 2 && pool_t == 5) return body(Window<2, 5>{});
  body(Window<0, 0>{pool_m, pool_t});
}

/// One row of windows in one run of channels, or a stretch of positions without windows (count of them, window 1x1).
struct RowSpan {
  std::int64_t fine = 0;    // offset of the first element in the fine map
  std::int64_t coarse = 0;  // and in the coarse one
  std::int64_t count = 0;   // windows
  std::int64_t width = 0;   // channels (times tile) of each, neighbours in memory
  std::int64_t lane = 0;    // where its channels start in per-lane arrays (PooledMaps::lanes)
};

/// Sizes and strides of a pair of maps.
class PooledMaps {
 public:
  /// Checks the coarse map against the fine one. `op` and the field names are for the message.
  template <class A, class B>
  PooledMaps(const char* op, const char* fine_field, const View<A>& fine, const char* coarse_field,
             const View<B>& coarse, int pool_m, int pool_t)
      : pool_m_(pool_m), pool_t_(pool_t) {
    check_pooled(op, fine_field, fine, coarse_field, coarse, pool_m, pool_t);
    items_ = fine.dim(0);
    channels_ = channels(fine);
    fine_m_ = fine.dim(2);
    fine_t_ = fine.dim(3);
    fine_b_ = fine.dim(4);
    coarse_m_ = fine_m_ / pool_m;
    coarse_t_ = fine_t_ / pool_t;
    coarse_b_ = coarse.dim(4);
    run_ = std::max<std::int64_t>(1, std::gcd(fine_b_, coarse_b_));
    if (fine_b_ == coarse_b_ && pool_m == 1 && pool_t == 1) tile_ = std::max<std::int64_t>(1, kTiledWidth / run_);
  }

  [[nodiscard]] std::int64_t channel_count() const { return channels_; }
  [[nodiscard]] std::int64_t position_count() const { return items_ * fine_m_ * fine_t_; }
  [[nodiscard]] std::int64_t window_row_count() const { return items_ * coarse_m_; }
  [[nodiscard]] std::int64_t fine_row_count() const { return items_ * fine_m_; }
  /// Distances in memory: from window to window in either map, and of rows and frames inside a window.
  [[nodiscard]] std::int64_t coarse_step() const { return coarse_b_ * tile_; }
  [[nodiscard]] std::int64_t fine_step() const { return fine_b_ * tile_ * pool_t_; }
  [[nodiscard]] std::int64_t fine_row() const { return fine_t_ * fine_b_; }
  [[nodiscard]] std::int64_t fine_frame() const { return fine_b_; }

  /// Length of per-channel arrays in tiled form: channel c of run r stands `tile` times at lanes r * run * tile + ...
  [[nodiscard]] std::int64_t lanes() const { return channels_ * tile_; }
  [[nodiscard]] std::int64_t channel_of_lane(std::int64_t lane) const {
    const std::int64_t wide = run_ * tile_;
    return lane / wide * run_ + lane % run_;
  }

  /// sums[c] += the lanes of channel c.
  void fold_lanes(const double* lanes, double* sums) const {
    for (std::int64_t c = 0; c < channels_; c += run_) {
      for (std::int64_t i = 0; i < tile_; ++i) {
        for (std::int64_t j = 0; j < run_; ++j) sums[c + j] += lanes[c * tile_ + i * run_ + j];
      }
    }
  }

  /// Rows of windows a chunk of fixed work holds.
  [[nodiscard]] std::int64_t rows_per_chunk() const {
    return std::max<std::int64_t>(1, kRowChunkElements / std::max<std::int64_t>(1, pool_m_ * fine_t_ * channels_));
  }

  /// Calls body(RowSpan) for every run of channels of window rows [begin, end) (row r is row r % M' of item r / M' of
  /// the coarse map). Rows are the inner loop: those of one run follow each other in the memory of a blocked map.
  template <class Body>
  void for_spans(std::int64_t begin, std::int64_t end, const Body& body) const {
    for (std::int64_t c = 0; c < channels_; c += run_) {
      for (std::int64_t row = begin; row < end; ++row) {
        const std::int64_t item = row / coarse_m_;
        const std::int64_t m = row % coarse_m_;
        RowSpan span;
        span.fine = element(item, c, m * pool_m_, fine_m_, fine_t_, fine_b_);
        span.coarse = element(item, c, m, coarse_m_, coarse_t_, coarse_b_);
        span.lane = c * tile_;
        span.width = run_ * tile_;
        span.count = coarse_t_ / tile_;
        if (span.count > 0) body(span);
        // The positions that fill no whole tile: one narrower group (their lanes start as every tile's do).
        const std::int64_t rest = coarse_t_ % tile_;
        if (rest > 0) {
          span.fine += span.count * fine_step();
          span.coarse += span.count * coarse_step();
          span.width = run_ * rest;
          span.count = 1;
          body(span);
        }
      }
    }
  }

  /// Calls body(RowSpan) for every stretch of row `row` of the fine map (item row / M, row % M) that no window covers.
  template <class Body>
  void for_uncovered(std::int64_t row, const Body& body) const {
    if (pool_m_ == 1 && pool_t_ == 1) return;
    const std::int64_t item = row / fine_m_;
    const std::int64_t m = row % fine_m_;
    const std::int64_t first = m < coarse_m_ * pool_m_ ? coarse_t_ * pool_t_ : 0;
    if (first == fine_t_) return;
    for (std::int64_t c = 0; c < channels_; c += run_) {
      RowSpan span;
      span.fine = element(item, c, m, fine_m_, fine_t_, fine_b_) + first * fine_b_;
      span.lane = c;
      span.width = run_;
      span.count = fine_t_ - first;
      body(span);
    }
  }

 private:
  static constexpr std::int64_t kTiledWidth = 64;            // channels a tiled row is widened to, about
  static constexpr std::int64_t kRowChunkElements = 131072;  // 512 KiB of floats

  /// Offset of frame 0 of row m, channel c in a map of rows x frames with groups of b channels.
  [[nodiscard]] std::int64_t element(std::int64_t item, std::int64_t c, std::int64_t m, std::int64_t rows,
                                     std::int64_t frames, std::int64_t b) const {
    const std::int64_t lane = c % b;
    return (item * channels_ + c - lane) * rows * frames + m * frames * b + lane;
  }

  std::int64_t items_ = 0;
  std::int64_t channels_ = 0;
  std::int64_t fine_m_ = 0;
  std::int64_t fine_t_ = 0;
  std::int64_t fine_b_ = 0;
  std::int64_t coarse_m_ = 0;
  std::int64_t coarse_t_ = 0;
  std::int64_t coarse_b_ = 0;
  std::int64_t run_ = 1;   // channels that are neighbours in both maps
  std::int64_t tile_ = 1;  // positions taken as one
  int pool_m_ = 1;
  int pool_t_ = 1;
};

}  // namespace dcase::cpu
