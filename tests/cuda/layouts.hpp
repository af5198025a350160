#pragma once
/// What each function of kernels/common/ptx.cuh does on the current device: inputs and results as the lanes see them,
/// [lane][register]. On the emulator and on a GPU, the same source: layouts_cuda.cu.

#include <cstdint>
#include <string>
#include <vector>

namespace dcase::layouts {

/// Whether the device has the instructions of sm_90.
[[nodiscard]] bool has_sm90();

/// Registers [32][matrices] of ldmatrix_x4 or ldmatrix_x2 (`matrices` 4 or 2) on a tile of 16-bit elements [32,8].
[[nodiscard]] std::vector<std::uint32_t> ldmatrix(const std::vector<std::uint16_t>& tile, int matrices,
                                                  bool transposed);
/// Tile [32,8] that stmatrix_x4 writes from registers [32][4]. sm_90.
[[nodiscard]] std::vector<std::uint16_t> stmatrix(const std::vector<std::uint32_t>& words);

enum class Mma { kBf16, kTf32 };
/// c + a * b as registers [32][4], of a [32][4], b [32][2], c [32][4].
[[nodiscard]] std::vector<float> mma(Mma operands, const std::vector<std::uint32_t>& a,
                                     const std::vector<std::uint32_t>& b, const std::vector<float>& c);
/// Of 32 numbers.
[[nodiscard]] std::vector<std::uint32_t> to_tf32(const std::vector<float>& x);

/// 512 floats through shared memory by cp.async in two groups; of the first piece of each group `valid` bytes.
[[nodiscard]] std::vector<float> copy_async(const std::vector<float>& x, unsigned valid);
/// 256 floats doubled on their way through a ring of two tiles between two warps, each tile reversed.
[[nodiscard]] std::vector<float> named_barriers(const std::vector<float>& x);
/// Rounds of 128 floats through a ring of two tiles by bulk copies and mbarriers. sm_90.
[[nodiscard]] std::vector<float> bulk_ring(const std::vector<float>& x);
/// For each block the sum of (rank + 1) over its cluster, read from the others' shared memory. sm_90.
[[nodiscard]] std::vector<float> cluster_sum(unsigned blocks, unsigned cluster);

struct Table {
  std::string name;
  std::vector<std::uint32_t> words;
};
/// Results of every function for fixed inputs, floats as their bits: what a GPU and the emulator must agree in. Those
/// that the device does not have are left out.
[[nodiscard]] std::vector<Table> tables();

}  // namespace dcase::layouts
