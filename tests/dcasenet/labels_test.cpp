#include "dcasenet/labels.hpp"

#include <algorithm>

#include "tests/support/test.hpp"

namespace dcase {

TEST_CASE("labels: the built-in lists have the order of the data sets", "[labels]") {
  const LabelSet& asc = builtin_labels(Task::kAsc);
  const LabelSet& tag = builtin_labels(Task::kTag);
  const LabelSet& sed = builtin_labels(Task::kSed);
  REQUIRE(asc.size() == 10);
  REQUIRE(tag.size() == 80);
  REQUIRE(sed.size() == 14);
  CHECK(asc.find("airport") == 0);
  CHECK(asc.find("metro_station") == 3);
  CHECK(asc.find("tram") == 9);
  CHECK(tag.find("Accelerating_and_revving_and_vroom") == 0);
  CHECK(tag.find("Fill_(with_liquid)") == 33);
  CHECK(tag.find("Hi-hat") == 41);
  CHECK(tag.find("Zipper_(clothing)") == 79);
  CHECK(sed.find("female_scream") == 5);
  CHECK(sed.find("male_scream") == 10);
  CHECK(sed.find("piano") == 13);
  for (const LabelSet* set : {&asc, &tag, &sed}) CHECK(std::is_sorted(set->names().begin(), set->names().end()));
}

TEST_CASE("labels: lookup, equality and the nearest name", "[labels]") {
  const LabelSet set({"Bark", "Stream", "Run"});
  CHECK(set.index("Run", "x") == 2);
  CHECK(set.find("run") == -1);
  CHECK(set[1] == "Stream");
  CHECK_THROWS_AS(set[3], Error);
  CHECK_THROWS_AS(set[-1], Error);
  CHECK(set == LabelSet({"Bark", "Stream", "Run"}));
  CHECK_FALSE(set == LabelSet({"Bark", "Run", "Stream"}));
  try {
    (void)set.index("Brak", "table.csv:7");
    FAIL("found");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kData);
    CHECK(std::string(error.what()).find("table.csv:7: unknown label 'Brak', did you mean 'Bark'?") == 0);
  }
  CHECK(nearest_name("STREAM", set.names()) == "Stream");
  CHECK(nearest_name("helicopter", set.names()).empty());
  CHECK(nearest_name(std::string(1'000'000, 'a'), set.names()).empty());
}

TEST_CASE("labels: lists that cannot be used are refused", "[labels]") {
  CHECK_THROWS_AS(LabelSet(std::vector<std::string>{}), Error);
  CHECK_THROWS_AS(LabelSet({"a", "b", "a"}), Error);
  CHECK_THROWS_AS(LabelSet({"a", ""}), Error);
  CHECK_THROWS_AS(LabelSet({"a\tb"}), Error);
  CHECK_THROWS_AS(LabelSet({std::string(257, 'a')}), Error);
  CHECK_THROWS_AS(LabelSet({"\xC3"}), Error);
  CHECK_NOTHROW(LabelSet({"Gr\xC3\xBC\xC3\x9F", "\xF0\x9F\x90\x95"}));
  CHECK(LabelSet().empty());
}

TEST_CASE("labels: UTF-8 is checked by the letter of the standard", "[labels]") {
  CHECK(is_utf8("\xE2\x82\xAC"));
  CHECK_FALSE(is_utf8("\x80"));              // continuation first
  CHECK_FALSE(is_utf8("\xC0\xAF"));          // overlong
  CHECK_FALSE(is_utf8("\xE0\x80\xAF"));      // overlong
  CHECK_FALSE(is_utf8("\xF0\x80\x80\x80"));  // overlong
  CHECK_FALSE(is_utf8("\xED\xA0\x80"));      // surrogate
  CHECK_FALSE(is_utf8("\xF4\x90\x80\x80"));  // above U+10FFFF
  CHECK_FALSE(is_utf8("\xE2\x82"));          // cut short
}

TEST_CASE("labels: text from outside is shown short and printable", "[labels]") {
  CHECK(in_quotes("Bark") == "'Bark'");
  CHECK(in_quotes(std::string("a\0b\n", 4)) == "'a\\x00b\\x0a'");
  CHECK(in_quotes("\xFF") == "'\\xff'");
  CHECK(in_quotes(std::string(1'000'000, 'a')) == "'" + std::string(60, 'a') + "'... (1000000 bytes)");
  // 59 letters and a character of two bytes across the limit: it is left out whole.
  CHECK(in_quotes(std::string(59, 'a') + "\xC3\xBC" + "z") == "'" + std::string(59, 'a') + "'... (62 bytes)");
}

TEST_CASE("labels: tasks and the misspelt SED names", "[labels]") {
  CHECK(parse_task("tag") == Task::kTag);
  CHECK_THROWS_AS(parse_task("TAG"), Error);
  CHECK(corrected_sed_name("female_screem") == "female_scream");
  CHECK(corrected_sed_name("male_screem") == "male_scream");
  CHECK(corrected_sed_name("dog") == "dog");
}

}  // namespace dcase
