#pragma once
// Sizes of resample_tile_kernel and its addresses in shared memory, which a test holds against the banks.

namespace dcase::cuda {

inline constexpr int kTilePeriods = 64;  // of a block: two for each lane
inline constexpr int kTileThreads = 128;
inline constexpr int kTileGroup = 4;  // neighbouring phases that share their reads

/// Where the inputs of a period begin among those of the block.
constexpr int resample_input_address(int period, int down) { return period * down; }
/// An output of the block. The pitch is odd, so that the periods of a phase lie in different banks.
constexpr int resample_output_address(int period, int phase, int up) { return period * (up | 1) + phase; }

}  // namespace dcase::cuda
