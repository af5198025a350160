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

/// wgmma.m64nNk16 on 16-bit elements, A [64,16] in registers: element i of 8, two in a register, of thread 0 to 127 of
/// the warp group. Each warp has 16 rows.
DCASE_HOST_DEVICE constexpr MatrixPlace wgmma_a(int thread, int i) {
  const MatrixPlace p = mma16816_a(thread % 32, i);
  return {thread / 32 * 16 + p.row, p.column};
}
/// D [64,N] of every m64nN shape: float i of N / 2.
DCASE_HOST_DEVICE constexpr MatrixPlace wgmma_d(int thread, int i) {
  const MatrixPlace p = mma16n8_c(thread % 32, i % 4);
  return {thread / 32 * 16 + p.row, i / 4 * 8 + p.column};
}

/// The axis of an operand along which elements lie side by side: its rows' (M of A, N of B) or the one summed over.
enum class Major : unsigned char { kK, kMn };

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
