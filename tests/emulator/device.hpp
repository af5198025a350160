#pragma once
/// What emulated device code calls: where a thread stands, and everything at which threads meet. Implemented by
/// emulator.cpp; only valid inside a running grid.

#include <vector_types.h>

#include <cstddef>
#include <cstdint>

namespace dcase::emulator {

/// A place in a kernel's source.
struct Site {
  const char* file = "";
  int line = 0;
};

struct Position {
  uint3 thread, block;
  dim3 threads, blocks;
  unsigned linear_thread = 0;  ///< x fastest
};

/// Of the fiber that runs on this OS thread; nullptr outside of kernels.
/// constinit: without it every access calls a wrapper, which g++ 12's UBSan takes for a null pointer.
extern constinit thread_local const Position* current_position;

/// Ends the launch with KernelFault; the kernel's and the thread's name are put in front.
[[noreturn]] void fault(const char* text, Site site);

/// The shared variable declared at `key`: one address for all threads of the block, filled with 0xFF, with red zones.
[[nodiscard]] void* shared_variable(const void* key, std::size_t bytes, std::size_t align, Site site);
/// The `index`-th piece of dynamic shared memory.
[[nodiscard]] void* shared_piece(std::size_t index, std::size_t bytes, std::size_t align, Site site);

enum class Vote : std::uint8_t { kNone, kAnd, kOr, kCount };
/// All threads of the block meet; returns the vote over `predicate`.
int meet_block(Vote vote, bool predicate, Site site);
/// Named barrier `id`: `threads` of them meet. Without `wait` the thread only arrives.
void meet_named(int id, unsigned threads, bool wait, Site site);
/// All threads of a cooperative grid, or of a cluster.
void meet_grid(Site site);
void meet_cluster(Site site);

/// The lanes of `mask` meet; the last one runs `work` on the arguments of all (nullptr for lanes outside the mask).
/// Orders no memory.
void meet_warp(const char* name, unsigned mask, void* arguments, void (*work)(void* const* arguments, unsigned mask),
               Site site);
/// __syncwarp: orders memory among the lanes.
void sync_warp(unsigned mask, Site site);

/// Lets other threads run; for loops that wait for a flag.
void yield(Site site);

/// cp.async of `bytes` (4, 8 or 16) to shared memory; the source is read up to `valid` bytes, the rest becomes zero. It
/// lands when the schedule says so, at the latest when wait_copies(groups) leaves fewer than it in flight.
void copy_async(void* shared, const void* global, std::size_t bytes, std::size_t valid, Site site);
void commit_copies(Site site);
void wait_copies(unsigned groups_in_flight, Site site);

/// The running thread reads or writes memory through an instruction that the compiler does not see.
void touch(const void* start, std::size_t bytes, bool write, Site site);

/// Barrier objects in shared memory, and the bulk copies that they count.
void mbarrier_init(std::uint64_t* barrier, unsigned arrivals, Site site);
void mbarrier_arrive(std::uint64_t* barrier, unsigned bytes, Site site);
void mbarrier_wait(std::uint64_t* barrier, unsigned parity, Site site);
void copy_bulk(void* shared, const void* global, std::size_t bytes, std::uint64_t* barrier, Site site);

/// Bulk copies of boxes of a tensor, whose map is what the fake driver made (tensor_box.hpp). Stores count in groups of
/// the thread, like copy_async.
void copy_tensor(void* shared, const void* map, const int* at, int rank, std::uint64_t* barrier, Site site);
void store_tensor(const void* map, const int* at, int rank, const void* shared, Site site);
void commit_stores(Site site);
void wait_stores(unsigned groups_in_flight, Site site);

/// One thread's call of wgmma.mma_async, [64,depth] x [depth,columns].
struct GroupProduct {
  int columns = 0;
  int depth = 0;                // 16 for bf16, 8 for tf32
  float* d = nullptr;           // columns / 2 of them
  const unsigned* a = nullptr;  // registers, or
  std::uint64_t a_tile = 0;     // descriptor
  std::uint64_t b_tile = 0;
  bool a_mn_major = false;
  bool b_mn_major = false;
  bool accumulate = false;
};
/// The threads of a warp group meet. The product is done when the schedule says so, at the latest when
/// wait_products(groups) of its warp leaves fewer groups in flight; operands in shared memory are read then, and the
/// accumulators are NaN until then.
void multiply_group(const GroupProduct& product, Site site);
void fence_products(Site site);
void commit_products(Site site);
void wait_products(unsigned groups_in_flight, Site site);

/// Rank of the running block in its cluster; the place of `shared` in the shared memory of block `rank`.
[[nodiscard]] unsigned cluster_rank();
[[nodiscard]] void* cluster_map(const void* shared, unsigned rank, Site site);

/// A global atomic: `work(address, operand)` is done with no other thread in between, also of other blocks.
void atomic(void* address, std::size_t bytes, void (*work)(void* address, void* operand), void* operand, Site site);

}  // namespace dcase::emulator
