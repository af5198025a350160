#pragma once
/// What the products of warp groups and the copies of tensors (kernels/common/ptx.cuh) do on the current device, which
/// has sm_90a. As layouts.hpp; the same source for the emulator and a GPU: products_cuda.cu.

#include <cstdint>
#include <vector>

#include "tests/cuda/layouts.hpp"
#include "tests/cuda/tiles.hpp"

namespace dcase::layouts {

/// The accumulators `d` [128][N / 2] behind `steps` products of A [64,K] and B [N,K], of which the first adds to them
/// or not; N = 64, 128 or 256. A comes from the tile, or from the registers of registers_of_a, as the form says.
[[nodiscard]] std::vector<float> wgmma(Form form, int columns, const Tile& a,
                                       const std::vector<std::uint32_t>& a_registers, const Tile& b, int steps,
                                       bool accumulate, const std::vector<float>& d);
/// Accumulators [2][128][32] behind two groups of products of A and B [64,16], K-major: the first += a b, the second
/// += 2 a b.
[[nodiscard]] std::vector<float> two_groups(const Tile& a, const Tile& b, const std::vector<float>& d);
/// a b^T [64,64] for a [M,K] and b [N,K], M, N <= 64 and K a multiple of 8, zeros outside: a ring of tensor copies
/// feeds the products.
[[nodiscard]] std::vector<float> ring_product(const Matrix& a, const Matrix& b);

/// The box of a tensor in shared memory, and what `target` of the same layout has become behind its store.
struct Moved {
  std::vector<float> image, target;
};
/// `target` with the box of `tensor` at `from` stored at `to`.
[[nodiscard]] Moved move_box(const NumberedTensor& tensor, const Coordinates& from, const Coordinates& to,
                             const std::vector<float>& target);

/// Part of tables(). Of more than 1024 words the first 1024 and a hash of all stand there.
[[nodiscard]] std::vector<Table> product_tables();

}  // namespace dcase::layouts
