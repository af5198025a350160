#pragma once
/// Who owns what in the kernels that keep the recurrent weights in registers, and where the state stands in shared
/// memory: used by the kernels, their launchers and the tests of bank conflicts.

#include "kernels/common/fragments.hpp"

namespace dcase::cuda {

inline constexpr int kGruWarpUnits = 16;  // hidden units of a warp, in all kernels

/// Threads of a block for H units.
constexpr int gru_threads(int H) { return (H + kGruWarpUnits - 1) / kGruWarpUnits * 32; }

// --- in float (gru_registers_kernels.cuh)

/// Which units and summands a lane has.
struct GruLane {
  int part;   // 0..7, of the summands
  int first;  // of its four units
  int unit;   // the one that it owns together with the lane beside it
  /// The first of its i-th four summands.
  [[nodiscard]] DCASE_HOST_DEVICE constexpr int summand(int i) const { return 32 * i + 4 * part; }
};

DCASE_HOST_DEVICE constexpr GruLane gru_lane(int thread) {
  const int part = thread % 8;
  const int first = thread / 8 * 4;
  return {part, first, first + part / 2};
}

// --- on tensor cores (gru_mma_kernels.cuh)

inline constexpr int kGruSequences = 8;  // of a block

/// Place of a column of a sequence in a tile [8][columns] of bf16. The eight more make a row an odd number of 16-byte
/// pieces: eight rows of ldmatrix, and the stores of a warp, fall into different banks.
DCASE_HOST_DEVICE constexpr int gru_tile_at(int columns, int sequence, int column) {
  return sequence * (columns + 8) + column;
}
/// The row that a lane gives to ldmatrix_x4: the four matrices are columns `first` to first + 31.
DCASE_HOST_DEVICE constexpr int gru_tile_row_of(int columns, int lane, int first) {
  return gru_tile_at(columns, lane % 8, first + lane / 8 * 8);
}
constexpr int gru_tile_size(int columns) { return kGruSequences * (columns + 8); }

}  // namespace dcase::cuda
