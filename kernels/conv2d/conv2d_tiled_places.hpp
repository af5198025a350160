#pragma once
/// Where conv2d_tiled_kernel keeps what in shared memory, counted in 16-byte places of 8 channels in bf16 or 4 floats.
/// The kernel, the launcher and the test of bank conflicts use these functions.

#include "kernels/common/context.hpp"
#include "kernels/common/fragments.hpp"

namespace dcase::cuda {

inline constexpr int kTiledRows = 128;    // positions of a block
inline constexpr int kTiledColumns = 64;  // output channels of a block
inline constexpr int kTiledChunks = 4;    // of one tap's channels each, in a stage
inline constexpr int kTiledThreads = 256;
/// Places of a chunk's plane: 2 mod 8, so the two rows of four chunks that a quarter of a storing warp writes at once
/// fall into different banks.
inline constexpr int kTiledPlane = kTiledRows + 2;
inline constexpr int kTiledInputPlaces = kTiledChunks * kTiledPlane;
inline constexpr int kTiledWeightPlaces = kTiledChunks * kTiledColumns;
inline constexpr int kTiledOutputPitch = kTiledColumns + 8;  // floats; the lanes' pairs of a fragment do not collide
inline constexpr int kTiledSharedBytes = kTiledRows * kTiledOutputPitch * 4;
static_assert(kTiledSharedBytes >= 2 * (kTiledInputPlaces + kTiledWeightPlaces) * 16);

/// How a launch cuts the work: blockIdx.x = tile of positions * columns + block of output channels.
struct TiledGrid {
  int columns = 0;
  int chunks = 0;  // of all taps
  int vector = 0;  // whether four channels of x may be read at once
};

DCASE_HOST_DEVICE constexpr int tiled_elements(Precision precision) { return precision == Precision::kBf16 ? 8 : 4; }
DCASE_HOST_DEVICE constexpr int tiled_input_place(int chunk, int row) { return chunk * kTiledPlane + row; }
DCASE_HOST_DEVICE constexpr int tiled_weight_place(int chunk, int column) { return chunk * kTiledColumns + column; }

// On tensor cores a warp has 32 positions by 32 channels.
DCASE_HOST_DEVICE constexpr int tiled_warp_row(int warp) { return warp / 2 * 32; }
DCASE_HOST_DEVICE constexpr int tiled_warp_column(int warp) { return warp % 2 * 32; }
/// ldmatrix_x4 of A: 16 positions of two chunks; of B: 16 columns of two chunks.
DCASE_HOST_DEVICE constexpr int tiled_a_place(int lane, int warp, int chunk, int half) {
  return tiled_input_place(chunk + lane / 16, tiled_warp_row(warp) + 16 * half + lane % 16);
}
DCASE_HOST_DEVICE constexpr int tiled_b_place(int lane, int warp, int chunk, int half) {
  return tiled_weight_place(chunk + lane / 8 % 2, tiled_warp_column(warp) + 16 * half + lane / 16 * 8 + lane % 8);
}

// On CUDA cores a thread has the positions row + 16 i and the channels column + 16 j.
DCASE_HOST_DEVICE constexpr int tiled_thread_row(int thread) { return thread / 16; }
DCASE_HOST_DEVICE constexpr int tiled_thread_column(int thread) { return thread % 16; }

}  // namespace dcase::cuda
