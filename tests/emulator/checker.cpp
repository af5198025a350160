// The access checker. Kernels are compiled with clang's -fsanitize=thread, whose runtime is not linked: the functions
// that it would call at each load and store are defined here. They see every access of every thread, so one run in any
// order tells reads and writes that nothing orders, whatever the order happened to compute.

#include "tests/emulator/checker.hpp"

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "kernels/common/error.hpp"
#include "tests/emulator/gang.hpp"

namespace dcase::emulator {
namespace {

// --- where an access stands in the source

struct Image {
  std::uintptr_t base = 0;
  std::vector<std::pair<std::uintptr_t, std::uintptr_t>> segments;
};

// Of the test program itself, whose constants kernels may read.
const Image& image() {
  static const Image found = [] {
    Image i;
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* out) {
          auto& result = *static_cast<Image*>(out);
          result.base = info->dlpi_addr;
          for (int s = 0; s < info->dlpi_phnum; ++s) {
            const auto& header = info->dlpi_phdr[s];
            if (header.p_type != PT_LOAD) continue;
            const std::uintptr_t start = info->dlpi_addr + header.p_vaddr;
            result.segments.emplace_back(start, start + header.p_memsz);
          }
          return 1;  // the program comes first
        },
        &i);
    return i;
  }();
  return found;
}

// "conv.cuh:12". Asked for faults only, so that a process for each is good enough.
std::string source_of(std::uintptr_t code) {
  const std::string command =
      concat("addr2line -s -e /proc/", getpid(), "/exe 0x", std::hex, code - 1 - image().base, " 2>/dev/null");
  std::string line;
  if (FILE* pipe = popen(command.c_str(), "r"); pipe != nullptr) {
    std::array<char, 512> buffer = {};
    if (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) line = buffer.data();
    pclose(pipe);
  }
  if (const auto end = line.find_first_of(" \n"); end != std::string::npos) line.resize(end);
  return line.empty() || line[0] == '?' ? "an unknown place" : line;
}

// --- what happened before

/// For each thread of the gang the last of its clock ticks that the owner knows to be over.
using Known = std::shared_ptr<const std::vector<std::uint32_t>>;

struct ThreadClock {
  std::uint32_t own = 1;
  Known known;
};

struct Place {
  std::uintptr_t code = 0;  // of a load or store ...
  Site site;                // ... or of a call
  [[nodiscard]] std::string text() const {
    return code != 0 ? source_of(code)
                     : concat(std::string(site.file).substr(std::string(site.file).rfind('/') + 1), ":", site.line);
  }
};

struct Access {
  std::uint32_t launch = 0;  // 0: none
  std::uint32_t gang = 0;    // first block
  std::uint32_t thread = 0;
  std::uint32_t clock = 0;
  Place place;
  std::uint8_t bytes = 0;  // a bit for each of the cell's four
  bool atomic = false;
};

struct Cell {
  std::array<Access, 2> writes;
  std::array<Access, 2> reads;
  std::uint8_t written = 0;  // a bit a byte
  std::uint8_t flying = 0;   // an asynchronous copy is on its way
  Site flight;
};

struct Region {
  std::uintptr_t start = 0;
  std::size_t bytes = 0;
  std::string name;
  bool shared = false;
  std::vector<Cell> cells;
};

class AccessChecker final : public Checker {
 public:
  void starts(const Grid& grid, std::size_t first_block, std::size_t count) override {
    if (first_block == 0 || grid.arguments.get() != arguments_) ++launch_;
    arguments_ = grid.arguments.get();
    argument_bytes_ = grid.argument_bytes;
    gang_ = static_cast<std::uint32_t>(first_block);
    count_ = count;
    const std::size_t threads = grid.threads.count() * count;
    block_threads_ = grid.threads.count();
    threads_ = threads;
    const std::size_t clocks = threads + kAgents * block_warps() * count;
    clocks_.assign(clocks, {});
    released_.clear();
    const auto nothing = std::make_shared<const std::vector<std::uint32_t>>(clocks, 0);
    for (ThreadClock& clock : clocks_) clock.known = nothing;
  }

  void ends() override {
    std::erase_if(regions_, [](const auto& entry) { return entry.second.shared; });
    last_ = nullptr;
  }

  void shared_taken(std::size_t block, void* start, std::size_t bytes) override {
    add(start, bytes, count_ > 1 ? concat("shared memory of block ", gang_ + block) : "shared memory", true);
  }

  void meet(std::span<const std::size_t> threads) override {
    std::vector<std::uint32_t> joined(clocks_.size(), 0);
    join(joined, threads);
    const auto known = std::make_shared<const std::vector<std::uint32_t>>(std::move(joined));
    for (const std::size_t t : threads) {
      clocks_[t].known = known;
      ++clocks_[t].own;
    }
  }

  void release(std::size_t thread, const void* key) override {
    std::vector<std::uint32_t>& joined = released_[key];
    joined.resize(clocks_.size(), 0);
    for (std::size_t i = 0; i < joined.size(); ++i) joined[i] = std::max(joined[i], (*clocks_[thread].known)[i]);
    joined[thread] = std::max(joined[thread], clocks_[thread].own);
    ++clocks_[thread].own;
  }

  void acquire(std::size_t thread, const void* key) override {
    const auto found = released_.find(key);
    if (found == released_.end()) return;
    std::vector<std::uint32_t> joined = *clocks_[thread].known;
    for (std::size_t i = 0; i < joined.size(); ++i) joined[i] = std::max(joined[i], found->second[i]);
    clocks_[thread].known = std::make_shared<const std::vector<std::uint32_t>>(std::move(joined));
  }

  void flies(std::size_t thread, const void* start, std::size_t bytes, Site site) override {
    access(thread, start, bytes, true, false, {0, site});
    for_cells(start, bytes, [&](Cell& cell, std::uint8_t mask) {
      cell.flying |= mask;
      cell.written &= static_cast<std::uint8_t>(~mask);
      cell.flight = site;
    });
  }

  void lands(std::size_t thread, const void* start, std::size_t bytes, Site site) override {
    for_cells(start, bytes, [&](Cell& cell, std::uint8_t mask) { cell.flying &= static_cast<std::uint8_t>(~mask); });
    access(thread, start, bytes, true, false, {0, site});
  }

  Operation begins(Agent kind, std::span<const std::size_t> threads) override {
    const std::size_t thread = threads.front();
    const std::size_t warp = thread / block_threads_ * block_warps() + thread % block_threads_ / 32;
    const std::size_t agent = threads_ + kAgents * warp + static_cast<std::size_t>(kind);
    std::vector<std::uint32_t> joined = *clocks_[agent].known;
    join(joined, threads);
    clocks_[agent].known = std::make_shared<const std::vector<std::uint32_t>>(std::move(joined));
    // What the threads do from now on is not ordered before it.
    for (const std::size_t t : threads) ++clocks_[t].own;
    return {agent, ++clocks_[agent].own};
  }

  void waited(Operation operation, std::span<const std::size_t> threads) override {
    Known before;  // threads that have met last share it
    Known behind;
    for (const std::size_t t : threads) {
      if ((*clocks_[t].known)[operation.agent] >= operation.number) continue;
      if (clocks_[t].known != before) {
        before = clocks_[t].known;
        std::vector<std::uint32_t> joined = *before;
        joined[operation.agent] = operation.number;
        behind = std::make_shared<const std::vector<std::uint32_t>>(std::move(joined));
      }
      clocks_[t].known = behind;
    }
  }

  void register_memory(const void* start, std::size_t bytes, const std::string& name) override {
    const std::scoped_lock lock(mutex_);
    add(start, bytes, name, false);
  }

  void forget_memory(const void* start) override {
    const std::scoped_lock lock(mutex_);
    regions_.erase(reinterpret_cast<std::uintptr_t>(start));
    last_ = nullptr;
  }

  void written(const void* start, std::size_t bytes) override {
    const std::scoped_lock lock(mutex_);
    for_cells(start, bytes, [](Cell& cell, std::uint8_t mask) { cell.written |= mask; });
  }

  bool is_written(const void* start, std::size_t bytes) override {
    const std::scoped_lock lock(mutex_);
    bool all = true;
    for_cells(start, bytes, [&](Cell& cell, std::uint8_t mask) { all = all && (cell.written & mask) == mask; });
    return all;
  }

  void touch(std::size_t thread, const void* start, std::size_t bytes, bool write, bool atomic, Site site) override {
    access(thread, start, bytes, write, atomic, {0, site});
  }

  /// An access of the kernel. The usual case first: its own stack.
  void access(std::size_t thread, const void* start, std::size_t bytes, bool write, bool atomic, const Place& place) {
    const auto address = reinterpret_cast<std::uintptr_t>(start);
    if (start >= running.stack_bottom && start < running.stack_top) return;
    Region* const region = find(address);
    if (region == nullptr || address + bytes > region->start + region->bytes) {
      if (region == nullptr && !write && harmless(address, bytes)) return;
      fail(outside(address, bytes, write, region), place);
    }
    for_cells_of(*region, address, bytes, [&](Cell& cell, std::uint8_t mask) {
      if (cell.flying & mask) {
        fail(concat(write ? "writes" : "reads", " ", region->name, " where the copy started at ", cell.flight.file, ":",
                    cell.flight.line, " has not been waited for"),
             place);
      }
      if ((!write || atomic) && (cell.written & mask) != mask) {
        fail(concat("reads ", region->name, " that nobody has written, byte ", address - region->start), place);
      }
      for (const Access& other : cell.writes) compare(other, thread, mask, atomic, write, true, *region, place);
      if (write) {
        for (const Access& other : cell.reads) compare(other, thread, mask, atomic, write, false, *region, place);
      }
      record(write ? cell.writes : cell.reads, thread, mask, atomic, place);
      if (write) cell.written |= mask;
    });
  }

 private:
  void add(const void* start, std::size_t bytes, const std::string& name, bool shared) {
    const auto address = reinterpret_cast<std::uintptr_t>(start);
    regions_[address] = {address, bytes, name, shared, std::vector<Cell>((bytes + 3) / 4)};
    last_ = nullptr;
  }

  // Everything that the threads know and have done.
  void join(std::vector<std::uint32_t>& joined, std::span<const std::size_t> threads) const {
    Known previous;
    for (const std::size_t t : threads) {
      if (clocks_[t].known != previous) {
        previous = clocks_[t].known;
        for (std::size_t i = 0; i < joined.size(); ++i) joined[i] = std::max(joined[i], (*previous)[i]);
      }
    }
    for (const std::size_t t : threads) joined[t] = std::max(joined[t], clocks_[t].own);
  }

  // The region that holds the address, or is nearest below it by less than a red zone.
  Region* find(std::uintptr_t address) {
    if (last_ != nullptr && address >= last_->start && address < last_->start + last_->bytes) return last_;
    auto next = regions_.upper_bound(address);
    if (next == regions_.begin()) return nullptr;
    Region& region = std::prev(next)->second;
    if (address >= region.start + region.bytes) return nullptr;
    last_ = &region;
    return last_;
  }

  template <class Work>
  static void for_cells_of(Region& region, std::uintptr_t address, std::size_t bytes, const Work& work) {
    std::size_t offset = address - region.start;
    const std::size_t end = offset + bytes;
    while (offset < end) {
      const std::size_t in_cell = std::min(end, offset / 4 * 4 + 4) - offset;
      const auto mask = static_cast<std::uint8_t>(((1U << in_cell) - 1) << offset % 4);
      work(region.cells[offset / 4], mask);
      offset += in_cell;
    }
  }

  template <class Work>
  void for_cells(const void* start, std::size_t bytes, const Work& work) {
    const auto address = reinterpret_cast<std::uintptr_t>(start);
    if (Region* const region = find(address); region != nullptr && address + bytes <= region->start + region->bytes) {
      for_cells_of(*region, address, bytes, work);
    }
  }

  // Arguments, the thread's own position, constants of the program.
  [[nodiscard]] bool harmless(std::uintptr_t address, std::size_t bytes) const {
    const auto within = [&](const void* start, std::size_t size) {
      const auto first = reinterpret_cast<std::uintptr_t>(start);
      return address >= first && address + bytes <= first + size;
    };
    if (within(arguments_, argument_bytes_) || within(&current_position, sizeof(current_position)) ||
        within(current_position, sizeof(Position))) {
      return true;
    }
    return std::any_of(image().segments.begin(), image().segments.end(), [&](const auto& segment) {
      return address >= segment.first && address + bytes <= segment.second;
    });
  }

  [[nodiscard]] std::string outside(std::uintptr_t address, std::size_t bytes, bool write, const Region* region) {
    std::string text = concat(write ? "writes " : "reads ", bytes, " bytes outside of all memory it may use");
    auto next = regions_.upper_bound(address);
    if (region == nullptr && next != regions_.begin()) region = &std::prev(next)->second;
    if (region != nullptr) {
      text += concat(": byte ", address - region->start, " of ", region->name, ", which has ", region->bytes);
    }
    return text;
  }

  void compare(const Access& other, std::size_t thread, std::uint8_t mask, bool atomic, bool write, bool other_wrote,
               const Region& region, const Place& place) {
    if (other.launch != launch_ || (other.bytes & mask) == 0 || (atomic && other.atomic)) return;
    const char* const verb = write ? "writes" : "reads";
    const char* const did = other_wrote ? "wrote" : "read";
    const std::size_t block =
        other.thread < threads_ ? other.thread / block_threads_ : (other.thread - threads_) / kAgents / block_warps();
    if (other.gang != gang_) {
      fail(concat("race between blocks: ", verb, " ", region.name, ", which block ", other.gang + block, " ", did,
                  " at ", other.place.text()),
           place);
    }
    if (other.thread == thread || (*clocks_[thread].known)[other.thread] >= other.clock) return;
    if (other.thread >= threads_) {
      fail(concat("race: ", verb, " ", region.name, ", which the asynchronous operation of block ", gang_ + block,
                  " that started at ", other.place.text(), other_wrote ? " writes" : " reads",
                  ", without a wait between"),
           place);
    }
    fail(concat("race: ", verb, " ", region.name, ", which thread ", other.thread % block_threads_, " of block ",
                gang_ + block, " ", did, " at ", other.place.text(), " with nothing between"),
         place);
  }

  void record(std::array<Access, 2>& accesses, std::size_t thread, std::uint8_t mask, bool atomic, const Place& place) {
    // The place of an access to the same bytes by the same thread or already ordered before, else of the older one.
    const auto replaceable = [&](const Access& a) {
      return a.launch != launch_ ||
             (a.bytes == mask &&
              (a.thread == thread || (a.gang == gang_ && (*clocks_[thread].known)[a.thread] >= a.clock)));
    };
    const std::size_t at = replaceable(accesses[0]) ? 0 : 1;
    if (at == 1 && !replaceable(accesses[1])) accesses[0] = accesses[1];
    accesses[at] = {launch_, gang_, static_cast<std::uint32_t>(thread), clocks_[thread].own, place, mask, atomic};
  }

  [[noreturn]] static void fail(const std::string& text, const Place& place) {
    running.thread = kNobody;
    Gang::current().fail(concat(text, ", at ", place.text()), {});
  }

  static constexpr std::size_t kAgents = 2;  // of a warp
  [[nodiscard]] std::size_t block_warps() const { return (block_threads_ + 31) / 32; }

  std::mutex mutex_;
  std::map<std::uintptr_t, Region> regions_;
  Region* last_ = nullptr;
  const void* arguments_ = nullptr;
  std::size_t argument_bytes_ = 0;
  std::uint32_t launch_ = 0;
  std::uint32_t gang_ = 0;
  std::size_t count_ = 1;
  std::size_t block_threads_ = 1;
  std::size_t threads_ = 0;  // of the gang; their agents are numbered behind them
  std::vector<ThreadClock> clocks_;
  std::map<const void*, std::vector<std::uint32_t>> released_;
};

AccessChecker the_checker;
const bool installed = [] {
  checker = &the_checker;
  return true;
}();

void on_access(const void* address, std::size_t bytes, bool write, void* code) {
  const std::size_t thread = running.thread;
  if (thread == kNobody || bytes == 0) return;
  running.thread = kNobody;  // what follows is not the kernel's
  the_checker.access(thread, address, bytes, write, false, {reinterpret_cast<std::uintptr_t>(code), {}});
  running.thread = thread;
}

}  // namespace
}  // namespace dcase::emulator

// The interface of clang's ThreadSanitizer instrumentation.
extern "C" {
#define DCASE_HOOKS(bytes)                                                          \
  void __tsan_read##bytes(void* address) {                                          \
    dcase::emulator::on_access(address, bytes, false, __builtin_return_address(0)); \
  }                                                                                 \
  void __tsan_write##bytes(void* address) {                                         \
    dcase::emulator::on_access(address, bytes, true, __builtin_return_address(0));  \
  }                                                                                 \
  void __tsan_unaligned_read##bytes(void* address) {                                \
    dcase::emulator::on_access(address, bytes, false, __builtin_return_address(0)); \
  }                                                                                 \
  void __tsan_unaligned_write##bytes(void* address) {                               \
    dcase::emulator::on_access(address, bytes, true, __builtin_return_address(0));  \
  }
DCASE_HOOKS(1)
DCASE_HOOKS(2)
DCASE_HOOKS(4)
DCASE_HOOKS(8)
DCASE_HOOKS(16)
#undef DCASE_HOOKS
// Copies of whole structures are calls of these; the linker's --wrap leads them here.
void* __real_memcpy(void* destination, const void* source, std::size_t bytes);
void* __real_memmove(void* destination, const void* source, std::size_t bytes);
void* __real_memset(void* destination, int value, std::size_t bytes);
void* __wrap_memcpy(void* destination, const void* source, std::size_t bytes) {
  dcase::emulator::on_access(source, bytes, false, __builtin_return_address(0));
  dcase::emulator::on_access(destination, bytes, true, __builtin_return_address(0));
  return __real_memcpy(destination, source, bytes);
}
void* __wrap_memmove(void* destination, const void* source, std::size_t bytes) {
  dcase::emulator::on_access(source, bytes, false, __builtin_return_address(0));
  dcase::emulator::on_access(destination, bytes, true, __builtin_return_address(0));
  return __real_memmove(destination, source, bytes);
}
void* __wrap_memset(void* destination, int value, std::size_t bytes) {
  dcase::emulator::on_access(destination, bytes, true, __builtin_return_address(0));
  return __real_memset(destination, value, bytes);
}
void __tsan_init() {}
void __tsan_vptr_read(void**) {}
void __tsan_vptr_update(void**, void*) {}
}
