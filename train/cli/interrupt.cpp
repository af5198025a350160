#include "train/cli/interrupt.hpp"

#include <unistd.h>

#include <atomic>

#include "kernels/common/error.hpp"
#include "train/cli/exit_codes.hpp"

namespace dcase::cli {
namespace {

std::atomic<bool> stop_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may touch lock-free atomics only");

extern "C" void on_signal(int) {
  if (stop_requested.exchange(true)) _exit(kExitInterrupted);
}

struct sigaction install(int signal) {
  struct sigaction previous = {};
  sigaction(signal, nullptr, &previous);
  if (previous.sa_handler == SIG_IGN) return previous;
  struct sigaction ours = {};
  ours.sa_handler = on_signal;
  sigemptyset(&ours.sa_mask);
  ours.sa_flags = SA_RESTART;  // no read or write is cut short
  sigaction(signal, &ours, nullptr);
  return previous;
}

}  // namespace

InterruptScope::InterruptScope() : previous_int_(), previous_term_() {
  stop_requested = false;
  previous_int_ = install(SIGINT);
  previous_term_ = install(SIGTERM);
}

InterruptScope::~InterruptScope() {
  sigaction(SIGINT, &previous_int_, nullptr);
  sigaction(SIGTERM, &previous_term_, nullptr);
}

bool InterruptScope::requested() const noexcept { return stop_requested; }

void InterruptScope::check() const {
  if (requested()) fail(ErrorKind::kInterrupted, "interrupted");
}

}  // namespace dcase::cli
