#pragma once
/// Which element of a matrix each register of each lane holds in the tensor-core instructions, after the PTX ISA
/// ("Matrix Fragments"). Kernels, the emulator and the layout tests use these maps, so a layout is written down once.

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

}  // namespace dcase
