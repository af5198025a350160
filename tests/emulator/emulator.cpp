// The functions that emulated device code calls, and run_grid.

#include <omp.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>

#include "kernels/common/error.hpp"
#include "tests/emulator/checker.hpp"
#include "tests/emulator/gang.hpp"

namespace dcase::emulator {
namespace {

Schedule schedule_of_environment() {
  const char* const name = std::getenv("DCASE_EMULATED_SCHEDULE");
  if (name == nullptr) return {};
  try {
    return parse_schedule(name);
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "DCASE_EMULATED_SCHEDULE: %s\n", error.what());
    std::exit(2);
  }
}

thread_local Schedule schedule = schedule_of_environment();

constexpr const char* kSyncthreads = "__syncthreads";

void check_grid(const Grid& grid) {
  const auto refuse = [&](const auto&... why) { throw KernelFault(concat("kernel ", grid.name, ": ", why...)); };
  if (grid.threads.count() == 0 || grid.blocks.count() == 0) refuse("an empty grid or block");
  if (grid.threads.count() > 1024) refuse(grid.threads.count(), " threads in a block, at most 1024");
  if (grid.threads.z > 64) refuse("block.z is ", grid.threads.z, ", at most 64");
  if (grid.blocks.y > 65535 || grid.blocks.z > 65535) refuse("grid.y or grid.z is above 65535");
  if (grid.dynamic_bytes > SharedWindow::kUsable) {
    refuse(grid.dynamic_bytes, " bytes of dynamic shared memory, at most ", SharedWindow::kUsable);
  }
  const std::size_t cluster = grid.cluster.count();
  if (cluster > 8) refuse("a cluster of ", cluster, " blocks, at most 8 on every device");
  if (grid.blocks.x % grid.cluster.x != 0 || grid.blocks.y % grid.cluster.y != 0 ||
      grid.blocks.z % grid.cluster.z != 0) {
    refuse("the grid is no multiple of the cluster");
  }
  if (grid.cluster.y > 1 || grid.cluster.z > 1) refuse("clusters along x alone are emulated");
}

}  // namespace

std::string Schedule::name() const {
  const char* orders[] = {"forward", "reverse", "random "};
  const char* landings[] = {"copies late", "copies early", "copies random"};
  return concat(orders[static_cast<int>(order)], order == Order::kRandom ? std::to_string(seed) : "", ", ",
                landings[static_cast<int>(landing)]);
}

Schedule parse_schedule(const std::string& name) {
  for (const Order order : {Order::kForward, Order::kReverse, Order::kRandom}) {
    for (const Landing landing : {Landing::kLate, Landing::kEarly, Landing::kRandom}) {
      // The seed is what stands between "random " and the comma.
      const std::uint64_t seed =
          order == Order::kRandom ? std::strtoull(name.c_str() + name.find(' '), nullptr, 10) : 0;
      const Schedule candidate{order, landing, seed};
      if (candidate.name() == name) return candidate;
    }
  }
  throw std::invalid_argument("no schedule is called '" + name + "'");
}

void set_schedule(const Schedule& s) { schedule = s; }
const Schedule& current_schedule() { return schedule; }

void run_grid(const Grid& grid) {
  check_grid(grid);
  const std::size_t blocks = grid.blocks.count();
  const std::size_t together = grid.cooperative ? blocks : grid.cluster.count();
  const std::size_t gangs = blocks / together;
  const Schedule chosen = schedule;
  // Gangs are independent of each other, so both cores may take them; reports come from the first that fails.
  const int workers = checker != nullptr || gangs == 1 ? 1 : omp_get_max_threads();
  std::exception_ptr failure;
  std::size_t failed_gang = gangs;
  std::mutex mutex;
  std::atomic<bool> stop{false};
#pragma omp parallel for schedule(dynamic) num_threads(workers)
  for (std::size_t i = 0; i < gangs; ++i) {
    const std::size_t gang = chosen.order == Order::kReverse ? gangs - 1 - i : i;
    if (stop) continue;
    try {
      Gang::current().run(grid, gang * together, together, chosen);
    } catch (...) {
      const std::scoped_lock lock(mutex);
      if (!failure || gang < failed_gang) {
        failure = std::current_exception();
        failed_gang = gang;
      }
      stop = true;
    }
  }
  if (failure) std::rethrow_exception(failure);
}

void register_device_memory(const void* start, std::size_t bytes, const std::string& name) {
  if (checker != nullptr) checker->register_memory(start, bytes, name);
}
void forget_device_memory(const void* start) {
  if (checker != nullptr) checker->forget_memory(start);
}
void mark_written(const void* start, std::size_t bytes) {
  if (checker != nullptr) checker->written(start, bytes);
}
bool is_written(const void* start, std::size_t bytes) {
  return checker == nullptr || checker->is_written(start, bytes);
}

// --- device functions

void fault(const char* text, Site site) { Gang::current().fail(text, site); }

void* shared_variable(const void* key, std::size_t bytes, std::size_t align, Site site) {
  const Inside inside;
  Gang& gang = Gang::current();
  Block& block = gang.block();
  for (const Block::Variable& v : block.variables) {
    if (v.key == key) return v.start;
  }
  char* const start = block.window.take(bytes, std::max<std::size_t>(align, 16));
  if (start == nullptr) gang.fail("shared memory is used up", site);
  block.variables.push_back({key, start, bytes});
  if (checker != nullptr) checker->shared_taken(gang.thread().block, start, bytes);
  return start;
}

void* shared_piece(std::size_t index, std::size_t bytes, std::size_t align, Site site) {
  const Inside inside;
  Gang& gang = Gang::current();
  Block& block = gang.block();
  if (index < block.pieces.size()) {
    const Block::Variable& piece = block.pieces[index];
    if (piece.bytes != bytes) gang.fail("threads take different pieces of dynamic shared memory", site);
    return piece.start;
  }
  if (index > block.pieces.size()) gang.fail("threads take different pieces of dynamic shared memory", site);
  block.piece_bytes = (block.piece_bytes + align - 1) / align * align + bytes;
  if (block.piece_bytes > gang.grid().dynamic_bytes) {
    gang.fail(concat("takes ", block.piece_bytes, " bytes of dynamic shared memory, the launch gives ",
                     gang.grid().dynamic_bytes),
              site);
  }
  char* const start = block.window.take(bytes, align);
  if (start == nullptr) gang.fail("shared memory is used up", site);
  block.pieces.push_back({nullptr, start, bytes});
  if (checker != nullptr) checker->shared_taken(gang.thread().block, start, bytes);
  return start;
}

int meet_block(Vote vote, bool predicate, Site site) {
  const Inside inside;
  Gang& gang = Gang::current();
  Meeting& all = gang.block().all;
  if (all.arrived == 0) {
    all.count = 0;
    all.vote = vote;
    all.site = site;
  } else if (all.vote != vote) {
    gang.fail(concat("meets other threads in another kind of __syncthreads than theirs at ", all.site.file, ":",
                     all.site.line),
              site);
  }
  all.count += predicate ? 1 : 0;
  const std::size_t threads = gang.block_threads();
  if (all.arrived + 1 == threads) {
    const int count = all.count;
    const int result = vote == Vote::kCount ? count
                       : vote == Vote::kOr  ? static_cast<int>(count > 0)
                                            : static_cast<int>(static_cast<std::size_t>(count) == threads);
    const std::size_t first = gang.thread().block * threads;
    for (std::size_t t = first; t < first + threads; ++t) gang.thread_at(t).vote = result;
  }
  gang.meet(all, threads, kSyncthreads, site);
  return gang.thread().vote;
}

void meet_named(int id, unsigned threads, bool wait, Site site) {
  const Inside inside;
  Gang& gang = Gang::current();
  if (id < 0 || id > 15) gang.fail(concat("barrier ", id, ": there are 0 to 15"), site);
  if (threads == 0 || threads % 32 != 0)
    gang.fail(concat("barrier ", id, ": ", threads, " is no multiple of 32"), site);
  Meeting& meeting = gang.block().named[static_cast<std::size_t>(id)];
  // What each did before is ordered before what those who wait do behind.
  const std::size_t self = gang.thread_number();
  if (checker != nullptr) checker->release(self, &meeting);
  if (wait) meeting.threads.push_back(self);
  if (++meeting.arrived < threads) {
    if (wait) gang.wait("a named barrier", site);
    return;
  }
  for (const std::size_t thread : meeting.threads) {
    if (checker != nullptr) checker->acquire(thread, &meeting);
    gang.wake(thread);
  }
  meeting.threads.clear();
  meeting.arrived = 0;
}

void meet_grid(Site site) {
  const Inside inside;
  Gang& gang = Gang::current();
  if (!gang.grid().cooperative) gang.fail("grid_sync in a launch that is not cooperative", site);
  gang.meet(gang.everybody(), gang.thread_count(), "grid_sync", site);
}

void meet_cluster(Site site) {
  const Inside inside;
  Gang& gang = Gang::current();
  if (gang.grid().cooperative) gang.fail("clusters of cooperative grids are not emulated", site);
  gang.meet(gang.everybody(), gang.thread_count(), "cluster_sync", site);
}

namespace {

// The lanes of `mask` come together in the warp's meeting; `last` is called by the last of them.
template <class Last>
void gather_lanes(const char* name, unsigned mask, void* arguments, Site site, const Last& last) {
  Gang& gang = Gang::current();
  Thread& self = gang.thread();
  const unsigned lane = self.position.linear_thread % 32;
  const std::size_t warp = self.position.linear_thread / 32;
  const std::size_t first = gang.thread_number() - lane;
  if ((mask >> lane & 1U) == 0) gang.fail(concat(name, ": the calling lane ", lane, " is not in the mask"), site);
  Meeting& meeting = gang.block().warps[warp];
  for (const std::size_t other : meeting.threads) {
    const Thread& t = gang.thread_at(other);
    if ((t.mask & mask) == 0) continue;
    if (t.mask != mask || std::strcmp(t.waits_in, name) != 0) {
      gang.fail(concat(name, " meets ", t.waits_in, " of lane ", other - first, " at ", t.site.file, ":", t.site.line,
                       t.mask != mask ? " with another mask" : ""),
                site);
    }
  }
  self.arguments = arguments;
  self.mask = mask;
  meeting.threads.push_back(gang.thread_number());
  unsigned present = 0;
  for (const std::size_t other : meeting.threads) {
    if (gang.thread_at(other).mask == mask) present |= 1U << (other - first);
  }
  if (present != mask) {
    gang.wait(name, site);
    return;
  }
  std::vector<std::size_t> lanes;
  void* all[32] = {};
  for (const std::size_t other : meeting.threads) {
    if (gang.thread_at(other).mask != mask) continue;
    lanes.push_back(other);
    all[other - first] = gang.thread_at(other).arguments;
  }
  last(all, lanes);
  std::erase_if(meeting.threads, [&](std::size_t other) { return gang.thread_at(other).mask == mask; });
  for (const std::size_t other : lanes) {
    gang.thread_at(other).mask = 0;
    if (other != gang.thread_number()) gang.wake(other);
  }
}

}  // namespace

void meet_warp(const char* name, unsigned mask, void* arguments, void (*work)(void* const* arguments, unsigned mask),
               Site site) {
  const Inside inside;
  gather_lanes(name, mask, arguments, site,
               [&](void* const* all, const std::vector<std::size_t>&) { work(all, mask); });
}

void sync_warp(unsigned mask, Site site) {
  const Inside inside;
  gather_lanes("__syncwarp", mask, nullptr, site, [](void* const*, const std::vector<std::size_t>& lanes) {
    if (checker != nullptr) checker->meet(lanes);
  });
}

void yield(Site site) {
  const Inside inside;
  Gang& gang = Gang::current();
  gang.thread().waits_in = "spin_pause";
  gang.thread().site = site;
  gang.pause();
}

void atomic(void* address, std::size_t bytes, void (*work)(void* address, void* operand), void* operand, Site site) {
  const Inside inside;
  static std::mutex one_at_a_time;
  if (checker != nullptr) checker->touch(Gang::current().thread_number(), address, bytes, true, true, site);
  const std::scoped_lock lock(one_at_a_time);
  work(address, operand);
}

}  // namespace dcase::emulator
