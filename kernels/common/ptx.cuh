#pragma once
/// Instructions that CUDA C++ has no words for, one function each. The device bodies are here, the emulated ones in
/// tests/emulator/emulated_ptx.hpp, after the PTX ISA; ptx_test.cpp and tensor_map_test.cpp there hold both against
/// fragments.hpp.
///
/// Warp-wide functions (ldmatrix, stmatrix, mma) are called by all 32 lanes. Pointers to shared memory are generic
/// ones. sm_80 and later; from the lines that say so, sm_90 and later, and sm_90a alone.

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
/// landed. One thread initialises it; a __syncthreads stands before its first use.
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
/// What this thread wrote to shared memory is seen by the asynchronous copies and products behind.
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

#endif

}  // namespace dcase
#endif
