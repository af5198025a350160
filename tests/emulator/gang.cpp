#include "tests/emulator/gang.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <utility>

#include "kernels/common/error.hpp"
#include "tests/emulator/checker.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

// A fiber that ends in a fault is abandoned with what the functions on its stack own.
extern "C" const char* __lsan_default_suppressions() { return "leak:dcase::emulator::Gang::enter\n"; }
#endif

namespace dcase::emulator {

constinit thread_local const Position* current_position = nullptr;
constinit thread_local Running running;
Checker* checker = nullptr;

namespace {

// One a worker: its stacks and windows are kept from grid to grid.
thread_local Gang worker_gang;

constexpr unsigned char kPoison = 0xFF;  // NaN in every float format
constexpr unsigned char kZone = 0xA5;

std::string place(Site site) { return site.line > 0 ? concat(" at ", site.file, ":", site.line) : std::string(); }

}  // namespace

// --- shared memory

SharedWindow::SharedWindow() {
  // Twice the size, so that an aligned window lies within.
  void* memory = mmap(nullptr, 2 * kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  char* const raw = static_cast<char*>(memory);
  const auto address = reinterpret_cast<std::uintptr_t>(raw);
  start_ = raw + (kBytes - address % kBytes) % kBytes;
  if (start_ > raw) munmap(raw, static_cast<std::size_t>(start_ - raw));
  munmap(start_ + kBytes, static_cast<std::size_t>(raw + 2 * kBytes - (start_ + kBytes)));
}

SharedWindow::~SharedWindow() {
  if (start_ != nullptr) munmap(start_, kBytes);
}

SharedWindow::SharedWindow(SharedWindow&& other) noexcept
    : start_(std::exchange(other.start_, nullptr)), used_(other.used_), zones_(std::move(other.zones_)) {}

void SharedWindow::reset() {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(start_, kBytes);
#endif
  used_ = 0;
  zones_.clear();
}

char* SharedWindow::take(std::size_t bytes, std::size_t align) {
  const std::size_t begin = (used_ + align - 1) / align * align;
  if (begin + bytes + kRedZone > kBytes) return nullptr;
  std::memset(start_ + begin, kPoison, bytes);
  std::memset(start_ + begin + bytes, kZone, kRedZone);
  zones_.push_back(begin + bytes);
  used_ = begin + bytes + kRedZone;
#if defined(__SANITIZE_ADDRESS__)
  ASAN_POISON_MEMORY_REGION(start_ + begin + bytes, kRedZone);
#endif
  return start_ + begin;
}

const char* SharedWindow::damage() const {
#if defined(__SANITIZE_ADDRESS__)
  return nullptr;  // reported at the access
#else
  for (const std::size_t zone : zones_) {
    for (std::size_t i = 0; i < kRedZone; ++i) {
      if (static_cast<unsigned char>(start_[zone + i]) != kZone) return start_ + zone + i;
    }
  }
  return nullptr;
#endif
}

// --- scheduling

Gang& Gang::current() { return worker_gang; }

void Gang::enter() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &worker_gang.scheduler_bottom_, &worker_gang.scheduler_bytes_);
#endif
  Gang& gang = worker_gang;
  const Grid& grid = *gang.grid_;
  grid.run_thread(grid.arguments.get());
  running.thread = kNobody;
  Thread& thread = gang.thread();
  if (!thread.open_copies.empty() || !thread.copies.empty()) {
    gang.fail("the thread ends with asynchronous copies that it never waited for", thread.site);
  }
  if (!thread.open_stores.empty() || !thread.stores.empty()) {
    gang.fail("the thread ends with stores of tensors that it never waited for", thread.site);
  }
  const WarpProducts& products = gang.block().products[thread.position.linear_thread / 32];
  if (!products.open.empty() || !products.groups.empty()) {
    gang.fail("the thread ends with products of its warp that were never waited for",
              products.open.empty() ? products.groups.front().front().site : products.open.front().site);
  }
  thread.done = true;
  ++gang.done_count_;
  gang.set_ready(gang.running_, false);
  gang.switch_to_scheduler();
}

void Gang::switch_to_scheduler() {
  const Running mine = running;
  const Position* const position = current_position;
  running = {};
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(thread().done ? nullptr : &fake, scheduler_bottom_, scheduler_bytes_);
#endif
  dcase_switch_fiber(&thread().stack_pointer, scheduler_stack_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, &scheduler_bottom_, &scheduler_bytes_);
#endif
  running = mine;
  current_position = position;
}

void Gang::set_ready(std::size_t thread, bool ready) {
  std::uint64_t& word = ready_[thread / 64];
  const std::uint64_t bit = std::uint64_t{1} << thread % 64;
  if (((word & bit) != 0) == ready) return;
  word ^= bit;
  ready_count_ += ready ? 1 : std::size_t(-1);
  if (ready) {
    first_ready_word_ = std::min(first_ready_word_, thread / 64);
    last_ready_word_ = std::max(last_ready_word_, thread / 64);
  }
}

std::size_t Gang::next_ready() {
  while (ready_[first_ready_word_] == 0) ++first_ready_word_;
  while (ready_[last_ready_word_] == 0) --last_ready_word_;
  if (schedule_.order == Order::kForward) {
    return first_ready_word_ * 64 + static_cast<std::size_t>(std::countr_zero(ready_[first_ready_word_]));
  }
  if (schedule_.order == Order::kReverse) {
    return last_ready_word_ * 64 + 63 - static_cast<std::size_t>(std::countl_zero(ready_[last_ready_word_]));
  }
  // The first that is ready from a random place on, round the corner.
  const std::size_t words = last_ready_word_ - first_ready_word_ + 1;
  const std::uint64_t draw = random_();
  std::size_t word = first_ready_word_ + static_cast<std::size_t>(draw % words);
  std::uint64_t bits = ready_[word] & (~std::uint64_t{0} << (draw >> 32) % 64);
  while (bits == 0) {
    word = word == last_ready_word_ ? first_ready_word_ : word + 1;
    bits = ready_[word];
  }
  return word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
}

void Gang::wait(const char* what, Site site) {
  thread().waits_in = what;
  thread().site = site;
  set_ready(running_, false);
  switch_to_scheduler();
}

void Gang::wake(std::size_t thread) { set_ready(thread, true); }

void Gang::pause() {
  // Behind all others: in an order that always takes the first, a thread that spins would never let them run.
  const std::size_t self = running_;
  if (ready_count_ > 1) {
    set_ready(self, false);
    paused_.push_back(self);
  }
  switch_to_scheduler();
}

void Gang::fail(std::string text, Site site) {
  running.thread = kNobody;
  {
    const std::string owned = std::move(text);  // nothing destroys the parameter of an abandoned call
    failure_ = concat("kernel ", grid_->name, ", ", where(running_), ": ", owned, place(site));
  }
  for (;;) switch_to_scheduler();  // the scheduler gives up; this fiber is never resumed
}

void Gang::run(const Grid& grid, std::size_t first_block, std::size_t count, const Schedule& schedule) {
  grid_ = &grid;
  schedule_ = schedule;
  random_.seed(schedule.seed * 0x9E3779B97F4A7C15ULL + first_block);
  failure_.clear();
  everybody_ = {};
  paused_.clear();
  bulk_copies_.clear();
  const std::size_t per_block = grid.threads.count();
  const std::size_t total = per_block * count;
  stacks_.reserve(total);
  for (Block& block : blocks_) spare_.push_back(std::move(block.window));
  blocks_.clear();
  threads_.assign(total, {});
  ready_.assign((total + 63) / 64, 0);
  first_ready_word_ = 0;
  last_ready_word_ = ready_.size() - 1;
  ready_count_ = 0;
  done_count_ = 0;
  for (std::size_t b = 0; b < count; ++b) {
    if (spare_.empty()) spare_.emplace_back();
    Block& block = blocks_.emplace_back(std::move(spare_.back()));
    spare_.pop_back();
    block.window.reset();
    block.warps.resize((per_block + 31) / 32);
    block.products.resize(block.warps.size());
    block.groups.resize(per_block / 128);
    const std::size_t number = first_block + b;
    const uint3 index = {static_cast<unsigned>(number % grid.blocks.x),
                         static_cast<unsigned>(number / grid.blocks.x % grid.blocks.y),
                         static_cast<unsigned>(number / grid.blocks.x / grid.blocks.y)};
    for (std::size_t t = 0; t < per_block; ++t) {
      Thread& thread = threads_[b * per_block + t];
      thread.block = b;
      thread.position = {.thread = {static_cast<unsigned>(t % grid.threads.x),
                                    static_cast<unsigned>(t / grid.threads.x % grid.threads.y),
                                    static_cast<unsigned>(t / grid.threads.x / grid.threads.y)},
                         .block = index,
                         .threads = dim3(grid.threads.x, grid.threads.y, grid.threads.z),
                         .blocks = dim3(grid.blocks.x, grid.blocks.y, grid.blocks.z),
                         .linear_thread = static_cast<unsigned>(t)};
      thread.stack_pointer = stacks_.prepare(b * per_block + t, &Gang::enter);
      set_ready(b * per_block + t, true);
    }
  }
  if (checker != nullptr) checker->starts(grid, first_block, count);
  while (done_count_ < total) {
    // As late as possible: a bulk copy lands when nobody can go on without it.
    if (ready_count_ == 0 && !bulk_copies_.empty()) {
      const std::size_t next = schedule_.landing == Landing::kRandom ? random_() % bulk_copies_.size() : 0;
      BulkCopy bulk = std::move(bulk_copies_[next]);
      bulk_copies_.erase(bulk_copies_.begin() + static_cast<std::ptrdiff_t>(next));
      land(bulk);
      continue;
    }
    if (ready_count_ == 0) {
      if (paused_.empty()) {
        if (checker != nullptr) checker->ends();
        throw KernelFault(deadlock());
      }
      for (const std::size_t thread : paused_) set_ready(thread, true);
      paused_.clear();
    }
    running_ = next_ready();
    current_position = &thread().position;
    running = {running_, stacks_.bottom(running_), stacks_.top(running_)};
#if defined(__SANITIZE_ADDRESS__)
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, running.stack_bottom, FiberStacks::kBytes);
#endif
    dcase_switch_fiber(&scheduler_stack_, thread().stack_pointer);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
    running = {};
    current_position = nullptr;
    if (!failure_.empty()) {
      if (checker != nullptr) checker->ends();
      throw KernelFault(failure_);
    }
  }
  if (checker != nullptr) checker->ends();
  if (!bulk_copies_.empty()) {
    const Site site = bulk_copies_[0].pieces[0].site;
    throw KernelFault(concat("kernel ", grid.name, ": the block ends before its bulk copy has landed", place(site)));
  }
  check_red_zones();
}

void Gang::check_red_zones() {
  for (const Block& block : blocks_) {
    const char* const damage = block.window.damage();
    if (damage == nullptr) continue;
    std::string near;
    for (const auto* list : {&block.variables, &block.pieces}) {
      for (const Block::Variable& v : *list) {
        if (damage >= v.start + v.bytes && damage < v.start + v.bytes + SharedWindow::kRedZone) {
          near = concat(", ", damage - (v.start + v.bytes), " bytes behind an array of ", v.bytes, " bytes");
        }
      }
    }
    throw KernelFault(concat("kernel ", grid_->name, ": shared memory was written out of bounds", near));
  }
}

std::string Gang::where(std::size_t thread) const {
  const Position& p = threads_[thread].position;
  return concat("block (", p.block.x, ",", p.block.y, ",", p.block.z, "), thread (", p.thread.x, ",", p.thread.y, ",",
                p.thread.z, ")");
}

std::string Gang::deadlock() const {
  std::map<std::string, std::size_t> waiting;
  std::size_t returned = 0;
  for (const Thread& thread : threads_) {
    if (thread.done) {
      ++returned;
    } else {
      ++waiting[concat(thread.waits_in, place(thread.site))];
    }
  }
  std::string text = concat("kernel ", grid_->name, ": deadlock: ", returned, " threads have returned");
  for (const auto& [what, threads] : waiting) text += concat("; ", threads, " wait in ", what);
  return text;
}

// --- meetings

void Gang::meet(Meeting& meeting, std::size_t expected, const char* what, Site site) {
  meeting.threads.push_back(running_);
  if (++meeting.arrived < expected) {
    wait(what, site);
    return;
  }
  if (checker != nullptr) checker->meet(meeting.threads);
  for (const std::size_t thread : meeting.threads) wake(thread);
  meeting.threads.clear();
  meeting.arrived = 0;
}

// --- asynchronous copies

bool Gang::lands_early() {
  return schedule_.landing == Landing::kEarly || (schedule_.landing == Landing::kRandom && random_() % 2 == 0);
}

}  // namespace dcase::emulator
