// What happens beside the threads: asynchronous copies, the barrier objects that count them, clusters.

#include <cstring>
#include <utility>

#include "kernels/common/error.hpp"
#include "tests/emulator/gang.hpp"
#include "tests/emulator/tensor_box.hpp"

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

void land(Store& store) {
  for (Copy& piece : store.pieces) bring(piece);
}

void start(BulkCopy bulk) {
  Gang& gang = Gang::current();
  if (gang.lands_early()) {
    gang.land(bulk);
  } else {
    gang.bulk_copies().push_back(std::move(bulk));
  }
}

bool is_aligned(const void* p, std::size_t bytes) { return reinterpret_cast<std::uintptr_t>(p) % bytes == 0; }

EncodedTensor decode(const void* map, int rank, const void* shared, Site site) {
  Gang& gang = Gang::current();
  EncodedTensor tensor;
  std::memcpy(&tensor, map, sizeof(tensor));
  if (tensor.mark != EncodedTensor::kMark) gang.fail("the tensor map was not made by make_tensor_map", site);
  if (tensor.rank != rank) gang.fail(concat(rank, " coordinates for a tensor of rank ", tensor.rank), site);
  if (!is_aligned(shared, 128)) gang.fail("the box in shared memory is not aligned to 128 bytes", site);
  return tensor;
}

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
  if (state.missing > 0 || state.bytes != 0) return;  // more bytes than announced do not end it either
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
  start({{start_copy(shared, global, bytes, bytes, site)}, bytes, gang.thread_number(), barrier});
}

void copy_tensor(void* shared, const void* map, const int* at, int rank, std::uint64_t* barrier, Site site) {
  const Inside inside;
  Gang& gang = Gang::current();
  const EncodedTensor tensor = decode(map, rank, shared, site);
  find_barrier(barrier, site);
  BulkCopy bulk{{}, tensor.box_bytes(), gang.thread_number(), barrier};
  for_pieces(tensor, at, static_cast<char*>(shared), [&](char* piece, char* global, std::size_t bytes) {
    bulk.pieces.push_back(start_copy(piece, global, bytes, global != nullptr ? bytes : 0, site));
  });
  start(std::move(bulk));
}

void Gang::land(BulkCopy& bulk) {
  for (Copy& piece : bulk.pieces) {
    bring(piece);
    if (checker != nullptr) checker->lands(bulk.thread, piece.destination, piece.bytes, piece.site);
  }
  if (checker != nullptr) checker->release(bulk.thread, bulk.barrier);
  PhaseBarrier& state = find_barrier(bulk.barrier, bulk.pieces.front().site);
  state.bytes -= static_cast<std::int64_t>(bulk.bytes);
  complete_phase(bulk.barrier, state);
}

// --- stores of tensors

void store_tensor(const void* map, const int* at, int rank, const void* shared, Site site) {
  const Inside inside;
  Gang& gang = Gang::current();
  const EncodedTensor tensor = decode(map, rank, shared, site);
  Store store;
  const std::size_t self = gang.thread_number();
  if (checker != nullptr) store.operation = checker->begins(Agent::kStores, {&self, 1});
  for_pieces(tensor, at, static_cast<char*>(const_cast<void*>(shared)),
             [&](char* piece, char* global, std::size_t bytes) {
               if (global == nullptr) return;
               if (checker != nullptr) {
                 checker->touch(store.operation.agent, piece, bytes, false, false, site);
                 checker->touch(store.operation.agent, global, bytes, true, false, site);
               }
               store.pieces.push_back({global, piece, bytes, bytes, false, site});
             });
  if (gang.lands_early()) land(store);
  gang.thread().site = site;
  gang.thread().open_stores.push_back(std::move(store));
}

void commit_stores(Site site) {
  const Inside inside;
  Thread& thread = Gang::current().thread();
  thread.site = site;
  thread.stores.push_back(std::move(thread.open_stores));
  thread.open_stores.clear();
}

void wait_stores(unsigned groups_in_flight, Site site) {
  const Inside inside;
  Gang& gang = Gang::current();
  Thread& thread = gang.thread();
  const std::size_t self = gang.thread_number();
  thread.site = site;
  while (thread.stores.size() > groups_in_flight) {
    for (Store& store : thread.stores.front()) {
      land(store);
      if (checker != nullptr) checker->waited(store.operation, {&self, 1});
    }
    thread.stores.pop_front();
  }
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
