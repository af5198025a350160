#pragma once
/// How kernels walk over a map [N,G,M,T,B] and the map of its pooling windows, which may group its channels otherwise:
/// "fine" is x or dx, "coarse" y or dy. Without a pool windows are single positions. Windows of all items are numbered
/// one behind the other; a thread has some channels for good (lanes.cuh) and takes one window after the other.

#include <limits>

#include "kernels/common/lanes.cuh"
#include "kernels/common/map.hpp"

namespace dcase::cuda {

/// Distances between elements of a map.
struct MapStrides {
  std::int64_t item, group, row;
  unsigned frame;  // the channels of a group
  [[nodiscard]] __device__ __forceinline__ std::int64_t channel(unsigned c) const {
    return c / frame * group + c % frame;
  }
};

/// Where a window stands: its first element for channel 0 in the fine map, its element in the coarse one, and how many
/// rows and frames of it are on the map. One that is not whole has no element in the coarse map.
struct WindowPlace {
  std::int64_t fine, coarse;
  unsigned rows, frames;
  bool whole;
};

/// kM x kT is the size of a window where it is known to the compiler, or 0 x 0.
template <int kM, int kT>
struct Windows {
  MapStrides fine, coarse;
  unsigned count;               // of all items
  unsigned along_m, along_t;    // of an item
  unsigned whole_m, whole_t;    // those of them that lie on the map entirely
  unsigned fine_m, fine_t;      // rows and frames of the fine map
  unsigned window_m, window_t;  // size of a window

  [[nodiscard]] __device__ __forceinline__ unsigned m() const { return kM > 0 ? kM : window_m; }
  [[nodiscard]] __device__ __forceinline__ unsigned t() const { return kT > 0 ? kT : window_t; }

  [[nodiscard]] __device__ __forceinline__ WindowPlace place(unsigned window) const {
    const unsigned frame = window % along_t;
    const unsigned line = window / along_t;
    const unsigned row = line % along_m;
    const std::int64_t item = line / along_m;
    WindowPlace p;
    p.fine = item * fine.item + row * m() * fine.row + std::int64_t{frame} * t() * fine.frame;
    p.coarse = item * coarse.item + row * coarse.row + std::int64_t{frame} * coarse.frame;
    const unsigned rows_left = fine_m - row * m();
    const unsigned frames_left = fine_t - frame * t();
    p.rows = rows_left < m() ? rows_left : m();
    p.frames = frames_left < t() ? frames_left : t();
    p.whole = row < whole_m && frame < whole_t;
    return p;
  }
};

/// What a kernel is compiled for: the window, and how many channels a thread has.
template <int kM, int kT, int kWidth>
struct WindowKind {
  static constexpr int m = kM;
  static constexpr int t = kT;
  static constexpr int width = kWidth;
  /// Windows that a thread takes together, so that at least four loads are under way.
  static constexpr int batch = kM * kT == 1 ? 4 : 1;
  using Walk = Windows<kM, kT>;
};

/// Calls body(WindowKind<..>) with the most specific kind: the models' windows have kernels of their own, which take
/// four channels at a time where the groups of both maps and the pointers allow it.
template <class A, class B, class Body>
void with_windows(const View<A>& fine, const View<B>& coarse, int pool_m, int pool_t, bool aligned, const Body& body) {
  const bool vector = aligned && fine.dim(4) % 4 == 0 && coarse.dim(4) % 4 == 0;
  if (pool_m == 1 && pool_t == 1) return vector ? body(WindowKind<1, 1, 4>{}) : body(WindowKind<1, 1, 1>{});
  if (pool_m == 2 && pool_t == 2) return vector ? body(WindowKind<2, 2, 4>{}) : body(WindowKind<2, 2, 1>{});
  if (pool_m == 2 && pool_t == 5) return vector ? body(WindowKind<2, 5, 4>{}) : body(WindowKind<2, 5, 1>{});
  body(WindowKind<0, 0, 1>{});
}

/// Which windows a kernel visits: rows and frames that fill no window have no value, but a gradient (of zero, or of the
/// statistics they took part in).
enum class Partial : std::uint8_t { kLeftOut, kVisited };

template <class Walk, class A, class B>
[[nodiscard]] Walk walk_windows(const char* op, const View<A>& fine, const View<B>& coarse, int pool_m, int pool_t,
                                Partial partial) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  DCASE_CHECK(positions(fine) <= kMost && channels(fine) <= kMost, op, ": a map of ", positions(fine),
              " positions and ", channels(fine), " channels, at most ", kMost, " of either");
  const auto strides = [](const auto& map) {
    const std::int64_t row = map.dim(3) * map.dim(4);
    return MapStrides{.item = map.dim(1) * map.dim(2) * row,
                      .group = map.dim(2) * row,
                      .row = row,
                      .frame = static_cast<unsigned>(map.dim(4))};
  };
  const auto along = [partial](std::int64_t size, int window) {
    return static_cast<unsigned>((size + (partial == Partial::kVisited ? window - 1 : 0)) / window);
  };
  Walk w;
  w.fine = strides(fine);
  w.coarse = strides(coarse);
  w.along_m = along(fine.dim(2), pool_m);
  w.along_t = along(fine.dim(3), pool_t);
  w.count = static_cast<unsigned>(fine.dim(0)) * w.along_m * w.along_t;
  w.whole_m = static_cast<unsigned>(coarse.dim(2));
  w.whole_t = static_cast<unsigned>(coarse.dim(3));
  w.fine_m = static_cast<unsigned>(fine.dim(2));
  w.fine_t = static_cast<unsigned>(fine.dim(3));
  w.window_m = static_cast<unsigned>(pool_m);
  w.window_t = static_cast<unsigned>(pool_t);
  return w;
}

}  // namespace dcase::cuda
