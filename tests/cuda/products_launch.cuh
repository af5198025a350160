#pragma once
/// Launchers of the kernels that come with planted mistakes, for products_cuda.cu (those without one) and
/// tests/emulator/planted_products_test.cpp.

#include "kernels/common/launch.hpp"
#include "kernels/common/tensor_map.hpp"
#include "tests/cuda/device_buffer.hpp"
#include "tests/cuda/products.hpp"
#include "tests/cuda/tensor_map_kernels.cuh"
#include "tests/cuda/wgmma_kernels.cuh"

namespace dcase::layouts {

inline TileImage described(const Tile& tile, const test::DeviceBuffer<std::uint8_t>& bytes) {
  return {.pieces = reinterpret_cast<const uint4*>(bytes.data()),
          .count = static_cast<int>(tile.bytes.size() / 16),
          .leading_bytes = tile.leading_bytes,
          .stride_bytes = tile.stride_bytes,
          .step_bytes = tile.step_bytes,
          .swizzle = tile.tiling.swizzle};
}

inline Launch one_group(const char* name, std::size_t smem) {
  return {.grid = 1, .block = 128, .smem = smem, .name = name};
}

template <ProductBug kBug>
std::vector<float> two_groups(const Tile& a, const Tile& b, const std::vector<float>& d) {
  const test::DeviceBuffer<std::uint8_t> a_bytes(a.bytes);
  const test::DeviceBuffer<std::uint8_t> b_bytes(b.bytes);
  const test::DeviceBuffer<float> registers(d);
  launch(two_groups_kernel<kBug>, one_group("two_groups", a.bytes.size() + b.bytes.size()), described(a, a_bytes),
         described(b, b_bytes), registers.data());
  return registers.download();
}

template <GemmBug kBug>
std::vector<float> ring_product(const Matrix& a, const Matrix& b) {
  const auto bits = [](const Matrix& m) {
    std::vector<std::uint16_t> all;
    for (const float x : m.values) all.push_back(bf16_bits(x));
    return all;
  };
  const auto map_of = [](const test::DeviceBuffer<std::uint16_t>& values, const Matrix& m) {
    return make_tensor_map({.global = values.data(),
                            .element = TensorElement::kBf16,
                            .rank = 2,
                            .extent = {m.columns, m.rows},
                            .stride = {1, m.columns},
                            .box = {64, 64},
                            .swizzle = Swizzle::k128});
  };
  const test::DeviceBuffer<std::uint16_t> da(bits(a));
  const test::DeviceBuffer<std::uint16_t> db(bits(b));
  const test::DeviceBuffer<float> c(64 * 64);
  launch(gemm_ring_kernel<kBug>, {.grid = 1, .block = 160, .smem = 4 * 8192, .name = "gemm_ring"}, map_of(da, a),
         map_of(db, b), (a.columns + 63) / 64, c.data());
  return c.download();
}

template <TensorBug kBug>
Moved move_box(const NumberedTensor& tensor, const Coordinates& from, const Coordinates& to,
               const std::vector<float>& target) {
  const test::DeviceBuffer<float> source(tensor.values);
  const test::DeviceBuffer<float> destination(target);
  const test::DeviceBuffer<float> image(tensor.box_size());
  const auto map_of = [&](const test::DeviceBuffer<float>& values) {
    TensorLayout layout = tensor.layout;
    layout.global = values.data();
    return make_tensor_map(layout);
  };
  constexpr auto kernel_of = [](int rank) {
    if (rank == 2) return tensor_copy_kernel<2, kBug>;
    if (rank == 3) return tensor_copy_kernel<3, kBug>;
    return rank == 4 ? tensor_copy_kernel<4, kBug> : tensor_copy_kernel<5, kBug>;
  };
  launch(kernel_of(tensor.layout.rank), one_group("tensor_copy", image.bytes()), map_of(source), from,
         map_of(destination), to, static_cast<int>(image.bytes()), reinterpret_cast<uint4*>(image.data()));
  return {image.download(), destination.download()};
}

}  // namespace dcase::layouts
