#pragma once
/// Where conv2d_halo_kernel keeps what in shared memory, counted in 16-byte places: 8 channels in bf16 or 4 in tf32.
/// The kernel, the launcher and the test of bank conflicts use these functions.

#include "kernels/common/context.hpp"
#include "kernels/common/fragments.hpp"

namespace dcase::cuda {

inline constexpr int kHaloTile = 16;                         // positions of a block in both directions
inline constexpr int kHaloPitch = kHaloTile + 2;             // pixels of a row with its halo
inline constexpr int kHaloPixels = kHaloPitch * kHaloPitch;  // 324
inline constexpr int kHaloChunks = 2;                        // of channels in a stage: the depth of one mma
inline constexpr int kHaloColumns = 64;                      // output channels of a block
inline constexpr int kHaloThreads = 256;                     // eight warps
inline constexpr int kHaloWarpRows = 4;                      // rows of 16 pixels of a warp
inline constexpr int kHaloWarpColumns = 32;                  // output channels of a warp
inline constexpr int kHaloInputPlaces = kHaloChunks * kHaloPixels;
inline constexpr int kHaloWeightPlaces = 9 * kHaloChunks * kHaloColumns;
inline constexpr int kHaloSharedBytes = 2 * (kHaloInputPlaces + kHaloWeightPlaces) * 16;

/// How a launch cuts the maps: blockIdx.x = tile * columns + block of 64 output channels.
struct HaloGrid {
  int tiles_m = 0, tiles_t = 0;
  int columns = 0;
};

/// Channels in a place.
DCASE_HOST_DEVICE constexpr int halo_elements(Precision precision) { return precision == Precision::kBf16 ? 8 : 4; }

/// Planes of one chunk each, 324 pixels after each other. 324 = 4 mod 8, so four neighbouring pixels of both planes,
/// which a quarter of a storing warp writes at once, fall into different banks; and so do eight neighbours of one
/// plane, which are one matrix of ldmatrix.
DCASE_HOST_DEVICE constexpr int halo_input_place(int chunk, int pixel) { return chunk * kHaloPixels + pixel; }
/// Eight neighbouring columns are one matrix of ldmatrix.
DCASE_HOST_DEVICE constexpr int halo_weight_place(int tap, int chunk, int column) {
  return (tap * kHaloChunks + chunk) * kHaloColumns + column;
}

DCASE_HOST_DEVICE constexpr int halo_warp_row(int warp) { return warp / 2 * kHaloWarpRows; }
DCASE_HOST_DEVICE constexpr int halo_warp_column(int warp) { return warp % 2 * kHaloWarpColumns; }

/// ldmatrix_x4 of A: 16 pixels of row r of the warp's rows with halo, shifted by the tap's column b. Matrices: pixels
/// 0-7 and 8-15 of the first chunk, then of the second.
DCASE_HOST_DEVICE constexpr int halo_a_place(int lane, int warp, int r, int b) {
  return halo_input_place(lane / 16, (halo_warp_row(warp) + r) * kHaloPitch + b + lane % 16);
}
/// ldmatrix_x4 of B: 16 columns of a tap. Matrices: the two chunks of columns 0-7, then of columns 8-15.
DCASE_HOST_DEVICE constexpr int halo_b_place(int lane, int warp, int tap, int pair) {
  return halo_weight_place(tap, lane / 8 % 2, halo_warp_column(warp) + 16 * pair + lane / 16 * 8 + lane % 8);
}

}  // namespace dcase::cuda
