#include "train/data/csv.hpp"

#include "tests/train/data_fixture.hpp"

namespace dcase {

using test::has;

namespace {
using Rows = std::vector<std::vector<std::string>>;

Rows rows_of(std::string_view text, const CsvOptions& options) {
  const CsvTable table = CsvTable::parse(text, "t.csv", options);
  Rows rows;
  for (std::size_t r = 0; r < table.rows(); ++r) rows.push_back(table.row(r));
  return rows;
}
const CsvOptions kPlain = {.header = false};
}  // namespace

TEST_CASE("csv: BOM, line ends, quotes and blank lines", "[csv]") {
  CHECK(rows_of("a,b\nc,d\n", kPlain) == Rows{{"a", "b"}, {"c", "d"}});
  CHECK(rows_of("\xEF\xBB\xBF"
                "a,b\r\n\r\nc,d",
                kPlain) == Rows{{"a", "b"}, {"c", "d"}});
  CHECK(rows_of("a\tb,c\n", {.separator = '\t', .header = false}) == Rows{{"a", "b,c"}});
  CHECK(rows_of("x,\"Walk,Slam\",\"say \"\"hi\"\"\"\n", kPlain) == Rows{{"x", "Walk,Slam", "say \"hi\""}});
  CHECK(rows_of("\"a\nb\",c\nd,e\n", kPlain) == Rows{{"a\nb", "c"}, {"d", "e"}});
  CHECK(rows_of("a,\n,b", kPlain) == Rows{{"a", ""}, {"", "b"}});
  CHECK(rows_of("a,\"\"", kPlain) == Rows{{"a", ""}});
  CHECK(rows_of("a,", kPlain) == Rows{{"a", ""}});
  CHECK(rows_of("5\" disc,x", kPlain) == Rows{{"5\" disc", "x"}});
  CHECK(rows_of("a\rb\r", kPlain) == Rows{{"a"}, {"b"}});
  CHECK(rows_of("", kPlain).empty());
}

TEST_CASE("csv: columns by name, lines of rows", "[csv]") {
  const CsvTable table = CsvTable::parse("filename, label\na,1\n\n\"b\nb\",2\nc,x\n", "t.csv");
  CHECK(table.rows() == 3);
  CHECK(table.column("label") == 1);
  CHECK_FALSE(table.find_column("labels"));
  CHECK(table.where(1) == "t.csv:4");
  CHECK(table.where(2) == "t.csv:6");  // the quoted field took two lines
  CHECK(table.integer(1, 1, "label", 0, 2) == 2);
  CHECK_ERROR(table.integer(1, 1, "the label", 0, 1), ErrorKind::kData,
              "t.csv:4: the label is '2'; it has to be a whole");
  CHECK_ERROR(table.number(2, 1, "the label"), ErrorKind::kData, "t.csv:6: the label is 'x'");
  CHECK_ERROR(table.column("labels"), ErrorKind::kData, "t.csv:1: no column 'labels'; there are 'filename', 'label'");
}

TEST_CASE("csv: malformed tables end in file and line", "[csv]") {
  const auto parse = [](std::string_view text) { return CsvTable::parse(text, "t.csv"); };
  CHECK_ERROR(parse(""), ErrorKind::kData, "t.csv:1: the table is empty");
  CHECK_ERROR(parse("a,b\n1,2\n3\n"), ErrorKind::kData, "t.csv:3: 1 fields where the header has 2");
  CHECK_ERROR(parse("a,b\n1,2,3\n"), ErrorKind::kData, "t.csv:2: 3 fields");
  CHECK_ERROR(parse("a\n\"x\ny"), ErrorKind::kData, "t.csv:2: a quote opened here is never closed");
  CHECK_ERROR(parse("a\n\""), ErrorKind::kData, "t.csv:2: a quote");
  CHECK_ERROR(parse("a\n\"x\"y\n"), ErrorKind::kData, "t.csv:2: text after a closing quote");
  CHECK_ERROR(parse("a,a\n"), ErrorKind::kData, "two columns are called 'a'");
  CHECK_ERROR(parse(std::string_view("a\nb\0c\n", 6)), ErrorKind::kData, "t.csv:2: a NUL byte");
  CHECK_ERROR(parse("\xFF\xFE"
                    "a"),
              ErrorKind::kData, "UTF-16");
}

TEST_CASE("csv: hostile sizes are refused, not allocated", "[csv]") {
  const std::string million(1'000'000, 'x');
  CHECK_ERROR(CsvTable::parse("a\n" + million + "\n", "t.csv"), ErrorKind::kData, "t.csv:2: a field of more than");
  CHECK_ERROR(CsvTable::parse("a\n\"" + million + "\"\n", "t.csv"), ErrorKind::kData, "t.csv:2: a field of more than");
  CHECK_ERROR(CsvTable::parse(std::string(1'000'000, ','), "t.csv"), ErrorKind::kData, "more than 10000 columns");
  CHECK_ERROR(CsvTable::parse("a\nb\nc\nd\n", "t.csv", {.max_rows = 2}), ErrorKind::kData, "t.csv:4: more than 2 rows");
  // Many fields in one long line are no field too long.
  std::string line = "0";
  for (int i = 1; i < 9'000; ++i) line += "," + std::string(100, 'y');
  CHECK(rows_of(line, kPlain).at(0).size() == 9'000);

  const test::TemporaryFolder folder;
  test::put(folder / "big.csv", million);
  CHECK_ERROR(CsvTable::read(folder / "big.csv", {.max_file_bytes = 999'999}), ErrorKind::kData,
              "larger than the 999999");
  CHECK_ERROR(CsvTable::read(folder / "none.csv"), ErrorKind::kData, "no such file");
  CHECK_ERROR(CsvTable::read(folder.path()), ErrorKind::kData, "not a regular file");
}

TEST_CASE("csv: numbers are whole, finite and independent of the locale", "[csv]") {
  CHECK(parse_integer(" 42 ") == 42);
  CHECK(parse_integer("+7") == 7);
  CHECK(parse_integer("-180") == -180);
  for (const char* bad : {"", " ", "4x", "4.0", "+-4", "0x10", "99999999999999999999", "1 2"})
    CHECK_FALSE(parse_integer(bad));
  CHECK(parse_number("1.25") == 1.25);
  CHECK(parse_number("-1e-3") == -1e-3);
  for (const char* bad : {"", "1,25", "nan", "inf", "1e999", "1.5s"}) CHECK_FALSE(parse_number(bad));
}

TEST_CASE("csv: lists within a field", "[csv]") {
  using List = std::vector<std::string>;
  CHECK(split_list("Walk, Slam", ',') == List{"Walk", "Slam"});
  CHECK(split_list("Bark", ',') == List{"Bark"});
  CHECK(split_list("", ',').empty());
  CHECK(split_list("  ", ',').empty());
  CHECK(split_list("a;;b", ';') == List{"a", "", "b"});
}

}  // namespace dcase
