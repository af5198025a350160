// What happens beside the threads: asynchronous copies, the barrier objects that count them, clusters.

#include <cstring>

#include "kernels/common/error.hpp"
#include "tests/emulator/gang.hpp"

namespace dcase::emulator {
namespace {

void bring(Copy& copy) {
  if (copy.landed) return;
  if (copy.valid > 0) std::memcpy(copy.destination, copy.source, copy.valid);
  std::memset(copy.destination + copy.valid, 0, copy.bytes - copy.valid);
  copy.landed = true;
}

// Checks and poisons the destination.
Copy start_copy(void* shared, const void* global, std::size_t bytes, std::size_t valid, Site site) {
  Gang& gang = Gang::current();
  if (checker != nullptr) {
    if (valid > 0) checker->touch(gang.thread_number(), global, valid, false, false, site);
    checker->flies(gang.thread_number(), shared, bytes, site);
  }
  std::memset(shared, 0xFF, bytes);
  return {static_cast<char*>(shared), static_cast<const char*>(global), bytes, valid, false, site};
}

bool is_aligned(const void* p, std::size_t bytes) { return reinterpret_cast<std::uintptr_t>(p) % bytes == 0; }

PhaseBarrier& find_barrier(const void* barrier, Site site) {
  Gang& gang = Gang::current();
  for (std::size_t b = 0; b < gang.block_count(); ++b) {
    const auto found = gang.block_at(b).phase_barriers.find(barrier);
    if (found != gang.block_at(b).phase_barriers.end()) return found->second;
  }
  gang.fail("the mbarrier was never initialised", site);
}

}  // namespace

void touch(const void* start, std::size_t bytes, bool write, Site site) {
  const Inside inside;
  if (checker != nullptr) checker->touch(Gang::current().thread_number(), start, bytes, write, false, site);
}

void copy_async(void* shared, const void* global, std::size_t bytes, std::size_t valid, Site site) {
  const Inside inside;
  Gang& gang = Gang::current();
  if (bytes != 4 && bytes != 8 && bytes != 16) gang.fail(concat("cp.async of ", bytes, " bytes"), site);
  if (valid > bytes) gang.fail(concat("cp.async reads ", valid, " of ", bytes, " bytes"), site);
  if (!is_aligned(shared, bytes) || (valid > 0 && !is_aligned(global, bytes)))
    gang.fail("cp.async: an address is not aligned", site);
  Copy copy = start_copy(shared, global, bytes, valid, site);
  if (gang.lands_early()) bring(copy);
  gang.thread().open_copies.push_back(copy);
}

void commit_copies(Site site) {
  const Inside inside;
  Thread& thread = Gang::current().thread();
  thread.site = site;
  thread.copies.push_back(std::move(thread.open_copies));
  thread.open_copies.clear();
}

void wait_copies(unsigned groups_in_flight, Site site) {
  const Inside inside;
  Gang& gang = Gang::current();
  Thread& thread = gang.thread();
  thread.site = site;
  while (thread.copies.size() > groups_in_flight) {
    for (Copy& copy : thread.copies.front()) gang.land(copy);
    thread.copies.pop_front();
  }
}

void Gang::land(Copy& copy) {
  bring(copy);
  if (checker != nullptr) checker->lands(running_, copy.destination, copy.bytes, copy.site);
}

// --- barrier objects

void mbarrier_init(std::uint64_t* barrier, unsigned arrivals, Site site) {
  const Inside inside;
  Gang& gang = Gang::current();
  if (!is_aligned(barrier, 8)) gang.fail("the mbarrier is not aligned to 8 bytes", site);
  if (arrivals == 0) gang.fail("the mbarrier expects no arrivals", site);
  touch(barrier, 8, true, site);
  gang.block().phase_barriers[barrier] = {arrivals, arrivals, 0, 0, {}};
}

void Gang::complete_phase(const void* barrier, PhaseBarrier& state) {
  if (state.missing > 0 || state.bytes > 0) return;
  ++state.phase;
  state.missing = state.arrivals;
  for (const std::size_t thread : state.waiting) {
    if (checker != nullptr) checker->acquire(thread, barrier);
    wake(thread);
  }
  state.waiting.clear();
}

void mbarrier_arrive(std::uint64_t* barrier, unsigned bytes, Site site) {
  const Inside inside;
  Gang& gang = Gang::current();
  PhaseBarrier& state = find_barrier(barrier, site);
  if (state.missing == 0) gang.fail("more arrivals than the mbarrier's phase expects", site);
  state.bytes += bytes;
  --state.missing;
  if (checker != nullptr) checker->release(gang.thread_number(), barrier);
  gang.complete_phase(barrier, state);
}

void mbarrier_wait(std::uint64_t* barrier, unsigned parity, Site site) {
  const Inside inside;
  Gang& gang = Gang::current();
  PhaseBarrier& state = find_barrier(barrier, site);
  // The phase of that parity is over once the current one has the other parity.
  if (state.phase % 2 != parity % 2) {
    if (checker != nullptr) checker->acquire(gang.thread_number(), barrier);
    return;
  }
  state.waiting.push_back(gang.thread_number());
  gang.wait("mbarrier_wait", site);
}

void copy_bulk(void* shared, const void* global, std::size_t bytes, std::uint64_t* barrier, Site site) {
  const Inside inside;
  Gang& gang = Gang::current();
  if (bytes == 0 || bytes % 16 != 0) gang.fail(concat("a bulk copy of ", bytes, " bytes, no multiple of 16"), site);
  if (!is_aligned(shared, 16) || !is_aligned(global, 16)) gang.fail("bulk copy: an address is not aligned to 16", site);
  find_barrier(barrier, site);
  BulkCopy bulk{start_copy(shared, global, bytes, bytes, site), gang.thread_number(), barrier};
  if (gang.lands_early()) {
    gang.land(bulk);
  } else {
    gang.bulk_copies().push_back(bulk);
  }
}

void Gang::land(BulkCopy& bulk) {
  bring(bulk.copy);
  if (checker != nullptr) {
    checker->lands(bulk.thread, bulk.copy.destination, bulk.copy.bytes, bulk.copy.site);
    checker->release(bulk.thread, bulk.barrier);
  }
  PhaseBarrier& state = find_barrier(bulk.barrier, bulk.copy.site);
  state.bytes -= static_cast<std::int64_t>(bulk.copy.bytes);
  complete_phase(bulk.barrier, state);
}

// --- clusters

unsigned cluster_rank() {
  Gang& gang = Gang::current();
  return static_cast<unsigned>(gang.thread().block);
}

void* cluster_map(const void* shared, unsigned rank, Site site) {
  const Inside inside;
  Gang& gang = Gang::current();
  if (rank >= gang.block_count()) gang.fail(concat("block ", rank, " of a cluster of ", gang.block_count()), site);
  const char* const mine = gang.block().window.start();
  const auto offset = static_cast<const char*>(shared) - mine;
  if (offset < 0 || offset >= static_cast<std::ptrdiff_t>(SharedWindow::kBytes)) {
    gang.fail("cluster_map of a pointer that is not to shared memory", site);
  }
  return gang.block_at(rank).window.start() + offset;
}

}  // namespace dcase::emulator
