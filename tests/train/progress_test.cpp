#include "train/cli/progress.hpp"

#include <optional>
#include <sstream>
#include <string>

#include "tests/support/test.hpp"

namespace dcase::cli {
namespace {

// A console on a string, with a clock that the test moves.
struct Fixture {
  explicit Fixture(bool terminal, bool quiet = false, int columns = 100)
      : console(out, {.terminal = terminal,
                      .quiet = quiet,
                      .width = [columns] { return columns; },
                      .seconds = [this] { return now; }}) {}
  std::string taken() {
    std::string text = out.str();
    out.str("");
    return text;
  }

  std::ostringstream out;
  double now = 1000;
  Console console;
};

}  // namespace

TEST_CASE("progress: on a terminal a bar is redrawn at most ten times a second", "[progress]") {
  Fixture f(true);
  std::optional<Progress> progress(std::in_place, f.console, "train", 200);
  progress->advance();
  CHECK(f.taken().empty());  // no time has passed
  f.now += 10;
  progress->advance(49, "loss 1.25");
  CHECK(f.taken() == "\r\x1b[Ktrain [######..................]  25%  50/200  5.00/s  0:30 left  loss 1.25");
  f.now += 0.05;
  progress->advance();
  CHECK(f.taken().empty());
  f.now += 9.95;
  progress->advance(149);
  f.taken();
  progress.reset();
  CHECK(f.taken() ==
        "\r\x1b[K"
        "train: 200 in 0:20, 10.0/s\n");
}

TEST_CASE("progress: a message on a terminal takes the bar's line and the bar comes back below", "[progress]") {
  Fixture f(true);
  Progress progress(f.console, "train", 10);
  f.now += 1;
  progress.advance();
  const std::string bar = f.taken().substr(4);
  f.console.warn("a file is missing");
  CHECK(f.taken() ==
        "\r\x1b[K"
        "dcasenet: warning: a file is missing\n" +
            bar);
}

TEST_CASE("progress: a bar never fills the last column", "[progress]") {
  Fixture f(true, false, 20);
  Progress progress(f.console, "train", 10);
  f.now += 1;
  progress.advance();
  CHECK(f.taken() == "\r\x1b[Ktrain [##.........…");
}

TEST_CASE("progress: without a terminal there is a plain line every ten seconds", "[progress]") {
  Fixture f(false);
  {
    Progress progress(f.console, "train", 1000, 100);  // resumed at 100
    for (int i = 0; i < 250; ++i) {
      f.now += 0.1;
      progress.advance(1, "loss 0.5");
    }
    CHECK(f.taken() ==
          "train: 20%  200/1000  10.0/s  1:20 left  loss 0.5\n"
          "train: 30%  300/1000  10.0/s  1:10 left  loss 0.5\n");
  }
  CHECK(f.taken().empty());  // not finished: whoever stopped it says so
  {
    Progress progress(f.console, "short", 3);
    f.now += 2;
    progress.advance(3);
  }
  CHECK(f.taken().empty());
}

TEST_CASE("progress: quiet leaves warnings and errors alone", "[progress]") {
  Fixture f(true, true);
  {
    Progress progress(f.console, "train", 2);
    f.now += 100;
    progress.advance(2);
    f.console.info("remark");
  }
  CHECK(f.taken().empty());
  f.console.warn("w");
  f.console.error("e");
  CHECK(f.taken() == "dcasenet: warning: w\ndcasenet: error: e\n");
}

TEST_CASE("progress: rates keep three digits at any speed, and nothing done has no time left", "[progress]") {
  CHECK(rate_text(1234) == "1234/s");
  CHECK(rate_text(12.34) == "12.3/s");
  CHECK(rate_text(0.5) == "30.0/min");
  CHECK(rate_text(0.01) == "36.0/h");
  CHECK(rate_text(0) == "0.00/s");
  Fixture f(false);
  Progress progress(f.console, "none", 0);
  f.now += 20;
  progress.advance(0);
  CHECK(f.taken() == "none: 100%  0/0  0.00/s  ? left\n");
}

}  // namespace dcase::cli
