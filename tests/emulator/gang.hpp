#pragma once
/// Gang: the blocks that run together (one, a cluster, or a whole cooperative grid) and the scheduler of their threads.

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/emulator/checker.hpp"
#include "tests/emulator/device.hpp"
#include "tests/emulator/fiber.hpp"
#include "tests/emulator/grid.hpp"

namespace dcase::emulator {

/// Shared memory of one block. Aligned to its size, so the low bits of a pointer are the address within it.
class SharedWindow {
 public:
  static constexpr std::size_t kBytes = 256 * 1024;
  static constexpr std::size_t kUsable = 227 * 1024;  ///< what a block can have on sm_90
  static constexpr std::size_t kRedZone = 64;

  SharedWindow();
  ~SharedWindow();
  SharedWindow(SharedWindow&& other) noexcept;
  SharedWindow& operator=(SharedWindow&&) = delete;

  void reset();
  /// Bytes with a red zone behind them; nullptr where the window is full.
  [[nodiscard]] char* take(std::size_t bytes, std::size_t align);
  /// The first byte of a red zone that somebody wrote to, or nullptr.
  [[nodiscard]] const char* damage() const;
  [[nodiscard]] char* start() const { return start_; }
  /// What CuTe calls Swizzle<bits, 4, 3>: address bits 4 to 3 + bits, exclusive-or those three places above.
  [[nodiscard]] static std::uintptr_t swizzled(std::uintptr_t address, unsigned bits) {
    return address ^ (address >> 3 & ((std::uintptr_t{1} << bits) - 1) << 4);
  }

 private:
  char* start_;
  std::size_t used_ = 0;
  std::vector<std::size_t> zones_;  // offsets of the red zones
};

/// An asynchronous copy of one thread.
struct Copy {
  char* destination;
  const char* source;
  std::size_t bytes, valid;
  bool landed;
  Site site;
};

/// Copies of one thread from shared memory to a tensor, which read and write when they land.
struct Store {
  std::vector<Copy> pieces;
  Checker::Operation operation;
};

struct Thread {
  Position position;
  void* stack_pointer = nullptr;
  std::size_t block = 0;  // within the gang
  bool done = false;
  const char* waits_in = "";  // while it is not ready
  Site site;
  void* arguments = nullptr;  // of the warp function it waits in
  unsigned mask = 0;
  int vote = 0;                           // result of the last meeting of the block
  std::deque<std::vector<Copy>> copies;   // committed groups in flight, oldest first
  std::vector<Copy> open_copies;          // not committed yet
  std::deque<std::vector<Store>> stores;  // as copies
  std::vector<Store> open_stores;
};

/// Threads that wait for each other.
struct Meeting {
  std::vector<std::size_t> threads;  // gang numbers
  unsigned arrived = 0;              // including those that did not wait
  int count = 0;                     // true predicates
  Vote vote = Vote::kNone;
  Site site;
};

/// An mbarrier object.
struct PhaseBarrier {
  unsigned arrivals = 0;   // that end a phase
  unsigned missing = 0;    // in the current phase
  std::int64_t bytes = 0;  // announced and not landed
  unsigned phase = 0;      // the current one
  std::vector<std::size_t> waiting;
};

/// A bulk copy under way: one piece, or those of a tensor's box.
struct BulkCopy {
  std::vector<Copy> pieces;
  std::size_t bytes;  // that the barrier counts
  std::size_t thread;
  std::uint64_t* barrier;
};

/// A wgmma as one warp of its group sees it.
struct WarpProduct {
  GroupProduct call;  // registers are those of lane 0
  std::array<float*, 32> d;
  std::array<std::array<unsigned, 4>, 32> a;  // the registers when it was asked for
  bool done = false;
  Checker::Operation operation;
  Site site;
};

/// The products of a warp.
struct WarpProducts {
  bool fenced = false;
  std::deque<std::vector<WarpProduct>> groups;  // committed and not waited for, oldest first
  std::vector<WarpProduct> open;                // not committed yet
  /// What the accumulators in flight hold; the registers are NaN. By the address of lane 0's.
  struct Hidden {
    std::vector<float> values;  // [32][columns / 2]
    std::size_t products = 0;   // not done
  };
  std::map<float*, Hidden> hidden;
};

struct Block {
  explicit Block(SharedWindow w) : window(std::move(w)) {}
  SharedWindow window;
  struct Variable {
    const void* key;
    char* start;
    std::size_t bytes;
  };
  std::vector<Variable> variables;
  std::vector<Variable> pieces;        // of dynamic shared memory, in order
  std::size_t piece_bytes = 0;         // as a GPU would lay them out
  Meeting all;                         // __syncthreads
  std::array<Meeting, 16> named;       // bar.sync
  std::vector<Meeting> warps;          // one a warp
  std::vector<Meeting> groups;         // one a warp group, of those that call wgmma
  std::vector<WarpProducts> products;  // one a warp
  std::map<const void*, PhaseBarrier> phase_barriers;
};

class Gang {
 public:
  /// Runs blocks first .. first + count - 1 of the grid. Throws KernelFault.
  void run(const Grid& grid, std::size_t first_block, std::size_t count, const Schedule& schedule);

  [[nodiscard]] static Gang& current();
  [[nodiscard]] Thread& thread() { return threads_[running_]; }
  [[nodiscard]] Thread& thread_at(std::size_t number) { return threads_[number]; }
  [[nodiscard]] std::size_t thread_number() const { return running_; }
  [[nodiscard]] Block& block() { return blocks_[thread().block]; }
  [[nodiscard]] const Grid& grid() const { return *grid_; }

  /// Leaves the running thread until `wake`; returns when it runs again.
  void wait(const char* what, Site site);
  void wake(std::size_t thread);
  /// Leaves the running thread, which stays ready.
  void pause();
  [[noreturn]] void fail(std::string text, Site site);

  /// The running thread and `meeting`: the last of `expected` wakes the others. Orders memory.
  void meet(Meeting& meeting, std::size_t expected, const char* what, Site site);
  Meeting& everybody() { return everybody_; }  // of the cluster, or of the cooperative grid
  [[nodiscard]] std::size_t thread_count() const { return threads_.size(); }
  [[nodiscard]] std::size_t block_threads() const { return grid_->threads.count(); }

  [[nodiscard]] Block& block_at(std::size_t number) { return blocks_[number]; }
  [[nodiscard]] std::size_t block_count() const { return blocks_.size(); }
  std::vector<BulkCopy>& bulk_copies() { return bulk_copies_; }
  void land(BulkCopy& bulk);
  /// Ends the phase of the running block's barrier if nothing is missing.
  void complete_phase(const void* barrier, PhaseBarrier& state);

  /// Whether the copy that is asked for now lands at once.
  [[nodiscard]] bool lands_early();
  void land(Copy& copy);

 private:
  static void enter();
  void switch_to_scheduler();
  [[nodiscard]] std::size_t next_ready();
  void set_ready(std::size_t thread, bool ready);
  [[nodiscard]] std::string deadlock() const;
  [[nodiscard]] std::string where(std::size_t thread) const;
  void check_red_zones();

  const Grid* grid_ = nullptr;
  Schedule schedule_;
  std::mt19937_64 random_;
  FiberStacks stacks_;
  std::vector<Thread> threads_;
  std::vector<Block> blocks_;
  std::vector<SharedWindow> spare_;                         // windows of earlier gangs
  std::vector<std::uint64_t> ready_;                        // a bit a thread
  std::size_t first_ready_word_ = 0, last_ready_word_ = 0;  // hints: no ready thread outside
  std::size_t ready_count_ = 0;
  std::size_t done_count_ = 0;
  std::size_t running_ = 0;
  void* scheduler_stack_ = nullptr;
  const void* scheduler_bottom_ = nullptr;  // its bounds, which AddressSanitizer wants to know
  std::size_t scheduler_bytes_ = 0;
  Meeting everybody_;
  std::vector<BulkCopy> bulk_copies_;
  std::vector<std::size_t> paused_;  // spin in a loop; go on when nobody else can
  std::string failure_;
};

/// While one lives, the running thread is nobody: the emulator's own accesses are not the kernel's.
class Inside {
 public:
  Inside() : was_(running.thread) { running.thread = kNobody; }
  ~Inside() { running.thread = was_; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  std::size_t was_;
};

}  // namespace dcase::emulator
