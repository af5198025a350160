#pragma once
/// Feature maps as the map operators (conv2d, batchnorm, pool2d) take them: [N,G,M,T,B], channels in G groups of B.
/// Channel c stands in group c / B at place c % B. G = 1 is channels-last [N,M,T,C]; B = 16 is oneDNN's nChw16c.

#include <cstdint>

#include "kernels/common/view.hpp"

namespace dcase {

/// The rank-5 form of a map, a view of the same memory: [N,G,M,T,B] as it is, channels-last [N,M,T,C] as [N,1,M,T,C],
/// and a sequence [N,T,F] as a map of one mel row, [N,1,1,T,F].
template <class T>
[[nodiscard]] View<T> as_map(const View<T>& view) {
  switch (view.rank) {
    case 3:
      return View<T>(view.data, {view.shape[0], 1, 1, view.shape[1], view.shape[2]});
    case 4:
      return View<T>(view.data, {view.shape[0], 1, view.shape[1], view.shape[2], view.shape[3]});
    case 5:
      return view;
    default:
      fail(ErrorKind::kArgument, "as_map: ", shape_string(view), " is not a map: rank 3, 4 or 5 is needed");
  }
}

/// C = G * B of a rank-5 map.
template <class T>
[[nodiscard]] std::int64_t channels(const View<T>& map) {
  return map.shape[1] * map.shape[4];
}

/// N * M * T of a rank-5 map: the number of values that share a channel.
template <class T>
[[nodiscard]] std::int64_t positions(const View<T>& map) {
  return map.shape[0] * map.shape[2] * map.shape[3];
}

/// Throws unless `map` is present (or empty) and of rank 5.
template <class T>
void check_map(const char* op, const char* field, const View<T>& map) {
  DCASE_CHECK(map.rank == kMaxRank, op, ": ", field, " has shape ", shape_string(map), ", expected a map [N,G,M,T,B]");
  DCASE_CHECK(map.data != nullptr || map.size() == 0, op, ": ", field, " is missing");
}

/// Throws unless `map` is a present (or empty) map of n x m x t positions and c channels, in whatever grouping.
template <class T>
void check_map(const char* op, const char* field, const View<T>& map, std::int64_t n, std::int64_t c, std::int64_t m,
               std::int64_t t) {
  check_map(op, field, map);
  DCASE_CHECK(map.shape[0] == n && channels(map) == c && map.shape[2] == m && map.shape[3] == t, op, ": ", field,
              " has shape ", shape_string(map), ", expected N=", n, ", G*B=", c, ", M=", m, ", T=", t);
}

/// Throws unless `coarse` has a value for each whole window of pool_m x pool_t positions of `fine`, in whatever
/// grouping.
template <class A, class B>
void check_pooled(const char* op, const char* fine_field, const View<A>& fine, const char* coarse_field,
                  const View<B>& coarse, int pool_m, int pool_t) {
  DCASE_CHECK(pool_m >= 1 && pool_t >= 1, op, ": a pool of ", pool_m, "x", pool_t, " positions");
  check_map(op, fine_field, fine);
  check_map(op, coarse_field, coarse, fine.dim(0), channels(fine), fine.dim(2) / pool_m, fine.dim(3) / pool_t);
}

}  // namespace dcase
