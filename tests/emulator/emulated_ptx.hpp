#pragma once
/// The instructions of kernels/common/ptx.cuh on the emulator, after the PTX ISA.

#include <array>
#include <bit>

#include "kernels/common/fragments.hpp"
#include "kernels/common/tensor_map.hpp"
#include "tests/emulator/device.hpp"

namespace dcase {
namespace emulator {

// --- ldmatrix, stmatrix

struct MatrixRow {
  char* row;        // that this lane gives
  unsigned* words;  // that this lane receives or stores, one a matrix
};

inline unsigned short element_of(const unsigned* words, int matrix, int i) {
  return static_cast<unsigned short>(words[matrix] >> 16 * i);
}

template <int kMatrices, bool kTransposed>
void load_matrices(void* const* arguments, unsigned) {
  for (int lane = 0; lane < 32; ++lane) {
    auto& mine = *static_cast<MatrixRow*>(arguments[lane]);
    for (int m = 0; m < kMatrices; ++m) {
      unsigned word = 0;
      for (int i = 0; i < 2; ++i) {
        const MatrixPlace p = ldmatrix_place(lane, i, kTransposed);
        unsigned short value = 0;
        std::memcpy(&value, static_cast<MatrixRow*>(arguments[8 * m + p.row])->row + 2 * p.column, 2);
        word |= static_cast<unsigned>(value) << 16 * i;
      }
      mine.words[m] = word;
    }
  }
}

inline void store_matrices(void* const* arguments, unsigned) {
  for (int lane = 0; lane < 32; ++lane) {
    const auto& mine = *static_cast<MatrixRow*>(arguments[lane]);
    for (int m = 0; m < 4; ++m) {
      for (int i = 0; i < 2; ++i) {
        const MatrixPlace p = ldmatrix_place(lane, i, false);
        const unsigned short value = element_of(mine.words, m, i);
        std::memcpy(static_cast<MatrixRow*>(arguments[8 * m + p.row])->row + 2 * p.column, &value, 2);
      }
    }
  }
}

template <int kMatrices, bool kTransposed>
void ldmatrix(unsigned* words, const void* row, Site site) {
  const bool gives = current_position->linear_thread % 32 < 8 * kMatrices;
  if (gives) {
    if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0) fault("ldmatrix: a row is not aligned to 16 bytes", site);
    touch(row, 16, false, site);
  }
  MatrixRow arguments{static_cast<char*>(const_cast<void*>(row)), words};
  meet_warp("ldmatrix", 0xFFFFFFFFU, &arguments, &load_matrices<kMatrices, kTransposed>, site);
}

// --- mma

struct Product {
  float* c;
  const unsigned* a;
  const unsigned* b;
};

inline float bf16_at(const unsigned* words, int i) { return std::bit_cast<float>(words[i / 2] >> 16 * (i % 2) << 16); }
// The tensor core reads the upper 19 bits.
inline float tf32_of(unsigned word) { return std::bit_cast<float>(word & 0xFFFFE000U); }

template <int kDepth, class LoadA, class LoadB>
void multiply(void* const* arguments, const LoadA& load_a, const LoadB& load_b) {
  std::array<std::array<float, kDepth>, 16> a;
  std::array<std::array<float, kDepth>, 8> b;  // by column
  for (int lane = 0; lane < 32; ++lane) {
    const auto& mine = *static_cast<Product*>(arguments[lane]);
    load_a(mine.a, lane, a);
    load_b(mine.b, lane, b);
  }
  for (int lane = 0; lane < 32; ++lane) {
    const auto& mine = *static_cast<Product*>(arguments[lane]);
    for (int i = 0; i < 4; ++i) {
      const MatrixPlace p = mma16n8_c(lane, i);
      float sum = 0;
      for (int k = 0; k < kDepth; ++k) {
        sum += a[static_cast<std::size_t>(p.row)][static_cast<std::size_t>(k)] *
               b[static_cast<std::size_t>(p.column)][static_cast<std::size_t>(k)];
      }
      mine.c[i] += sum;
    }
  }
}

inline void multiply_bf16(void* const* arguments, unsigned) {
  multiply<16>(
      arguments,
      [](const unsigned* words, int lane, auto& a) {
        for (int i = 0; i < 8; ++i) {
          const MatrixPlace p = mma16816_a(lane, i);
          a[static_cast<std::size_t>(p.row)][static_cast<std::size_t>(p.column)] = bf16_at(words, i);
        }
      },
      [](const unsigned* words, int lane, auto& b) {
        for (int i = 0; i < 4; ++i) {
          const MatrixPlace p = mma16816_b(lane, i);
          b[static_cast<std::size_t>(p.column)][static_cast<std::size_t>(p.row)] = bf16_at(words, i);
        }
      });
}

inline void multiply_tf32(void* const* arguments, unsigned) {
  multiply<8>(
      arguments,
      [](const unsigned* words, int lane, auto& a) {
        for (int i = 0; i < 4; ++i) {
          const MatrixPlace p = mma1688_a(lane, i);
          a[static_cast<std::size_t>(p.row)][static_cast<std::size_t>(p.column)] = tf32_of(words[i]);
        }
      },
      [](const unsigned* words, int lane, auto& b) {
        for (int i = 0; i < 2; ++i) {
          const MatrixPlace p = mma1688_b(lane, i);
          b[static_cast<std::size_t>(p.column)][static_cast<std::size_t>(p.row)] = tf32_of(words[i]);
        }
      });
}

}  // namespace emulator

/// A block's shared memory starts at a multiple of 256 KiB (SharedWindow).
inline unsigned shared_address(const void* p) {
  return static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(p) % (256 * 1024));
}

inline void ldmatrix_x4(unsigned (&r)[4], const void* row, DCASE_SITE) {
  emulator::ldmatrix<4, false>(r, row, {file, line});
}
inline void ldmatrix_x4_trans(unsigned (&r)[4], const void* row, DCASE_SITE) {
  emulator::ldmatrix<4, true>(r, row, {file, line});
}
inline void ldmatrix_x2(unsigned (&r)[2], const void* row, DCASE_SITE) {
  emulator::ldmatrix<2, false>(r, row, {file, line});
}
inline void ldmatrix_x2_trans(unsigned (&r)[2], const void* row, DCASE_SITE) {
  emulator::ldmatrix<2, true>(r, row, {file, line});
}
inline void stmatrix_x4(void* row, const unsigned (&r)[4], DCASE_SITE) {
  if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0) {
    emulator::fault("stmatrix: a row is not aligned to 16 bytes", {file, line});
  }
  emulator::touch(row, 16, true, {file, line});
  emulator::MatrixRow arguments{static_cast<char*>(row), const_cast<unsigned*>(r)};
  emulator::meet_warp("stmatrix", 0xFFFFFFFFU, &arguments, &emulator::store_matrices, {file, line});
}

inline void mma_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], DCASE_SITE) {
  emulator::Product arguments{c, a, b};
  emulator::meet_warp("mma", 0xFFFFFFFFU, &arguments, &emulator::multiply_bf16, {file, line});
}
inline void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], DCASE_SITE) {
  emulator::Product arguments{c, a, b};
  emulator::meet_warp("mma", 0xFFFFFFFFU, &arguments, &emulator::multiply_tf32, {file, line});
}
inline unsigned to_tf32(float x) {
  const unsigned bits = std::bit_cast<unsigned>(x);
  if ((bits & 0x7F800000U) == 0x7F800000U) return bits;  // infinity and NaN
  return (bits + 0x1000U) & 0xFFFFE000U;
}

inline void copy_async_16(void* shared, const void* global, unsigned valid = 16, DCASE_SITE) {
  emulator::copy_async(shared, global, 16, valid, {file, line});
}
inline void copy_async_4(void* shared, const void* global, unsigned valid = 4, DCASE_SITE) {
  emulator::copy_async(shared, global, 4, valid, {file, line});
}
inline void copy_async_commit(DCASE_SITE) { emulator::commit_copies({file, line}); }
template <int kInFlight>
void copy_async_wait(DCASE_SITE) {
  emulator::wait_copies(kInFlight, {file, line});
}

inline void named_barrier_sync(int id, int threads, DCASE_SITE) {
  emulator::meet_named(id, static_cast<unsigned>(threads), true, {file, line});
}
inline void named_barrier_arrive(int id, int threads, DCASE_SITE) {
  emulator::meet_named(id, static_cast<unsigned>(threads), false, {file, line});
}

inline void mbarrier_init(std::uint64_t* barrier, unsigned arrivals, DCASE_SITE) {
  emulator::mbarrier_init(barrier, arrivals, {file, line});
}
inline void mbarrier_arrive(std::uint64_t* barrier, DCASE_SITE) { emulator::mbarrier_arrive(barrier, 0, {file, line}); }
inline void mbarrier_arrive_expect(std::uint64_t* barrier, unsigned bytes, DCASE_SITE) {
  emulator::mbarrier_arrive(barrier, bytes, {file, line});
}
inline void mbarrier_wait(std::uint64_t* barrier, unsigned parity, DCASE_SITE) {
  emulator::mbarrier_wait(barrier, parity, {file, line});
}
inline void copy_bulk(void* shared, const void* global, unsigned bytes, std::uint64_t* barrier, DCASE_SITE) {
  emulator::copy_bulk(shared, global, bytes, barrier, {file, line});
}
template <int kRank>
void copy_tensor(void* shared, const TensorMap& map, const int (&at)[kRank], std::uint64_t* barrier, DCASE_SITE) {
  emulator::copy_tensor(shared, &map, at, kRank, barrier, {file, line});
}
template <int kRank>
void store_tensor(const TensorMap& map, const int (&at)[kRank], const void* shared, DCASE_SITE) {
  emulator::store_tensor(&map, at, kRank, shared, {file, line});
}
inline void store_tensor_commit(DCASE_SITE) { emulator::commit_stores({file, line}); }
template <int kInFlight>
void store_tensor_wait(DCASE_SITE) {
  emulator::wait_stores(kInFlight, {file, line});
}
// Memory is coherent here; what the fence orders on a GPU is not modelled.
inline void fence_proxy_async() {}

inline unsigned cluster_rank() { return emulator::cluster_rank(); }
inline void cluster_sync(DCASE_SITE) { emulator::meet_cluster({file, line}); }
template <class T>
T* cluster_map(T* shared, unsigned rank, DCASE_SITE) {
  return static_cast<T*>(emulator::cluster_map(shared, rank, {file, line}));
}

// Streams run one kernel after the other here.
inline void wait_for_kernel_ahead() {}
inline void let_kernel_behind_start() {}
template <int kRegisters>
void give_back_registers() {
  static_assert(kRegisters >= 24 && kRegisters <= 256 && kRegisters % 8 == 0);
}
template <int kRegisters>
void take_more_registers() {
  static_assert(kRegisters >= 24 && kRegisters <= 256 && kRegisters % 8 == 0);
}

inline void wgmma_fence(DCASE_SITE) { emulator::fence_products({file, line}); }
inline void wgmma_commit(DCASE_SITE) { emulator::commit_products({file, line}); }
template <int kInFlight>
void wgmma_wait(DCASE_SITE) {
  emulator::wait_products(kInFlight, {file, line});
}
// "Registers" whose address was given away are in memory around every call already.
template <class T, int kCount>
void wgmma_hold(T (&)[kCount]) {}
template <Major kMajorA, Major kMajorB, int kCount>
void wgmma_bf16(float (&d)[kCount], std::uint64_t a, std::uint64_t b, bool accumulate, DCASE_SITE) {
  static_assert(kCount == 32 || kCount == 64 || kCount == 128);
  emulator::multiply_group({.columns = 2 * kCount,
                            .depth = 16,
                            .d = d,
                            .a_tile = a,
                            .b_tile = b,
                            .a_mn_major = kMajorA == Major::kMn,
                            .b_mn_major = kMajorB == Major::kMn,
                            .accumulate = accumulate},
                           {file, line});
}
template <Major kMajorB, int kCount>
void wgmma_bf16(float (&d)[kCount], const unsigned (&a)[4], std::uint64_t b, bool accumulate, DCASE_SITE) {
  static_assert(kCount == 32 || kCount == 64 || kCount == 128);
  emulator::multiply_group({.columns = 2 * kCount,
                            .depth = 16,
                            .d = d,
                            .a = a,
                            .b_tile = b,
                            .b_mn_major = kMajorB == Major::kMn,
                            .accumulate = accumulate},
                           {file, line});
}
template <int kCount>
void wgmma_tf32(float (&d)[kCount], std::uint64_t a, std::uint64_t b, bool accumulate, DCASE_SITE) {
  static_assert(kCount == 32 || kCount == 64 || kCount == 128);
  emulator::multiply_group(
      {.columns = 2 * kCount, .depth = 8, .d = d, .a_tile = a, .b_tile = b, .accumulate = accumulate}, {file, line});
}

}  // namespace dcase
