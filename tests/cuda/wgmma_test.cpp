// The products of warp groups, alone and fed by copies of tensors, against plain arithmetic: on the emulator and on a
// GPU.

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/common/fragments.hpp"
#include "tests/cuda/cuda_test.hpp"
#include "tests/cuda/layouts.hpp"
#include "tests/cuda/products.hpp"

namespace dcase::test {

using layouts::Form;
using layouts::Matrix;
using layouts::registers_of;
using layouts::Tile;
using layouts::Tiling;

namespace {

/// Whether the products of A [64,K] and B [N,K] are right, added to what was there and in its place.
bool products_are_right(int columns, Form form, const Tiling& a_tiling, const Tiling& b_tiling) {
  const int element_bytes = form == Form::kTf32 ? 4 : 2;
  const int product_depth = 32 / element_bytes;
  const unsigned span = swizzle_span(b_tiling.swizzle);
  const int depth = b_tiling.swizzle == Swizzle::kNone ? 2 * product_depth : static_cast<int>(span) / element_bytes;
  const Matrix a(64, depth, 1);
  const Matrix b(columns, depth, 2);
  const Matrix start(64, columns, 3);
  const Tile a_tile = lay_out(a, a_tiling, element_bytes);
  const Tile b_tile = lay_out(b, b_tiling, element_bytes);
  bool right = true;
  for (const bool accumulate : {true, false}) {
    right = right && layouts::wgmma(form, columns, a_tile, registers_of_a(a), b_tile, depth / product_depth, accumulate,
                                    registers_of(start)) ==
                         registers_of(product(accumulate ? start : Matrix(64, columns), a, b));
  }
  return right;
}

void check_all_layouts(int columns) {
  for (const Swizzle swizzle : layouts::kSwizzles) {
    for (const Major b : {Major::kK, Major::kMn}) {
      for (const Major a : {Major::kK, Major::kMn}) {
        CAPTURE(columns, static_cast<int>(swizzle), static_cast<int>(a), static_cast<int>(b));
        CHECK(products_are_right(columns, Form::kBf16, {a, swizzle}, {b, swizzle}));
      }
      CHECK(products_are_right(columns, Form::kBf16RegistersA, {}, {b, swizzle, true}));
    }
    CHECK(products_are_right(columns, Form::kTf32, {Major::kK, swizzle}, {Major::kK, swizzle}));
  }
}

void skip_without_wgmma() {
  if (!layouts::has_sm90()) skip("the device has no wgmma");
}

}  // namespace

TEST_CASE("wgmma: fragment maps cover each element once", "[layouts]") {
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

TEST_CASE("wgmma: swizzles are those of the PTX ISA", "[layouts]") {
  for (unsigned row = 0; row < 16; ++row) {
    for (unsigned piece = 0; piece < 8; ++piece) {
      // Of rows of one span each: all eight rows differ, every two share, every four share.
      CHECK(swizzled(row * 128 + piece * 16, Swizzle::k128) == row * 128 + (piece ^ row % 8) * 16);
      if (piece < 4) CHECK(swizzled(row * 64 + piece * 16, Swizzle::k64) == row * 64 + (piece ^ row / 2 % 4) * 16);
      if (piece < 2) CHECK(swizzled(row * 32 + piece * 16, Swizzle::k32) == row * 32 + (piece ^ row / 4 % 2) * 16);
      CHECK(swizzled(row * 128 + piece * 16 + 5, Swizzle::kNone) == row * 128 + piece * 16 + 5);
    }
  }
}

TEST_CASE("wgmma: products of all layouts of both operands", "[layouts]") {
  const FreshRuntime fresh;
  skip_without_wgmma();
  for_each_schedule([] { check_all_layouts(64); });
  check_all_layouts(128);
  check_all_layouts(256);
}

TEST_CASE("wgmma: two groups of products, waited for one by one", "[layouts]") {
  const FreshRuntime fresh;
  skip_without_wgmma();
  const Matrix a(64, 16, 4);
  const Matrix b(64, 16, 5);
  const Matrix start(64, 64, 6);
  const auto both = [](const Matrix& first, const Matrix& second) {
    std::vector<float> registers = registers_of(first);
    const std::vector<float> behind = registers_of(second);
    registers.insert(registers.end(), behind.begin(), behind.end());
    return registers;
  };
  for_each_schedule([&] {
    CHECK(layouts::two_groups(lay_out(a, {}, 2), lay_out(b, {}, 2), both(start, start)) ==
          both(product(start, a, b), product(start, a, b, 2)));
  });
}

TEST_CASE("wgmma: a ring of tensor copies feeds the products", "[layouts]") {
  const FreshRuntime fresh;
  skip_without_wgmma();
  // One tile exactly, and tails in every direction over five rounds.
  const std::pair<Matrix, Matrix> cases[] = {{Matrix(64, 64, 7), Matrix(64, 64, 8)},
                                             {Matrix(61, 296, 9), Matrix(50, 296, 10)}};
  for_each_schedule([&] {
    for (const auto& [a, b] : cases) {
      CHECK(layouts::ring_product(a, b) == product(Matrix(64, 64), a, b).values);
    }
  });
}

}  // namespace dcase::test
