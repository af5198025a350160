// The products of warp groups, alone and fed by copies of tensors, against plain arithmetic, and mistakes that must be
// found.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/common/tensor_map.hpp"
#include "tests/emulator/kernel_fixture.hpp"
#include "tests/emulator/wgmma_kernels.cuh"
#include "tests/support/test.hpp"

namespace dcase::test {

using emulator::contains;
using emulator::for_each_schedule;
using emulator::kChecked;
using layouts::Form;
using layouts::GemmBug;
using layouts::ProductBug;

namespace {

/// A matrix of small integers, which bf16, tf32 and sums of products hold exactly.
struct Matrix {
  int rows, columns;
  std::vector<float> values;
  Matrix(int r, int c, unsigned seed) : rows(r), columns(c), values(static_cast<std::size_t>(r * c)) {
    for (float& x : values) {
      seed = seed * 1664525U + 1013904223U;
      x = static_cast<float>(static_cast<int>(seed >> 16) % 17 - 8);
    }
  }
  [[nodiscard]] float at(int row, int column) const {
    return values[static_cast<std::size_t>(row) * static_cast<std::size_t>(columns) + static_cast<std::size_t>(column)];
  }
};

std::uint16_t bf16_bits(float x) { return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16); }

// --- tiles

/// How an operand [rows, K] is laid into shared memory. Where the layout leaves the distances free they are odd
/// multiples of 16 bytes, different from each other.
struct Tiling {
  Major major = Major::kK;
  Swizzle swizzle = Swizzle::kNone;
  bool spans_inside = false;  // MN-major, swizzled: the spans of rows lie within 8 steps of K, or around all of K
};

struct Tile {
  std::vector<std::uint8_t> bytes;
  layouts::TileImage image;  // without its pieces
};

Tile lay_out(const Matrix& m, const Tiling& tiling, int element_bytes, int product_depth) {
  const auto rows = static_cast<unsigned>(m.rows);
  const auto depth = static_cast<unsigned>(m.columns);
  const auto size = static_cast<unsigned>(element_bytes);
  const unsigned span = swizzle_span(tiling.swizzle);
  const unsigned span_rows = span / size;
  const bool plain = tiling.swizzle == Swizzle::kNone;
  Tile tile;
  tile.image.swizzle = tiling.swizzle;
  unsigned& leading = tile.image.leading_bytes;
  unsigned& stride = tile.image.stride_bytes;
  unsigned& step = tile.image.step_bytes;
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
    step = static_cast<unsigned>(product_depth) / 8 * stride;
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
      const auto bits = std::bit_cast<std::uint32_t>(m.at(static_cast<int>(row), static_cast<int>(k)));
      std::memcpy(&tile.bytes[address(row, k)], reinterpret_cast<const char*>(&bits) + 4 - size, size);
    }
  }
  return tile;
}

layouts::TileImage described(const Tile& tile, const DeviceBuffer<std::uint8_t>& bytes) {
  layouts::TileImage image = tile.image;
  image.pieces = reinterpret_cast<const uint4*>(bytes.data());
  image.count = static_cast<int>(tile.bytes.size() / 16);
  return image;
}

/// Accumulators [128][N / 2] that hold the matrix.
std::vector<float> registers_of(const Matrix& m) {
  const int count = m.columns / 2;
  std::vector<float> registers(m.values.size());
  for (int thread = 0; thread < 128; ++thread) {
    for (int i = 0; i < count; ++i) {
      const MatrixPlace p = wgmma_d(thread, i);
      registers[static_cast<std::size_t>(thread * count + i)] = m.at(p.row, p.column);
    }
  }
  return registers;
}

/// start + times a b^T
Matrix product(const Matrix& start, const Matrix& a, const Matrix& b, int times = 1) {
  Matrix sum = start;
  for (int row = 0; row < a.rows; ++row) {
    for (int column = 0; column < b.rows; ++column) {
      float& s = sum.values[static_cast<std::size_t>(row * sum.columns + column)];
      for (int k = 0; k < a.columns; ++k) s += static_cast<float>(times) * a.at(row, k) * b.at(column, k);
    }
  }
  return sum;
}

Matrix zeros(int rows, int columns) {
  Matrix m(rows, columns, 0);
  std::fill(m.values.begin(), m.values.end(), 0.0F);
  return m;
}

using Kernel = void (*)(layouts::TileImage, const std::uint32_t*, layouts::TileImage, int, int, float*);

template <int kColumns>
Kernel kernel_for(Form form, Major a, Major b) {
  using layouts::wgmma_kernel;
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

/// The registers of A [64,K] for each step of 16: [K / 16][128][4].
std::vector<std::uint32_t> registers_of_a(const Matrix& a) {
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

/// Whether the products of A [64,K] and B [N,K] are right, added to what was there and in its place.
template <int kColumns>
bool products_are_right(Form form, const Tiling& a_tiling, const Tiling& b_tiling) {
  const int element_bytes = form == Form::kTf32 ? 4 : 2;
  const int product_depth = 32 / element_bytes;
  const unsigned span = swizzle_span(b_tiling.swizzle);
  const int depth = b_tiling.swizzle == Swizzle::kNone ? 2 * product_depth : static_cast<int>(span) / element_bytes;
  const Matrix a(64, depth, 1);
  const Matrix b(kColumns, depth, 2);
  const Matrix start(64, kColumns, 3);
  const Tile a_tile = lay_out(a, a_tiling, element_bytes, product_depth);
  const Tile b_tile = lay_out(b, b_tiling, element_bytes, product_depth);
  const Uploaded a_bytes(a_tile.bytes);
  const Uploaded b_bytes(b_tile.bytes);
  const Uploaded a_registers(registers_of_a(a));
  bool right = true;
  for (const bool accumulate : {true, false}) {
    const Uploaded d(registers_of(start));
    run(kernel_for<kColumns>(form, a_tiling.major, b_tiling.major),
        one_group("wgmma", a_tile.bytes.size() + b_tile.bytes.size()), described(a_tile, a_bytes), a_registers.data(),
        described(b_tile, b_bytes), depth / product_depth, accumulate ? 1 : 0, d.data());
    right = right && d.download() == registers_of(product(accumulate ? start : zeros(64, kColumns), a, b));
  }
  return right;
}

template <int kColumns>
void check_all_layouts() {
  for (const Swizzle swizzle : kSwizzles) {
    for (const Major b : {Major::kK, Major::kMn}) {
      for (const Major a : {Major::kK, Major::kMn}) {
        CAPTURE(kColumns, static_cast<int>(swizzle), static_cast<int>(a), static_cast<int>(b));
        CHECK(products_are_right<kColumns>(Form::kBf16, {a, swizzle}, {b, swizzle}));
      }
      CHECK(products_are_right<kColumns>(Form::kBf16RegistersA, {}, {b, swizzle, true}));
    }
    CHECK(products_are_right<kColumns>(Form::kTf32, {Major::kK, swizzle}, {Major::kK, swizzle}));
  }
}

}  // namespace

TEST_CASE("wgmma: fragment maps cover each element once", "[ptx]") {
  const auto covers = [](int columns, int registers, auto map) {
    std::vector<int> seen(static_cast<std::size_t>(64 * columns), 0);
    for (int thread = 0; thread < 128; ++thread) {
      for (int i = 0; i < registers; ++i) {
        const MatrixPlace p = map(thread, i);
        REQUIRE((p.row >= 0 && p.row < 64 && p.column >= 0 && p.column < columns));
        ++seen[static_cast<std::size_t>(p.row * columns + p.column)];
      }
    }
    return std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; });
  };
  CHECK(covers(16, 8, wgmma_a));
  CHECK(covers(64, 32, wgmma_d));
  CHECK(covers(256, 128, wgmma_d));
  // From the figures of "Register Fragments": warp 1, lane 5.
  CHECK(wgmma_d(37, 6) == MatrixPlace{25, 10});
  CHECK(wgmma_a(37, 3) == MatrixPlace{25, 3});
}

TEST_CASE("wgmma: swizzles and descriptors are those of the PTX ISA", "[ptx]") {
  for (unsigned row = 0; row < 16; ++row) {
    for (unsigned piece = 0; piece < 8; ++piece) {
      // Of rows of one span each: all eight rows differ, every two share, every four share.
      CHECK(swizzled(row * 128 + piece * 16, Swizzle::k128) == row * 128 + (piece ^ row % 8) * 16);
      if (piece < 4) CHECK(swizzled(row * 64 + piece * 16, Swizzle::k64) == row * 64 + (piece ^ row / 2 % 4) * 16);
      if (piece < 2) CHECK(swizzled(row * 32 + piece * 16, Swizzle::k32) == row * 32 + (piece ^ row / 4 % 2) * 16);
      CHECK(swizzled(row * 128 + piece * 16 + 5, Swizzle::kNone) == row * 128 + piece * 16 + 5);
    }
  }
  const auto* const tile = reinterpret_cast<const char*>(std::uintptr_t{0x7f0000000400});  // at 0x400 of its window
  CHECK(shared_descriptor(tile, 16, 1024, Swizzle::k128) == 0x4000004000010040ULL);
  CHECK(shared_descriptor(tile, 5200, 288, Swizzle::kNone) == 0x0000001201450040ULL);
  CHECK(shared_descriptor(tile, 0, 512, Swizzle::k64) >> 62 == 2);
  CHECK(shared_descriptor(tile, 0, 256, Swizzle::k32) >> 62 == 3);
}

TEST_CASE("wgmma: products of all layouts of both operands", "[ptx]") {
  const FreshRuntime fresh;
  for_each_schedule([] { check_all_layouts<64>(); });
  check_all_layouts<128>();
  check_all_layouts<256>();
}

TEST_CASE("wgmma: missing waits and commits, operands overwritten, and half a warp group are found", "[ptx]") {
  const Matrix a(64, 16, 4);
  const Matrix b(64, 16, 5);
  const Matrix start(64, 64, 6);
  const Tile a_tile = lay_out(a, {}, 2, 16);
  const Tile b_tile = lay_out(b, {}, 2, 16);
  std::vector<float> expected = registers_of(product(start, a, b));
  const std::vector<float> second = registers_of(product(start, a, b, 2));
  expected.insert(expected.end(), second.begin(), second.end());
  std::vector<float> before = registers_of(start);
  before.insert(before.end(), before.begin(), before.begin() + 128 * 32);
  for_each_schedule([&] {
    std::string fault;
    const auto right = [&](auto kernel) {
      bool same = false;
      fault = fault_in([&] {
        const Uploaded a_bytes(a_tile.bytes);
        const Uploaded b_bytes(b_tile.bytes);
        const Uploaded d(before);
        run(kernel, one_group("wgmma", a_tile.bytes.size() + b_tile.bytes.size()), described(a_tile, a_bytes),
            described(b_tile, b_bytes), d.data());
        same = d.download() == expected;
      });
      return same;
    };
    using layouts::two_groups_kernel;
    CHECK(right(two_groups_kernel<ProductBug::kNone>));
    if (copies_are_late()) {
      CHECK_FALSE(right(two_groups_kernel<ProductBug::kNoWait>));
      CHECK_FALSE(right(two_groups_kernel<ProductBug::kWrongGroup>));
      CHECK_FALSE(right(two_groups_kernel<ProductBug::kOverwritesOperand>));
    }
    if (kChecked) {
      CHECK_FALSE(right(two_groups_kernel<ProductBug::kOverwritesOperand>));
      CHECK(contains(fault, kNamedRace + "wgmma_kernels.cuh:"));
    }
    CHECK_FALSE(right(two_groups_kernel<ProductBug::kNoCommit>));
    CHECK(contains(fault, "ends with products of its warp that were never waited for"));
    CHECK_FALSE(right(two_groups_kernel<ProductBug::kNoFence>));
    CHECK(contains(fault, "no wgmma_fence stands ahead of the first product"));
    CHECK_FALSE(right(two_groups_kernel<ProductBug::kHalfGroup>));
    CHECK(contains(fault, "deadlock: 64 threads have returned; 64 wait in wgmma"));
  });
}

namespace {

/// c [64,64] = a [M,K] b [N,K]^T by the ring kernel.
template <GemmBug kBug>
std::vector<float> ring_product(const Matrix& a, const Matrix& b) {
  const auto bits = [](const Matrix& m) {
    std::vector<std::uint16_t> all;
    for (const float x : m.values) all.push_back(bf16_bits(x));
    return all;
  };
  const auto map_of = [](const DeviceBuffer<std::uint16_t>& values, const Matrix& m) {
    return make_tensor_map({.global = values.data(),
                            .element = TensorElement::kBf16,
                            .rank = 2,
                            .extent = {m.columns, m.rows},
                            .stride = {1, m.columns},
                            .box = {64, 64},
                            .swizzle = Swizzle::k128});
  };
  const Uploaded da(bits(a));
  const Uploaded db(bits(b));
  const DeviceBuffer<float> c(64 * 64);
  run(layouts::gemm_ring_kernel<kBug>, Launch{.grid = 1, .block = 160, .smem = 4 * 8192, .name = "gemm_ring"},
      map_of(da, a), map_of(db, b), (a.columns + 63) / 64, c.data());
  return c.download();
}

}  // namespace

TEST_CASE("wgmma: a ring of tensor copies feeds the products", "[ptx]") {
  // One tile exactly, and tails in every direction over five rounds.
  const std::pair<Matrix, Matrix> cases[] = {{Matrix(64, 64, 7), Matrix(64, 64, 8)},
                                             {Matrix(61, 296, 9), Matrix(50, 296, 10)}};
  for_each_schedule([&] {
    for (const auto& [a, b] : cases) {
      const FreshRuntime fresh;
      CHECK(ring_product<GemmBug::kNone>(a, b) == product(zeros(64, 64), a, b).values);
    }
    if (!copies_are_late() && !kChecked) return;
    const auto& [a, b] = cases[1];
    const std::vector<float> expected = product(zeros(64, 64), a, b).values;
    std::string fault;
    const auto broken = [&, &a = a, &b = b](auto multiply) {
      bool same = false;
      fault = fault_in([&] { same = multiply(a, b) == expected; });
      return !same;
    };
    CHECK(broken(ring_product<GemmBug::kConsumerDoesNotWait>));
    CHECK(broken(ring_product<GemmBug::kProducerDoesNotWait>));
    CHECK(broken(ring_product<GemmBug::kReleasesTooEarly>));
    CHECK((!kChecked || contains(fault, kNamedRace + "wgmma_kernels.cuh:")));
  });
}

}  // namespace dcase::test
