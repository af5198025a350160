#pragma once
/// Instructions that CUDA C++ has no words for, one function each. The device bodies are here, the emulated ones in
/// tests/emulator/emulated_ptx.hpp, after the PTX ISA; layouts_test.cpp, wgmma_test.cpp and tensor_map_test.cpp of
/// tests/cuda hold both against fragments.hpp.
///
/// Warp-wide functions (ldmatrix, stmatrix, mma) are called by all 32 lanes, those of a warp group (wgmma) by the 128
/// threads of four warps from a multiple of 128 on. Pointers to shared memory are generic ones. sm_80 and later; from
/// the lines that say so, sm_90 and later, and sm_90a alone.

#include "kernels/common/dialect.cuh"
#include "kernels/common/fragments.hpp"
#include "kernels/common/tensor_map.hpp"

/// Where the instructions of sm_90a may stand: in its own pass, and in the host's. Compute capability 9.0 without the
/// "a" does not have them. A kernel that uses them is declared in every pass and has its body between #ifdef
/// DCASE_SM90A and #endif; its launcher asks for the device's capability.
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define DCASE_SM90A
#endif

// Where the functions of sm_90 are: kernels that call them have their bodies under it, since the kernels themselves
// must exist in every pass of the compiler.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
#define DCASE_SM90
#endif

#ifdef DCASE_EMULATED
#include "emulated_ptx.hpp"  // tests/emulator
#else

namespace dcase {

/// The address that PTX means by a shared-memory operand.
__device__ __forceinline__ unsigned shared_address(const void* p) {
  return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

/// Four 8x8 matrices of 16-bit elements: lane 8j + r gives the address of row r of matrix j (16 bytes, aligned),
/// register j receives this lane's two elements of matrix j (fragments.hpp, ldmatrix_place).
__device__ __forceinline__ void ldmatrix_x4(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
/// As ldmatrix_x4, each matrix transposed.
__device__ __forceinline__ void ldmatrix_x4_trans(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
/// Two matrices; the addresses of lanes 0-15 count.
__device__ __forceinline__ void ldmatrix_x2(unsigned (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_x2_trans(unsigned (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}

/// c += a * b, [16,16] x [16,8], bf16 in, float out.
__device__ __forceinline__ void mma_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
/// c += a * b, [16,8] x [8,8], tf32 in (floats rounded by to_tf32), float out.
__device__ __forceinline__ void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
/// The nearest tf32 (10 bits of mantissa), ties away from zero, as the bits of a float.
__device__ __forceinline__ unsigned to_tf32(float x) {
  unsigned bits = 0;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}

/// Copies 16 bytes from global to shared memory without passing through registers; both aligned to 16. Of the source
/// `valid` bytes (0 to 16) are read, the rest becomes zero. Not there before copy_async_wait and a barrier.
__device__ __forceinline__ void copy_async_16(void* shared, const void* global, unsigned valid = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(valid)
               : "memory");
}
/// As copy_async_16 for 4 bytes.
__device__ __forceinline__ void copy_async_4(void* shared, const void* global, unsigned valid = 4) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(valid)
               : "memory");
}
/// Closes this thread's group of copies.
__device__ __forceinline__ void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Waits until at most `kInFlight` of this thread's latest groups are under way.
template <int kInFlight>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kInFlight) : "memory");
}

/// Barrier `id` (1 to 15; 0 is __syncthreads) among `threads` threads, a multiple of 32.
__device__ __forceinline__ void named_barrier_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
/// Counts towards the barrier without waiting.
__device__ __forceinline__ void named_barrier_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

#ifdef DCASE_SM90
// --- sm_90 and later

/// Four 8x8 matrices from registers to shared memory; addresses and registers as in ldmatrix_x4.
__device__ __forceinline__ void stmatrix_x4(void* row, const unsigned (&r)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(shared_address(row)), "r"(r[0]),
               "r"(r[1]), "r"(r[2]), "r"(r[3])
               : "memory");
}

/// A barrier object in shared memory (8 bytes): its phase ends when `arrivals` have come and all announced bytes have
/// landed. One thread initialises it; fence_proxy_async, for copies, and a __syncthreads stand before its first use.
__device__ __forceinline__ void mbarrier_init(std::uint64_t* barrier, unsigned arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
__device__ __forceinline__ void mbarrier_arrive(std::uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}
/// Arrives and announces `bytes` that bulk copies will bring in this phase.
__device__ __forceinline__ void mbarrier_arrive_expect(std::uint64_t* barrier, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
               : "memory");
}
/// Waits for the end of the phase of that parity; phases count from 0.
__device__ __forceinline__ void mbarrier_wait(std::uint64_t* barrier, unsigned parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}\n" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}
/// Copies `bytes` (a multiple of 16, both ends aligned to 16) from global to shared memory; one thread asks, the
/// barrier's phase ends when they are there.
__device__ __forceinline__ void copy_bulk(void* shared, const void* global, unsigned bytes, std::uint64_t* barrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                   shared_address(shared)),
               "l"(global), "r"(bytes), "r"(shared_address(barrier))
               : "memory");
}
/// Copies the box of `map` (a `const __grid_constant__` parameter of the kernel) whose first element has the
/// coordinates `at`, innermost axis first, to shared memory: dense, innermost axis fastest, swizzled as the map says.
/// What lies outside of the tensor becomes zero; the barrier counts the bytes of the whole box. `shared` is aligned to
/// 128 bytes, to 1024 with a swizzle.
template <int kRank>
__device__ __forceinline__ void copy_tensor(void* shared, const TensorMap& map, const int (&at)[kRank],
                                            std::uint64_t* barrier) {
#define DCASE_COPY_TENSOR(rank, axes, ...)                                                                           \
  asm volatile("cp.async.bulk.tensor." rank ".shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {" axes \
               "}], [%2];" ::"r"(shared_address(shared)),                                                            \
               "l"(&map), "r"(shared_address(barrier)), __VA_ARGS__                                                  \
               : "memory")
  static_assert(kRank >= 2 && kRank <= 5);
  if constexpr (kRank == 2) DCASE_COPY_TENSOR("2d", "%3, %4", "r"(at[0]), "r"(at[1]));
  if constexpr (kRank == 3) DCASE_COPY_TENSOR("3d", "%3, %4, %5", "r"(at[0]), "r"(at[1]), "r"(at[2]));
  if constexpr (kRank == 4) DCASE_COPY_TENSOR("4d", "%3, %4, %5, %6", "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]));
  if constexpr (kRank == 5) {
    DCASE_COPY_TENSOR("5d", "%3, %4, %5, %6, %7", "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]), "r"(at[4]));
  }
#undef DCASE_COPY_TENSOR
}
/// The other way; what lies outside of the tensor is not written. The writes to the box come before, with
/// fence_proxy_async and a barrier behind them. Under way until store_tensor_wait.
template <int kRank>
__device__ __forceinline__ void store_tensor(const TensorMap& map, const int (&at)[kRank], const void* shared) {
#define DCASE_STORE_TENSOR(rank, axes, ...)                                                                       \
  asm volatile("cp.async.bulk.tensor." rank ".global.shared::cta.bulk_group [%0, {" axes "}], [%1];" ::"l"(&map), \
               "r"(shared_address(shared)), __VA_ARGS__                                                           \
               : "memory")
  static_assert(kRank >= 2 && kRank <= 5);
  if constexpr (kRank == 2) DCASE_STORE_TENSOR("2d", "%2, %3", "r"(at[0]), "r"(at[1]));
  if constexpr (kRank == 3) DCASE_STORE_TENSOR("3d", "%2, %3, %4", "r"(at[0]), "r"(at[1]), "r"(at[2]));
  if constexpr (kRank == 4) DCASE_STORE_TENSOR("4d", "%2, %3, %4, %5", "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]));
  if constexpr (kRank == 5) {
    DCASE_STORE_TENSOR("5d", "%2, %3, %4, %5, %6", "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]), "r"(at[4]));
  }
#undef DCASE_STORE_TENSOR
}
/// Closes this thread's group of stores.
__device__ __forceinline__ void store_tensor_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
/// Waits until at most `kInFlight` of this thread's latest groups are under way: the others have read their boxes and
/// written the tensor.
template <int kInFlight>
__device__ __forceinline__ void store_tensor_wait() {
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(kInFlight) : "memory");
}
/// What this thread wrote to shared memory, barrier objects among it, is seen by the asynchronous copies and products
/// behind.
__device__ __forceinline__ void fence_proxy_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

/// Rank of this block in its cluster, and the cluster's barrier.
__device__ __forceinline__ unsigned cluster_rank() {
  unsigned rank = 0;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
__device__ __forceinline__ void cluster_sync() {
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}
/// The same variable in the shared memory of block `rank` of the cluster, as a generic pointer.
template <class T>
__device__ __forceinline__ T* cluster_map(T* shared, unsigned rank) {
  T* mapped = nullptr;
  asm("mapa.u64 %0, %1, %2;" : "=l"(mapped) : "l"(shared), "r"(rank));
  return mapped;
}

/// Before reading what the kernel ahead in the stream wrote, in a launch with `programmatic`.
__device__ __forceinline__ void wait_for_kernel_ahead() { asm volatile("griddepcontrol.wait;" ::: "memory"); }
/// The kernel behind may start now.
__device__ __forceinline__ void let_kernel_behind_start() {
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}
#endif

#ifdef DCASE_SM90A
// --- sm_90a alone

/// Registers of each thread of this warp group from here on: a multiple of 8 from 24 to 256.
template <int kRegisters>
__device__ __forceinline__ void give_back_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void take_more_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

/// Ahead of the first product of a kernel, and of each one whose registers (D, or A) other instructions have touched.
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
/// Closes the warp's group of products.
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Waits until at most `kInFlight` of the warp's latest groups are under way. Until then nobody touches the registers
/// of a product or writes to its operands in shared memory.
template <int kInFlight>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kInFlight) : "memory");
}
/// The compiler moves nothing that it does with these registers across this line. Ahead of wgmma_fence for the
/// registers that the products take, behind wgmma_wait for those that they leave; without it ptxas may have to
/// serialise the products.
template <int kCount>
__device__ __forceinline__ void wgmma_hold(float (&registers)[kCount]) {
  DCASE_UNROLL for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(registers[i])::"memory");
}
template <int kCount>
__device__ __forceinline__ void wgmma_hold(unsigned (&registers)[kCount]) {
  DCASE_UNROLL for (int i = 0; i < kCount; ++i) asm volatile("" : "+r"(registers[i])::"memory");
}

/// The three forms for N columns. An instruction is text with numbered operands: D first, then the inputs %i0 on.
template <int kColumns>
struct Wgmma;
#define DCASE_TEXT_32                                                    \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15" \
  ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define DCASE_TEXT_64                                                                \
  DCASE_TEXT_32                                                                      \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47" \
  ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define DCASE_TEXT_128                                                                           \
  DCASE_TEXT_64                                                                                  \
  ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"             \
  ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"             \
  ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111" \
  ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define DCASE_D_4(i) "+f"(d[i]), "+f"(d[(i) + 1]), "+f"(d[(i) + 2]), "+f"(d[(i) + 3])
#define DCASE_D_16(i) DCASE_D_4(i), DCASE_D_4((i) + 4), DCASE_D_4((i) + 8), DCASE_D_4((i) + 12)
#define DCASE_D_32(i) DCASE_D_16(i), DCASE_D_16((i) + 16)
#define DCASE_D_64(i) DCASE_D_32(i), DCASE_D_32((i) + 32)
#define DCASE_D_128(i) DCASE_D_64(i), DCASE_D_64((i) + 64)
#define DCASE_WGMMA_TEXT(predicate, shape, registers, inputs) \
  "{\n.reg .pred add;\n"                                      \
  "setp.ne.b32 add, %" predicate                              \
  ", 0;\n"                                                    \
  "wgmma.mma_async.sync.aligned.m64n" shape " {" registers "}, " inputs ";\n}"
#define DCASE_WGMMA(columns, registers, i0, i1, i2, i3, i4, i5, i6)                                                   \
  template <>                                                                                                         \
  struct Wgmma<columns> {                                                                                             \
    template <int kMajorA, int kMajorB>                                                                               \
    static __device__ __forceinline__ void bf16(float (&d)[registers], std::uint64_t a, std::uint64_t b, int add) {   \
      asm volatile(DCASE_WGMMA_TEXT(#i2, #columns "k16.f32.bf16.bf16", DCASE_TEXT_##registers,                        \
                                    "%" #i0 ", %" #i1 ", add, 1, 1, %" #i3 ", %" #i4)                                 \
                   : DCASE_D_##registers(0)                                                                           \
                   : "l"(a), "l"(b), "r"(add), "n"(kMajorA), "n"(kMajorB)                                             \
                   : "memory");                                                                                       \
    }                                                                                                                 \
    template <int kMajorB>                                                                                            \
    static __device__ __forceinline__ void bf16(float (&d)[registers], const unsigned (&a)[4], std::uint64_t b,       \
                                                int add) {                                                            \
      asm volatile(DCASE_WGMMA_TEXT(#i5, #columns "k16.f32.bf16.bf16", DCASE_TEXT_##registers,                        \
                                    "{%" #i0 ", %" #i1 ", %" #i2 ", %" #i3 "}, %" #i4 ", add, 1, 1, %" #i6)           \
                   : DCASE_D_##registers(0)                                                                           \
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add), "n"(kMajorB)                       \
                   : "memory");                                                                                       \
    }                                                                                                                 \
    static __device__ __forceinline__ void tf32(float (&d)[registers], std::uint64_t a, std::uint64_t b, int add) {   \
      asm volatile(                                                                                                   \
          DCASE_WGMMA_TEXT(#i2, #columns "k8.f32.tf32.tf32", DCASE_TEXT_##registers, "%" #i0 ", %" #i1 ", add, 1, 1") \
          : DCASE_D_##registers(0)                                                                                    \
          : "l"(a), "l"(b), "r"(add)                                                                                  \
          : "memory");                                                                                                \
    }                                                                                                                 \
  }
DCASE_WGMMA(64, 32, 32, 33, 34, 35, 36, 37, 38);
DCASE_WGMMA(128, 64, 64, 65, 66, 67, 68, 69, 70);
DCASE_WGMMA(256, 128, 128, 129, 130, 131, 132, 133, 134);
#undef DCASE_WGMMA
#undef DCASE_WGMMA_TEXT
#undef DCASE_D_128
#undef DCASE_D_64
#undef DCASE_D_32
#undef DCASE_D_16
#undef DCASE_D_4
#undef DCASE_TEXT_128
#undef DCASE_TEXT_64
#undef DCASE_TEXT_32

/// d = a * b, or d += a * b: [64,16] x [16,N], bf16 in, float out, N = 64, 128 or 256 and N / 2 floats a thread
/// (fragments.hpp, wgmma_d). Both operands stand in shared memory, given by shared_descriptor; they and d belong to the
/// product until wgmma_wait.
template <Major kMajorA, Major kMajorB, int kCount>
__device__ __forceinline__ void wgmma_bf16(float (&d)[kCount], std::uint64_t a, std::uint64_t b, bool accumulate) {
  Wgmma<2 * kCount>::template bf16<static_cast<int>(kMajorA), static_cast<int>(kMajorB)>(d, a, b, accumulate);
}
/// As above with A in registers (wgmma_a).
template <Major kMajorB, int kCount>
__device__ __forceinline__ void wgmma_bf16(float (&d)[kCount], const unsigned (&a)[4], std::uint64_t b,
                                           bool accumulate) {
  Wgmma<2 * kCount>::template bf16<static_cast<int>(kMajorB)>(d, a, b, accumulate);
}
/// [64,8] x [8,N], floats of which the product takes the upper 19 bits (tf32); both operands K-major.
template <int kCount>
__device__ __forceinline__ void wgmma_tf32(float (&d)[kCount], std::uint64_t a, std::uint64_t b, bool accumulate) {
  Wgmma<2 * kCount>::tf32(d, a, b, accumulate);
}
#endif

}  // namespace dcase
#endif

namespace dcase {

/// A tile in shared memory as wgmma wants it described ("Matrix Descriptor Format"): an operand [rows, K], where rows
/// are M of A or N of B. Elements stand in pieces of 16 bytes along the major axis.
///
///                     side by side                           stride_bytes         leading_bytes
/// K-major, kNone      8 rows of a piece                      to the next 8 rows   to the rows' next pieces
/// K-major, swizzled   a span of K of a row, for 8 rows       to the next 8 rows   ignored
/// MN-major, kNone     8 steps of K of a piece of 8 rows      to the next 8 rows   to the next 8 steps of K
/// MN-major, swizzled  a span of rows of a step, for 8 steps  to the next 8 steps  to the next span of rows
///
/// `shared` is aligned to 16 bytes. A swizzled tile starts at a multiple of 1024; an operand within it starts where it
/// would without the swizzle.
__device__ __forceinline__ std::uint64_t shared_descriptor(const void* shared, unsigned leading_bytes,
                                                           unsigned stride_bytes, Swizzle swizzle) {
  const auto encoded = [](unsigned bytes) { return static_cast<std::uint64_t>((bytes & 0x3FFFFU) >> 4); };
  const auto layout = static_cast<std::uint64_t>((4 - static_cast<unsigned>(swizzle)) % 4);
  return encoded(shared_address(shared)) | encoded(leading_bytes) << 16 | encoded(stride_bytes) << 32 | layout << 62;
}

}  // namespace dcase
