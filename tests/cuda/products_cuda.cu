#include "tests/cuda/products_launch.cuh"

namespace dcase::layouts {
namespace {

using test::DeviceBuffer;

using Kernel = void (*)(TileImage, const std::uint32_t*, TileImage, int, int, float*);

template <int kColumns>
Kernel kernel_for(Form form, Major a, Major b) {
  constexpr Major kK = Major::kK;
  constexpr Major kMn = Major::kMn;
  if (form == Form::kTf32) return wgmma_kernel<kColumns, Form::kTf32, kK, kK>;
  if (form == Form::kBf16RegistersA) {
    return b == kK ? wgmma_kernel<kColumns, Form::kBf16RegistersA, kK, kK>
                   : wgmma_kernel<kColumns, Form::kBf16RegistersA, kK, kMn>;
  }
  if (a == kK) {
    return b == kK ? wgmma_kernel<kColumns, Form::kBf16, kK, kK> : wgmma_kernel<kColumns, Form::kBf16, kK, kMn>;
  }
  return b == kK ? wgmma_kernel<kColumns, Form::kBf16, kMn, kK> : wgmma_kernel<kColumns, Form::kBf16, kMn, kMn>;
}

}  // namespace

std::vector<float> wgmma(Form form, int columns, const Tile& a, const std::vector<std::uint32_t>& a_registers,
                         const Tile& b, int steps, bool accumulate, const std::vector<float>& d) {
  const DeviceBuffer<std::uint8_t> a_bytes(a.bytes);
  const DeviceBuffer<std::uint32_t> a_words(form == Form::kBf16RegistersA ? a_registers : std::vector(1, 0U));
  const DeviceBuffer<std::uint8_t> b_bytes(b.bytes);
  const DeviceBuffer<float> registers(d);
  const auto kernel_of = columns == 64 ? kernel_for<64> : columns == 128 ? kernel_for<128> : kernel_for<256>;
  launch(kernel_of(form, a.tiling.major, b.tiling.major), one_group("wgmma", a.bytes.size() + b.bytes.size()),
         described(a, a_bytes), a_words.data(), described(b, b_bytes), steps, accumulate ? 1 : 0, registers.data());
  return registers.download();
}

std::vector<float> two_groups(const Tile& a, const Tile& b, const std::vector<float>& d) {
  return two_groups<ProductBug::kNone>(a, b, d);
}

std::vector<float> ring_product(const Matrix& a, const Matrix& b) { return ring_product<GemmBug::kNone>(a, b); }

Moved move_box(const NumberedTensor& tensor, const Coordinates& from, const Coordinates& to,
               const std::vector<float>& target) {
  return move_box<TensorBug::kNone>(tensor, from, to, target);
}

}  // namespace dcase::layouts
