#include <cstring>
#include <string>

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

namespace {

// The first words show which are wrong; the hash (FNV-1a, 64 bits) that the others are not.
std::vector<std::uint32_t> shortened(std::vector<std::uint32_t> words) {
  constexpr std::size_t kMost = 1024;
  if (words.size() <= kMost) return words;
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const std::uint32_t word : words) {
    for (int shift = 0; shift < 32; shift += 8) hash = (hash ^ (word >> shift & 0xFFU)) * 0x100000001B3U;
  }
  words.resize(kMost);
  words.push_back(static_cast<std::uint32_t>(hash >> 32));
  words.push_back(static_cast<std::uint32_t>(hash));
  return words;
}

std::vector<std::uint32_t> words_of(const std::vector<float>& values) {
  std::vector<std::uint32_t> words;
  for (const float x : values) words.push_back(bits_of(x));
  return shortened(words);
}

// Where a product finds the elements of A or of B. The tile's elements are numbered in the order of its bytes, from 1
// on, and the other operand is the identity, so that D[row,k] = A[row,k], or D[k,column] = B[column,k]: the numbers as
// the threads see them, [thread][register]. One to four products, which take a span of K (two without a swizzle). A
// number stands in the bits that the operand's precision keeps; what else comes out stays the bits of a float.
std::vector<std::uint32_t> places(Form form, int columns, bool of_a, const Tiling& tiling, Major other) {
  const int size = form == Form::kTf32 ? 4 : 2;
  const int shift = form == Form::kTf32 ? 13 : 16;
  const int depth =
      tiling.swizzle == Swizzle::kNone ? 64 / size : static_cast<int>(swizzle_span(tiling.swizzle)) / size;
  const std::uint32_t first = bits_of(1.0F);
  Matrix identity(of_a ? columns : 64, depth);
  for (int k = 0; k < depth; ++k) identity.at(k, k) = 1;
  Tile numbered = lay_out(Matrix(of_a ? 64 : columns, depth), tiling, size);
  for (std::size_t i = 0; i * static_cast<std::size_t>(size) < numbered.bytes.size(); ++i) {
    const std::uint32_t bits = first + (static_cast<std::uint32_t>(i) << shift);
    std::memcpy(&numbered.bytes[i * static_cast<std::size_t>(size)], reinterpret_cast<const char*>(&bits) + 4 - size,
                static_cast<std::size_t>(size));
  }
  const Tile plain = lay_out(identity, {.major = other}, size);
  std::vector<std::uint32_t> words;
  for (const float x : wgmma(form, columns, of_a ? numbered : plain, registers_of_a(identity), of_a ? plain : numbered,
                             depth * size / 32, false, std::vector<float>(static_cast<std::size_t>(64 * columns)))) {
    const std::uint32_t number = bits_of(x) - first;
    const bool exact = (number & ((1U << shift) - 1)) == 0;
    words.push_back(x == 0 ? 0 : exact ? (number >> shift) + 1 : bits_of(x));
  }
  return shortened(words);
}

}  // namespace

std::vector<Table> product_tables() {
  std::vector<Table> all;
  for (const Swizzle swizzle : kSwizzles) {
    const std::string span = "_" + std::to_string(swizzle_span(swizzle));
    for (const Major major : {Major::kK, Major::kMn}) {
      // In A's tables the identity lies the same way round, in B's the other way: together all four pairs.
      const Major other = major == Major::kK ? Major::kMn : Major::kK;
      const std::string tile = (major == Major::kK ? "_k" : "_mn") + span;
      all.push_back({"wgmma_bf16_a" + tile, places(Form::kBf16, 64, true, {major, swizzle}, major)});
      all.push_back({"wgmma_bf16_b" + tile, places(Form::kBf16, 64, false, {major, swizzle}, other)});
      all.push_back({"wgmma_bf16_registers_b" + tile,
                     places(Form::kBf16RegistersA, 64, false, {major, swizzle, true}, Major::kK)});
    }
    all.push_back({"wgmma_tf32_a" + span, places(Form::kTf32, 64, true, {Major::kK, swizzle}, Major::kK)});
    all.push_back({"wgmma_tf32_b" + span, places(Form::kTf32, 64, false, {Major::kK, swizzle}, Major::kK)});
    for (int rank = 2; rank <= TensorLayout::kMostAxes; ++rank) {
      const NumberedTensor tensor(rank, swizzle);
      const Moved moved =
          move_box(tensor, {{-3, 4, 1, 1, 0}}, {{3, 2, 1, -1, 0}}, std::vector<float>(tensor.values.size()));
      const std::string box = "_tensor_" + std::to_string(rank) + "d" + span;
      all.push_back({"copy" + box, words_of(moved.image)});
      all.push_back({"store" + box, words_of(moved.target)});
    }
  }
  for (const int columns : {128, 256}) {  // two and four of the widest spans
    all.push_back({"wgmma_bf16_b_mn_128_n" + std::to_string(columns),
                   places(Form::kBf16, columns, false, {Major::kMn, Swizzle::k128, columns == 256}, Major::kK)});
  }
  return all;
}

}  // namespace dcase::layouts
