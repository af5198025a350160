#pragma once
/// Which element of a matrix each register of each lane holds in the tensor-core instructions, after the PTX ISA
/// ("Matrix Fragments", "Register Fragments"), and how shared-memory tiles are swizzled. Kernels, the emulator and the
/// layout tests use these maps, so a layout is written down once.

namespace dcase {

/// Row and column within the tile.
struct MatrixPlace {
  int row = 0;
  int column = 0;
  friend constexpr bool operator==(const MatrixPlace&, const MatrixPlace&) = default;
};

#if defined(__CUDACC__)
#define DCASE_HOST_DEVICE __host__ __device__
#else
#define DCASE_HOST_DEVICE
#endif

/// mma.m16n8k16 on 16-bit elements. A [16,16]: element i of 8, two in a register.
DCASE_HOST_DEVICE constexpr MatrixPlace mma16816_a(int lane, int i) {
  return {lane / 4 + (i / 2 % 2) * 8, lane % 4 * 2 + i % 2 + i / 4 * 8};
}
/// B [16,8] (k, n): element i of 4, two in a register.
DCASE_HOST_DEVICE constexpr MatrixPlace mma16816_b(int lane, int i) {
  return {lane % 4 * 2 + i % 2 + i / 2 * 8, lane / 4};
}
/// C and D [16,8] of every m16n8 shape: float i of 4.
DCASE_HOST_DEVICE constexpr MatrixPlace mma16n8_c(int lane, int i) {
  return {lane / 4 + i / 2 * 8, lane % 4 * 2 + i % 2};
}
/// mma.m16n8k8 on tf32. A [16,8]: register i of 4.
DCASE_HOST_DEVICE constexpr MatrixPlace mma1688_a(int lane, int i) {
  return {lane / 4 + i % 2 * 8, lane % 4 + i / 2 * 4};
}
/// B [8,8] (k, n): register i of 2.
DCASE_HOST_DEVICE constexpr MatrixPlace mma1688_b(int lane, int i) { return {lane % 4 + i * 4, lane / 4}; }
/// ldmatrix and stmatrix, one 8x8 matrix of 16-bit elements: element i of 2 of a lane's register. With .trans row and
/// column change places.
DCASE_HOST_DEVICE constexpr MatrixPlace ldmatrix_place(int lane, int i, bool transposed) {
  return transposed ? MatrixPlace{lane % 4 * 2 + i, lane / 4} : MatrixPlace{lane / 4, lane % 4 * 2 + i};
}

/// The bytes within which 16-byte pieces of a shared-memory tile change places, so that eight pieces of one column lie
/// in different banks.
enum class Swizzle : unsigned char { kNone, k32, k64, k128 };
DCASE_HOST_DEVICE constexpr unsigned swizzle_span(Swizzle swizzle) { return 16U << static_cast<unsigned>(swizzle); }
/// Where the byte of that shared-memory address goes: the low one to three bits of its 128-byte line's number are added
/// without carry to those of the piece's. The pattern repeats after 8 spans; tiles start at a multiple of 1024.
DCASE_HOST_DEVICE constexpr unsigned swizzled(unsigned address, Swizzle swizzle) {
  const unsigned pieces = swizzle_span(swizzle) / 16 - 1;
  return address ^ (address / 128 & pieces) * 16;
}

}  // namespace dcase
