#pragma once
/// What the program tells a person while it works, on stderr: messages, and progress with rate and time left.

#include <cstdint>
#include <functional>
#include <mutex>
#include <ostream>
#include <string>
#include <string_view>

namespace dcase::cli {

/// Writes messages and at most one progress bar so that neither damages the other. Thread-safe.
class Console {
 public:
  struct Options {
    bool terminal = false;            ///< a bar that is redrawn; otherwise plain lines
    bool quiet = false;               ///< warnings and errors only
    std::function<int()> width;       ///< columns of the terminal, asked for at every drawing; absent: 80
    std::function<double()> seconds;  ///< a clock that never goes back; absent: the system's
  };
  /// `out` outlives the console.
  Console(std::ostream& out, Options options);
  /// On stderr; a bar only where that is a terminal (and TERM is not "dumb").
  [[nodiscard]] static Options for_stderr(bool quiet);

  /// A line for the person at the terminal; nothing with quiet.
  void info(std::string_view line);
  /// "dcasenet: warning: LINE", also with quiet.
  void warn(std::string_view line);
  /// "dcasenet: error: LINE", also with quiet.
  void error(std::string_view line);

  [[nodiscard]] double seconds() const { return options_.seconds(); }

 private:
  friend class Progress;
  void write_line(std::string_view line);
  void draw(std::string line);  // shows it as the bar; "" takes the bar away

  std::ostream& out_;
  Options options_;
  std::mutex mutex_;
  std::string bar_;  // on the screen now
};

/// Progress of one piece of work with a known number of steps. Terminal: a bar, redrawn at most ten times a second.
/// Otherwise: one line every ten seconds, none where the work takes less. One thread at a time.
class Progress {
 public:
  /// `what` is a word or two ("train", "asc test"); `first` steps are done already (a resumed run).
  Progress(Console& console, std::string what, std::int64_t total, std::int64_t first = 0);
  /// Takes the bar away; a finished one leaves one line with its rate where it was ever shown.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `count` more steps are done; `note` stands behind the numbers ("loss 0.123") until the next one.
  void advance(std::int64_t count = 1, std::string_view note = {});

 private:
  [[nodiscard]] double rate(double now) const;
  [[nodiscard]] std::string numbers(double now) const;
  void show(double now);

  Console& console_;
  std::string what_;
  std::string note_;
  std::int64_t total_;
  std::int64_t first_;
  std::int64_t done_;
  double start_;
  double shown_at_;
  bool shown_ = false;
};

/// "3.27/s", "12.5/min", "480/h": three digits whatever the speed.
[[nodiscard]] std::string rate_text(double per_second);

}  // namespace dcase::cli
