#pragma once
/// Ctrl-C, and SIGTERM as batch systems send it, for work that can stop at a good place.

#include <csignal>

namespace dcase::cli {

/// While it lives, the first SIGINT or SIGTERM sets a flag, and a second one ends the program at once with exit code
/// 130. A signal that was ignored before (nohup, background jobs) stays ignored. At most one lives at a time; signals
/// belong to the process, so the flag is the one piece of global state that this needs.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  /// True from the first signal on. Thread-safe.
  [[nodiscard]] bool requested() const noexcept;
  /// Throws Error(kInterrupted) where requested.
  void check() const;

 private:
  struct sigaction previous_int_;
  struct sigaction previous_term_;
};

}  // namespace dcase::cli
