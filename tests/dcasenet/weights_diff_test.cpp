#include "dcasenet/weights/diff.hpp"

#include <cmath>
#include <limits>

#include "tests/support/test.hpp"

namespace dcase {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

WeightsDifference compare_floats(std::vector<float> a, std::vector<float> b, double tolerance = 0) {
  ArchiveWriter x;
  ArchiveWriter y;
  const auto count = static_cast<std::int64_t>(a.size());
  x.add("w", {count}, std::move(a));
  y.add("w", {count}, std::move(b));
  return compare(x.in_memory("a"), y.in_memory("b"), tolerance);
}

}  // namespace

TEST_CASE("weights diff: the largest and the relative difference of values", "[weights]") {
  const WeightsDifference d = compare_floats({3, 4, 0}, {3, 4.5F, -1});
  REQUIRE(d.values.size() == 1);
  CHECK(d.values[0].max_abs == 1);
  CHECK(d.values[0].rel_l2 == Approx(std::sqrt(1.25) / 5));
  CHECK(d.values[0].differing == 2);
  CHECK(compare_floats({3, 4, 0}, {3, 4.5F, -1}, 0.5).values[0].differing == 1);
  CHECK(compare_floats({3, 4, 0}, {3, 4.5F, -1}, 1).empty());
  CHECK(compare_floats({0}, {1}).values[0].rel_l2 == std::numeric_limits<double>::infinity());
}

TEST_CASE("weights diff: infinities and NaN agree with themselves alone", "[weights]") {
  CHECK(compare_floats({kNan, kInf, -kInf, 0}, {kNan, kInf, -kInf, -0.0F}).empty());
  for (const auto& [a, b] : std::vector<std::pair<float, float>>{{kNan, 1}, {1, kNan}, {kInf, -kInf}, {kInf, 1}}) {
    const WeightsDifference d = compare_floats({a}, {b}, 1e30);
    REQUIRE(d.values.size() == 1);
    CHECK(d.values[0].max_abs == std::numeric_limits<double>::infinity());
  }
}

TEST_CASE("weights diff: names, shapes, types, counters, metadata", "[weights]") {
  const std::int64_t large = std::int64_t{1} << 62;
  ArchiveWriter x;
  x.add("only a", {1}, std::vector<float>{1});
  x.add("shape", {2, 1}, std::vector<float>{1, 2});
  x.add("type", {2}, std::vector<float>{1, 2});
  x.add("count", {}, std::vector<std::int64_t>{large});
  x.add("lowest", {}, std::vector<std::int64_t>{std::numeric_limits<std::int64_t>::min()});
  x.metadata("both", "1");
  x.metadata("changed", "1");
  x.metadata("gone", "1");
  ArchiveWriter y;
  y.add("lowest", {}, std::vector<std::int64_t>{std::numeric_limits<std::int64_t>::max()});
  y.add("count", {}, std::vector<std::int64_t>{large + 1});
  y.add("type", {2}, std::vector<double>{1, 2});
  y.add("shape", {1, 2}, std::vector<float>{1, 2});
  y.add("only b", {1}, std::vector<float>{1});
  y.metadata("both", "1");
  y.metadata("changed", "2");
  y.metadata("new", "1");
  const WeightsDifference d = compare(x.in_memory("a"), y.in_memory("b"));
  CHECK(d.only_a == std::vector<std::string>{"only a"});
  CHECK(d.only_b == std::vector<std::string>{"only b"});
  REQUIRE(d.shapes.size() == 1);
  CHECK(d.shapes[0].a == "[2,1]");
  CHECK(d.shapes[0].b == "[1,2]");
  REQUIRE(d.values.size() == 2);
  CHECK(d.values[0].name == "count");
  CHECK(d.values[0].max_abs == 1);
  CHECK(d.values[1].max_abs == 0x1p64);
  CHECK(d.equal == 1);  // the type alone is no difference
  REQUIRE(d.metadata.size() == 3);
  CHECK((d.metadata[0].key == "changed" && d.metadata[0].in_a && d.metadata[0].in_b));
  CHECK((d.metadata[1].key == "gone" && !d.metadata[1].in_b));
  CHECK((d.metadata[2].key == "new" && !d.metadata[2].in_a));
}

}  // namespace dcase
