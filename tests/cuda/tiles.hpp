#pragma once
/// Operands of wgmma for tests: matrices as tiles of shared memory and as registers, and a numbered tensor.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/common/fragments.hpp"
#include "kernels/common/tensor_map.hpp"

namespace dcase::layouts {

inline constexpr std::array kSwizzles = {Swizzle::kNone, Swizzle::k32, Swizzle::k64, Swizzle::k128};

inline std::uint32_t bits_of(float x) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof(bits));
  return bits;
}
/// Of a number that bf16 holds exactly.
inline std::uint16_t bf16_bits(float x) { return static_cast<std::uint16_t>(bits_of(x) >> 16); }

struct Matrix {
  int rows, columns;
  std::vector<float> values;

  Matrix(int r, int c) : rows(r), columns(c), values(static_cast<std::size_t>(r) * static_cast<std::size_t>(c)) {}
  /// Small integers, which bf16, tf32 and sums of products hold exactly.
  Matrix(int r, int c, unsigned seed) : Matrix(r, c) {
    for (float& x : values) {
      seed = seed * 1664525U + 1013904223U;
      x = static_cast<float>(static_cast<int>(seed >> 16) % 17 - 8);
    }
  }
  [[nodiscard]] float& at(int row, int column) { return values[place(row, column)]; }
  [[nodiscard]] float at(int row, int column) const { return values[place(row, column)]; }

 private:
  [[nodiscard]] std::size_t place(int row, int column) const {
    return static_cast<std::size_t>(row) * static_cast<std::size_t>(columns) + static_cast<std::size_t>(column);
  }
};

/// start + times a b^T
inline Matrix product(const Matrix& start, const Matrix& a, const Matrix& b, int times = 1) {
  Matrix sum = start;
  for (int row = 0; row < a.rows; ++row) {
    for (int column = 0; column < b.rows; ++column) {
      for (int k = 0; k < a.columns; ++k) {
        sum.at(row, column) += static_cast<float>(times) * a.at(row, k) * b.at(column, k);
      }
    }
  }
  return sum;
}

/// Precision of a product, and where its A stands.
enum class Form { kBf16, kBf16RegistersA, kTf32 };

/// How an operand [rows, K] is laid into shared memory. Where the layout leaves the distances free they are odd
/// multiples of 16 bytes, different from each other.
struct Tiling {
  Major major = Major::kK;
  Swizzle swizzle = Swizzle::kNone;
  bool spans_inside = false;  // MN-major, swizzled: the spans of rows lie within 8 steps of K, or around all of K
};

/// The operand there, and what its descriptors say (shared_descriptor of ptx.cuh).
struct Tile {
  std::vector<std::uint8_t> bytes;  // a multiple of 1024
  Tiling tiling;
  unsigned leading_bytes = 0;
  unsigned stride_bytes = 0;
  unsigned step_bytes = 0;  // from one product's share of K to the next
};

/// Elements of 2 bytes (bf16) or 4 (tf32), of which a product takes 32 bytes of each row.
inline Tile lay_out(const Matrix& m, const Tiling& tiling, int element_bytes) {
  const auto rows = static_cast<unsigned>(m.rows);
  const auto depth = static_cast<unsigned>(m.columns);
  const auto size = static_cast<unsigned>(element_bytes);
  const unsigned span = swizzle_span(tiling.swizzle);
  const unsigned span_rows = span / size;
  const bool plain = tiling.swizzle == Swizzle::kNone;
  Tile tile{.bytes = {}, .tiling = tiling};
  unsigned& leading = tile.leading_bytes;
  unsigned& stride = tile.stride_bytes;
  unsigned& step = tile.step_bytes;
  if (tiling.major == Major::kK) {
    stride = plain ? 144 : 8 * span;
    leading = plain ? rows / 8 * stride + 16 : 16;
    step = plain ? 2 * leading : 32;
  } else if (plain) {
    leading = 144;
    stride = depth / 8 * leading + 32;
    step = 2 * leading;
  } else {
    stride = tiling.spans_inside ? rows / span_rows * 8 * span : 8 * span;
    leading = tiling.spans_inside ? 8 * span : depth * span;
    step = 32 / size / 8 * stride;
  }
  const auto address = [&](unsigned row, unsigned k) {
    if (tiling.major == Major::kK && plain) {
      return row % 8 * 16 + row / 8 * stride + k * size / 16 * leading + k * size % 16;
    }
    if (tiling.major == Major::kK) return swizzled(row * span + k * size, tiling.swizzle);
    if (plain) return row % 8 * size + row / 8 * stride + k % 8 * 16 + k / 8 * leading;
    return swizzled(row % span_rows * size + row / span_rows * leading + k % 8 * span + k / 8 * stride, tiling.swizzle);
  };
  unsigned end = 0;
  for (unsigned row = 0; row < rows; ++row) {
    for (unsigned k = 0; k < depth; ++k) end = std::max(end, address(row, k) + size);
  }
  tile.bytes.assign((end + 1023) / 1024 * 1024, 0x7F);
  for (unsigned row = 0; row < rows; ++row) {
    for (unsigned k = 0; k < depth; ++k) {
      const std::uint32_t bits = bits_of(m.at(static_cast<int>(row), static_cast<int>(k)));
      std::memcpy(&tile.bytes[address(row, k)], reinterpret_cast<const char*>(&bits) + 4 - size, size);
    }
  }
  return tile;
}

/// Accumulators [128][N / 2] that hold the matrix [64,N].
inline std::vector<float> registers_of(const Matrix& m) {
  std::vector<float> registers;
  for (int thread = 0; thread < 128; ++thread) {
    for (int i = 0; i < m.columns / 2; ++i) {
      const MatrixPlace p = wgmma_d(thread, i);
      registers.push_back(m.at(p.row, p.column));
    }
  }
  return registers;
}

/// The registers of A [64,K] for each step of 16: [K / 16][128][4].
inline std::vector<std::uint32_t> registers_of_a(const Matrix& a) {
  std::vector<std::uint32_t> words;
  for (int step = 0; step < a.columns / 16; ++step) {
    for (int thread = 0; thread < 128; ++thread) {
      for (int j = 0; j < 4; ++j) {
        std::uint32_t word = 0;
        for (int i = 0; i < 2; ++i) {
          const MatrixPlace p = wgmma_a(thread, 2 * j + i);
          word |= std::uint32_t{bf16_bits(a.at(p.row, step * 16 + p.column))} << 16 * i;
        }
        words.push_back(word);
      }
    }
  }
  return words;
}

struct Coordinates {
  int at[TensorLayout::kMostAxes];  // innermost axis first
};

/// Floats [2][3][7][6][20], or the inner 2 to 4 of these axes, numbered from 1 on; what lies between them is -1.
struct NumberedTensor {
  TensorLayout layout = {
      .rank = 0, .extent = {20, 6, 7, 3, 2}, .stride = {1, 24, 160, 1136, 3424}, .box = {12, 3, 2, 2, 2}};
  std::vector<float> values;

  NumberedTensor(int rank, Swizzle swizzle) {
    layout.rank = rank;
    layout.swizzle = swizzle;
    if (swizzle != Swizzle::kNone) layout.box[0] = swizzle_span(swizzle) / 4;
    values.assign(static_cast<std::size_t>(layout.extent[rank - 1] * layout.stride[rank - 1]), -1.0F);
    std::int64_t count = 1;
    for (int i = 0; i < rank; ++i) count *= layout.extent[i];
    for (std::int64_t i = 0; i < count; ++i) {
      const Coordinates c = element(i, layout.extent, {});
      values[place(c)] = value(c);
    }
  }
  [[nodiscard]] std::int64_t box_size() const {
    std::int64_t size = 1;
    for (int i = 0; i < layout.rank; ++i) size *= layout.box[i];
    return size;
  }
  /// Element `i` of a box of those extents at `from`.
  [[nodiscard]] Coordinates element(std::int64_t i, const std::int64_t* extents, const Coordinates& from) const {
    Coordinates c = from;
    for (int axis = 0; axis < layout.rank; ++axis) {
      c.at[axis] += static_cast<int>(i % extents[axis]);
      i /= extents[axis];
    }
    return c;
  }
  [[nodiscard]] bool inside(const Coordinates& c) const {
    for (int i = 0; i < layout.rank; ++i) {
      if (c.at[i] < 0 || c.at[i] >= layout.extent[i]) return false;
    }
    return true;
  }
  [[nodiscard]] std::size_t place(const Coordinates& c) const {
    std::int64_t offset = 0;
    for (int i = 0; i < layout.rank; ++i) offset += c.at[i] * layout.stride[i];
    return static_cast<std::size_t>(offset);
  }
  [[nodiscard]] float value(const Coordinates& c) const {  // 0 outside
    std::int64_t number = 0;
    for (int i = layout.rank - 1; i >= 0; --i) number = number * layout.extent[i] + c.at[i];
    return inside(c) ? static_cast<float>(number + 1) : 0.0F;
  }
};

}  // namespace dcase::layouts
