#include "train/report/table.hpp"

#include <cmath>

#include "kernels/common/error.hpp"
#include "tests/support/test.hpp"
#include "train/report/text.hpp"

namespace dcase {

TEST_CASE("table: cells are aligned by what the terminal shows", "[report]") {
  Table table({{"class", Table::Align::kLeft}, {"F1"}});
  table.add({"dog", "61.2"});
  table.add({"Gähnen", "7"});
  table.add({"犬", "100.0"});
  table.add_rule();
  table.add({"all"});
  CHECK(table.text() ==
        "class      F1\n"
        "------  -----\n"
        "dog      61.2\n"
        "Gähnen      7\n"
        "犬      100.0\n"
        "------  -----\n"
        "all\n");
  CHECK_THROWS_AS(table.add({"a", "b", "c"}), Error);
  Table indented({{"n"}}, 2);
  indented.add({"1"});
  CHECK(indented.text() == "  n\n  -\n  1\n");
}

TEST_CASE("table: numbers", "[report]") {
  CHECK(number_text(NAN) == "n/a");
  CHECK(number_text(0.12345) == "0.1235");
  CHECK(number_text(INFINITY, 2) == "inf");
  CHECK(percent_text(68.333) == "68.33 %");
  CHECK(percent_text(NAN) == "n/a");
}

TEST_CASE("text: widths, cuts and control characters", "[report]") {
  CHECK(display_width("") == 0);
  CHECK(display_width("abc") == 3);
  CHECK(display_width("e\xCC\x81") == 1);         // e and a combining acute
  CHECK(display_width("\xF0\x9F\x90\x95") == 2);  // a dog
  CHECK(display_width("\xFF\xC3") == 2);          // not UTF-8
  CHECK(fit_columns("abcdef", 6) == "abcdef");
  CHECK(fit_columns("abcdef", 5) == "abcd…");
  CHECK(fit_columns("犬犬犬", 4) == "犬…");
  CHECK(fit_columns("abc", 0).empty());
  CHECK(printable("a\x1b[2J\nb\x7f\xC2\x9B\xFFü") == "a?[2J?b???ü");
  CHECK(duration_text(0.4) == "0:00");
  CHECK(duration_text(59.6) == "1:00");
  CHECK(duration_text(3725) == "1:02:05");
  CHECK(duration_text(-1) == "?");
  CHECK(duration_text(std::nan("")) == "?");
}

}  // namespace dcase
