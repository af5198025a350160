#include "train/report/diagram_svg.hpp"

#include <cmath>
#include <regex>

#include "tests/support/test.hpp"

namespace dcase {
namespace {

struct Rectangle {
  double x, y, width, height;
};

// Those of the boxes: the background has no x.
std::vector<Rectangle> rectangles(const std::string& svg) {
  static const std::regex kBox(R"re(<rect x="([-0-9.]+)" y="([-0-9.]+)" width="([0-9.]+)" height="([0-9.]+)")re");
  std::vector<Rectangle> result;
  for (auto it = std::sregex_iterator(svg.begin(), svg.end(), kBox); it != std::sregex_iterator(); ++it) {
    const auto at = [&](std::size_t i) { return std::stod((*it)[i].str()); };
    result.push_back({at(1), at(2), at(3), at(4)});
  }
  return result;
}

DiagramBox box(const std::string& name, std::vector<std::size_t> inputs) {
  return {.name = name, .operations = {"linear"}, .shape = {1, 7}, .inputs = std::move(inputs)};
}

}  // namespace

TEST_CASE("diagram: boxes of the networks lie within the drawing and do not touch", "[diagram]") {
  for (const int version : {1, 2, 3}) {
    INFO("v" << version);
    const std::vector<DiagramBox> boxes = diagram_of({.version = version, .divisor = 8}, 100);
    const std::string svg = diagram_svg(boxes, "a network", "a note");
    CHECK(svg == diagram_svg(boxes, "a network", "a note"));
    std::smatch size;
    REQUIRE(std::regex_search(svg, size, std::regex(R"re(width="(\d+)" height="(\d+)" viewBox)re")));
    const std::vector<Rectangle> all = rectangles(svg);
    REQUIRE(all.size() == boxes.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Rectangle& a = all[i];
      CHECK((a.x >= 10 && a.y >= 10 && a.x + a.width <= std::stod(size[1].str()) - 10 &&
             a.y + a.height <= std::stod(size[2].str()) - 10));
      for (std::size_t j = 0; j < i; ++j) {
        const Rectangle& b = all[j];
        CHECK((std::abs(a.x - b.x) >= a.width + 10 || std::abs(a.y - b.y) >= a.height + 10));
      }
      for (const std::size_t from : boxes[i].inputs) CHECK(all[from].y < a.y);
    }
  }
}

TEST_CASE("diagram: a chain is straight, twins stand evenly below what they read", "[diagram]") {
  const std::vector<Rectangle> r = rectangles(
      diagram_svg({box("a", {}), box("b", {0}), box("c", {1}), box("d", {1}), box("e", {2, 3})}, "title", "note"));
  REQUIRE(r.size() == 5);
  CHECK(r[1].x == r[0].x);
  CHECK(r[2].y == r[3].y);
  CHECK((r[2].x + r[3].x) / 2 == Approx(r[1].x));
  CHECK(r[4].x == Approx(r[1].x));
}

TEST_CASE("diagram: text is escaped, numbers are grouped", "[diagram]") {
  DiagramBox one = box("a<b>&\"c\"", {});
  one.parameters = {{"a.weight", {1000, 1234}}};
  one.parameter_count = 1234000;
  const std::string svg = diagram_svg({one}, "x & y", "n < m");
  CHECK_THAT(svg, Catch::Contains("a&lt;b&gt;&amp;&quot;c&quot;") && Catch::Contains("n &lt; m"));
  CHECK_THAT(svg, Catch::Contains("x &amp; y: 1,234,000 parameters"));
  CHECK_THAT(svg, Catch::Contains("a.weight [1000,1234]"));
}

}  // namespace dcase
