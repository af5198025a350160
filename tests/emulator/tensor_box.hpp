#pragma once
/// What the fake driver writes into a tensor map, and the pieces of a box.

#include <cstddef>
#include <cstdint>

#include "tests/emulator/gang.hpp"

namespace dcase::emulator {

/// In the place of the 128 bytes that only NVIDIA's driver and hardware understand. Axes from the innermost on.
struct EncodedTensor {
  static constexpr std::uint64_t kMark = 0x70616d20726f736eULL;
  static constexpr int kMostAxes = 5;
  std::uint64_t mark = kMark;
  char* global = nullptr;
  std::int64_t extent[kMostAxes] = {};        // elements
  std::int64_t stride_bytes[kMostAxes] = {};  // of axes 1 on
  std::int16_t box[kMostAxes] = {};
  std::uint8_t rank = 0;
  std::uint8_t element_bytes = 0;
  std::uint8_t swizzle_bits = 0;

  [[nodiscard]] std::int64_t box_rows() const {
    std::int64_t rows = 1;
    for (int axis = 1; axis < rank; ++axis) rows *= box[axis];
    return rows;
  }
  [[nodiscard]] std::size_t box_bytes() const { return static_cast<std::size_t>(box_rows() * box[0] * element_bytes); }
};
static_assert(sizeof(EncodedTensor) <= 128);

/// Calls `work(shared piece, its place in the tensor or nullptr outside of it, bytes)` for all of the box at `at`. A
/// piece lies within 16 bytes, which a swizzle keeps together.
template <class Work>
void for_pieces(const EncodedTensor& t, const int* at, char* shared, const Work& work) {
  const std::int64_t row_bytes = std::int64_t{t.box[0]} * t.element_bytes;
  for (std::int64_t row = 0; row < t.box_rows(); ++row) {
    bool row_inside = true;
    std::int64_t offset = 0;
    std::int64_t rest = row;
    for (int axis = 1; axis < t.rank; ++axis) {
      const std::int64_t place = at[axis] + rest % t.box[axis];
      rest /= t.box[axis];
      row_inside = row_inside && place >= 0 && place < t.extent[axis];
      offset += place * t.stride_bytes[axis];
    }
    const auto inside = [&](std::int64_t byte) {
      const std::int64_t x = at[0] + byte / t.element_bytes;
      return row_inside && x >= 0 && x < t.extent[0];
    };
    for (std::int64_t byte = 0; byte < row_bytes;) {
      std::int64_t end = byte + t.element_bytes;
      while (end % 16 != 0 && inside(end) == inside(byte)) end += t.element_bytes;
      const auto linear =
          reinterpret_cast<std::uintptr_t>(shared) + static_cast<std::uintptr_t>(row * row_bytes + byte);
      char* const global = inside(byte) ? t.global + offset + std::int64_t{at[0]} * t.element_bytes + byte : nullptr;
      work(reinterpret_cast<char*>(SharedWindow::swizzled(linear, t.swizzle_bits)), global,
           static_cast<std::size_t>(end - byte));
      byte = end;
    }
  }
}

}  // namespace dcase::emulator
