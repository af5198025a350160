#include "train/cli/progress.hpp"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "train/report/text.hpp"

namespace dcase::cli {
namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr double kLineSeconds = 10;
constexpr int kBarColumns = 24;

int terminal_width() {
  winsize size = {};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Console::Console(std::ostream& out, Options options) : out_(out), options_(std::move(options)) {
  if (!options_.width) options_.width = [] { return 80; };
  if (!options_.seconds) options_.seconds = steady_seconds;
}

Console::Options Console::for_stderr(bool quiet) {
  const char* term = std::getenv("TERM");
  const bool capable = term != nullptr && std::string_view(term) != "dumb";
  return {.terminal = capable && isatty(STDERR_FILENO) != 0,
          .quiet = quiet,
          .width = terminal_width,
          .seconds = steady_seconds};
}

void Console::info(std::string_view line) {
  if (!options_.quiet) write_line(line);
}

void Console::warn(std::string_view line) { write_line(fmt::format("dcasenet: warning: {}", line)); }

void Console::error(std::string_view line) { write_line(fmt::format("dcasenet: error: {}", line)); }

void Console::write_line(std::string_view line) {
  const std::scoped_lock lock(mutex_);
  // Back to the first column and erase; the bar is drawn again below the line. One write: nothing comes in between.
  const std::string text = bar_.empty() ? fmt::format("{}\n", line) : fmt::format("\r\x1b[K{}\n{}", line, bar_);
  out_ << text << std::flush;
}

void Console::draw(std::string line) {
  const std::scoped_lock lock(mutex_);
  // One column stays free: a full line would wrap in some terminals.
  line = fit_columns(line, static_cast<std::size_t>(std::max(options_.width() - 1, 0)));
  if (bar_.empty() && line.empty()) return;
  bar_ = std::move(line);
  out_ << fmt::format("\r\x1b[K{}", bar_) << std::flush;
}

Progress::Progress(Console& console, std::string what, std::int64_t total, std::int64_t first)
    : console_(console),
      what_(std::move(what)),
      total_(std::max<std::int64_t>(total, 0)),
      first_(first),
      done_(first),
      start_(console.seconds()),
      shown_at_(start_) {}

Progress::~Progress() {
  try {
    if (console_.options_.terminal) console_.draw("");
    if (shown_ && done_ >= total_) {
      const double now = console_.seconds();
      console_.info(
          fmt::format("{}: {} in {}, {}", what_, done_ - first_, duration_text(now - start_), rate_text(rate(now))));
    }
  } catch (...) {  // NOLINT(bugprone-empty-catch): a bar that cannot be drawn is no reason to end the program
  }
}

void Progress::advance(std::int64_t count, std::string_view note) {
  done_ += count;
  if (!note.empty()) note_ = note;
  if (console_.options_.quiet) return;
  const double now = console_.seconds();
  if (now - shown_at_ < (console_.options_.terminal ? kRedrawSeconds : kLineSeconds)) return;
  shown_at_ = now;
  shown_ = true;
  show(now);
}

double Progress::rate(double now) const {
  return now > start_ ? static_cast<double>(done_ - first_) / (now - start_) : 0;
}

std::string Progress::numbers(double now) const {
  const double speed = rate(now);
  const double left = speed > 0 ? static_cast<double>(std::max<std::int64_t>(total_ - done_, 0)) / speed : -1;
  return fmt::format("{}/{}  {}  {} left{}{}", done_, total_, rate_text(speed), duration_text(left),
                     note_.empty() ? "" : "  ", note_);
}

void Progress::show(double now) {
  const double part = total_ > 0 ? std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_)) : 1.0;
  const int percent = static_cast<int>(100 * part);
  if (!console_.options_.terminal) {
    console_.info(fmt::format("{}: {}%  {}", what_, percent, numbers(now)));
    return;
  }
  const auto full = static_cast<std::size_t>(kBarColumns * part);
  const std::string bar = std::string(full, '#') + std::string(kBarColumns - full, '.');
  console_.draw(fmt::format("{} [{}] {:3}%  {}", what_, bar, percent, numbers(now)));
}

std::string rate_text(double per_second) {
  const char* unit = "/s";
  double value = per_second;
  if (value > 0 && value < 1) {
    value *= 60;
    unit = "/min";
    if (value < 1) {
      value *= 60;
      unit = "/h";
    }
  }
  const int digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f}{}", value, digits, unit);
}

}  // namespace dcase::cli
