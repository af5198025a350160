#pragma once
/// Sizes and addresses of conv2d_weight_gradient_tiled_kernel, apart from the kernel so that tests can count banks.

#include <cstdint>

#include "kernels/common/fragments.hpp"

namespace dcase::cuda::weight_gradient {

/// What the products' operands are rounded to; kFp32 is computed on CUDA cores.
enum class ConvOperands : std::uint8_t { kFp32, kTf32, kBf16 };

/// A block computes kTile output x kTile input channels of the weights at kKernel x kKernel places of the kernel.
/// It goes through tiles of kRows x 16 pixels: dy's pixels, and x's with a border for the other places. With one place
/// there is no border, and a tile is as many pixels in a row, across the ends of lines and images.
template <ConvOperands kOperandsOf, int kTileOf, int kKernelOf>
struct WeightGradientTile {
  static constexpr ConvOperands kOperands = kOperandsOf;
  static constexpr int kTile = kTileOf;
  static constexpr int kKernel = kKernelOf;
  static constexpr bool kFlat = kKernel == 1;
  static constexpr bool kBf16 = kOperands == ConvOperands::kBf16;

  static constexpr int kColumns = 16;
  static constexpr int kRows = kBf16 ? 8 : 4;  // two stages of floats with 64 channels fit into 99 KiB (sm_86)
  static constexpr int kPixels = kRows * kColumns;
  static constexpr int kXColumns = kColumns + kKernel - 1;
  static constexpr int kXPixels = (kRows + kKernel - 1) * kXColumns;
  static constexpr int kSteps = 8;                      // of a tile
  static constexpr int kStepPixels = kPixels / kSteps;  // one instruction's depth: 16 of bf16, 8 of tf32

  // Tiles summed in registers before the sums join those in memory: 2048 pixels on CUDA cores; on tensor cores, where
  // the operands' rounding is far larger than the sums', four or eight times as many.
  static constexpr int kChainTiles = kOperands == ConvOperands::kFp32 ? 32 : 128;

  // A warp has one row of the kernel, all output and 16 input channels: 3 taps reuse a fragment of dy.
  static constexpr int kWarpsOfRow = kTile / 16;
  static constexpr int kThreads = 32 * kKernel * kWarpsOfRow;
  // Blocks of a multiprocessor: registers allow 384 threads with the sums of the wide tile, 576 with the narrow one's.
  static constexpr int kResident = (kTile == 64 ? 384 : 576) / kThreads;
  static constexpr int kSums = kKernel * kTile / 2;  // of a thread: kKernel x kTile x 16 among 32 lanes

  DCASE_HOST_DEVICE static constexpr int four(int b, int co16, int j) { return (b * (kTile / 16) + co16) * 2 + j; }

  // Memory is read in items: the channels of a pixel that make 16 bytes of shared memory.
  static constexpr int kChunk = kBf16 ? 8 : 4;  // channels of an item
  static constexpr int kChunks = kTile / kChunk;
  static constexpr int kDyItems = kPixels * kChunks;
  static constexpr int kItems = kDyItems + kXPixels * kChunks;
  static constexpr int kStepItems = (kItems + kSteps * kThreads - 1) / (kSteps * kThreads);  // of a thread
  static_assert(kThreads % kChunks == 0, "a thread's items have the same channels");

  /// Bytes of an array of `pixels` in shared memory, and of (pixel, channel) in it.
  /// bf16: planes of 8 channels, [kTile/8][pixels][8]. Eight neighbouring pixels of a plane are 128 contiguous bytes,
  /// what ldmatrix reads at a time; the planes are so far apart that eight items of neighbouring pixels, as a quarter
  /// warp stores them, fall into different banks too.
  /// Else [pixels][kTile + 8]: four pixels x eight channels, a register of a tf32 fragment, fall into all 32 banks.
  DCASE_HOST_DEVICE static constexpr int plane_pixels(int pixels) {
    const int rest = 8 / kChunks;  // modulo 8
    return pixels + (rest - pixels % 8 + 8) % 8;
  }
  DCASE_HOST_DEVICE static constexpr int array_bytes(int pixels) {
    return kBf16 ? kChunks * plane_pixels(pixels) * 16 : pixels * (kTile + 8) * 4;
  }
  DCASE_HOST_DEVICE static constexpr int offset(int pixels, int pixel, int channel) {
    return kBf16 ? (channel / 8 * plane_pixels(pixels) + pixel) * 16 + channel % 8 * 2
                 : (pixel * (kTile + 8) + channel) * 4;
  }
  DCASE_HOST_DEVICE static constexpr int dy_offset(int pixel, int channel) { return offset(kPixels, pixel, channel); }
  /// Of the pixel of x that the kernel's place (a, b) puts on `pixel` of dy.
  DCASE_HOST_DEVICE static constexpr int x_offset(int pixel, int a, int b, int channel) {
    return array_bytes(kPixels) + offset(kXPixels, (pixel / kColumns + a) * kXColumns + pixel % kColumns + b, channel);
  }
  static constexpr int kStageBytes = array_bytes(kPixels) + array_bytes(kXPixels);
  static constexpr int kSharedBytes = 2 * kStageBytes;

  /// The rows that ldmatrix reads, .trans: pixels along k, channels along the other side.
  DCASE_HOST_DEVICE static constexpr int dy_row(int lane, int step, int co0) {
    return dy_offset(step * kStepPixels + lane / 16 * 8 + lane % 8, co0 + lane / 8 % 2 * 8);
  }
  DCASE_HOST_DEVICE static constexpr int x_row(int lane, int step, int a, int b, int ci0) {
    return x_offset(step * kStepPixels + lane / 8 % 2 * 8 + lane % 8, a, b, ci0 + lane / 16 * 8);
  }
};

/// First channels of a block of the tiled kernel, and its place in the convolution's kernel where it has one only.
struct WeightBlock {
  int co, ci, a, b;
};

/// How the tiled kernel deals the weights [Co,Ci,Km,Kt] out to its blocks and threads.
struct WeightLayout {
  int tile, kernel;   // of WeightGradientTile
  bool tensor_cores;  // who has which of a warp's sums: the lanes of mma's result, or those of the CUDA cores' tiles
  int Co, Ci, Km, Kt;

  /// [output channels][input channels][places], the last fastest.
  [[nodiscard]] DCASE_HOST_DEVICE constexpr WeightBlock block(int index) const {
    const int places = kernel == 1 ? Km * Kt : 1;
    const int columns = (Ci + tile - 1) / tile;
    const int place = index % places;
    return {index / places / columns * tile, index / places % columns * tile, place / Kt, place % Kt};
  }
  /// Index in dw of number `index` of the sums [block][b of the row][16 output channels][2][4][thread] that the blocks
  /// write; -1 for a channel that does not exist.
  [[nodiscard]] DCASE_HOST_DEVICE constexpr std::int64_t weight(std::int64_t index) const {
    const int warps_of_row = tile / 16;
    const int threads = 32 * kernel * warps_of_row;
    const int sums = kernel * tile / 2;
    const int lane = static_cast<int>(index % 32);
    const int warp = static_cast<int>(index % threads) / 32;
    const int sum = static_cast<int>(index / threads % sums);
    const WeightBlock first = block(static_cast<int>(index / threads / sums));
    const int r = sum % 4;
    const int j = sum / 4 % 2;
    MatrixPlace p{lane / 4 * 2 + j, lane % 4 * 4 + r};  // (co, ci)
    if (tensor_cores) {
      p = mma16n8_c(lane, r);
      p.column += 8 * j;
    }
    const int co = first.co + sum / 8 % (tile / 16) * 16 + p.row;
    const int ci = first.ci + warp % warps_of_row * 16 + p.column;
    const int a = first.a + warp / warps_of_row;
    const int b = first.b + sum / 8 / (tile / 16);
    return co < Co && ci < Ci ? ((std::int64_t{co} * Ci + ci) * Km + a) * Kt + b : -1;
  }
};

}  // namespace dcase::cuda::weight_gradient
