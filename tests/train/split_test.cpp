#include "train/data/split.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "tests/support/test.hpp"

namespace dcase {

namespace {
using Rows = std::vector<std::int64_t>;
Rows head(const Rows& rows, std::ptrdiff_t n) { return Rows(rows.begin(), rows.begin() + n); }
Rows tail(const Rows& rows, std::ptrdiff_t n) { return Rows(rows.end() - n, rows.end()); }
std::int64_t sum(const Rows& rows) { return std::accumulate(rows.begin(), rows.end(), std::int64_t{0}); }
}  // namespace

TEST_CASE("split: the paper's 4,970 rows are divided as NumPy and scikit-learn do it", "[split]") {
  const Rows order = numpy_permutation(4970, 42);
  CHECK(head(order, 10) == Rows{856, 3657, 4602, 4368, 3868, 2295, 4239, 2634, 350, 3017});

  const Rows evaluated = paper_evaluation_rows(4970);
  REQUIRE(evaluated.size() == 994);
  CHECK(head(evaluated, 10) == Rows{8, 12, 17, 19, 23, 26, 29, 33, 43, 45});
  CHECK(tail(evaluated, 5) == Rows{4938, 4945, 4947, 4951, 4966});
  CHECK(sum(evaluated) == 2'423'130);
  CHECK(rows_crc32(evaluated) == 0xcacf1126U);

  std::vector<bool> used(4970, false);
  for (const std::int64_t row : evaluated) used[static_cast<std::size_t>(row)] = true;
  Rows training;
  for (std::int64_t row = 0; row < 4970; ++row) {
    if (!used[static_cast<std::size_t>(row)]) training.push_back(row);
  }
  CHECK(training.size() == 3976);
  CHECK(sum(training) == 9'924'835);
}

TEST_CASE("split: other row counts round up, as KFold does", "[split]") {
  CHECK(paper_evaluation_rows(0).empty());
  CHECK(paper_evaluation_rows(1) == Rows{0});
  CHECK(paper_evaluation_rows(10).size() == 2);
  CHECK(paper_evaluation_rows(11).size() == 3);
  // numpy.random.RandomState(42).permutation(10)
  CHECK(numpy_permutation(10, 42) == Rows{8, 1, 5, 0, 7, 2, 9, 4, 3, 6});
}

TEST_CASE("split: CRC-32 of the standard's check text", "[split]") {
  CHECK(rows_crc32({123456789}) == 0xcbf43926U);
  CHECK(rows_crc32({}) == 0U);
}

TEST_CASE("split: a random subset is reproducible and depends on seed and purpose", "[split]") {
  const Rows a = random_subset(100, 17, 3, "x");
  CHECK(a.size() == 17);
  CHECK(std::is_sorted(a.begin(), a.end()));
  CHECK(std::set<std::int64_t>(a.begin(), a.end()).size() == 17);
  CHECK(a == random_subset(100, 17, 3, "x"));
  CHECK(a != random_subset(100, 17, 4, "x"));
  CHECK(a != random_subset(100, 17, 3, "y"));
  CHECK(random_subset(5, 5, 0, "x") == Rows{0, 1, 2, 3, 4});
  CHECK(random_subset(0, 0, 0, "x").empty());
}

TEST_CASE("split: groups held out whole, every city on both sides, every scene near its share", "[split]") {
  // 7 cities of different size, 5 scenes, 3 to 9 places a scene and city, 1 to 6 rows a place.
  std::vector<GroupedRow> rows;
  for (int city = 0; city < 7; ++city) {
    for (int scene = 0; scene < 5; ++scene) {
      for (int place = 0; place < 3 + city; ++place) {
        for (int k = 0; k < 1 + (place + scene) % 6; ++k) {
          const std::string name = "city" + std::to_string(city);
          rows.push_back({.stratum = name, .group = name + "-" + std::to_string(scene * 100 + place), .label = scene});
        }
      }
    }
  }
  const std::vector<bool> held = hold_out_groups(rows, 0.3, 11, "test");
  REQUIRE(held.size() == rows.size());

  std::map<std::string, std::set<bool>> group_sides;
  std::map<std::string, std::set<bool>> city_sides;
  std::map<std::int32_t, std::pair<double, double>> share;  // held, all
  for (std::size_t i = 0; i < rows.size(); ++i) {
    group_sides[rows[i].group].insert(held[i]);
    city_sides[rows[i].stratum].insert(held[i]);
    share[rows[i].label].first += held[i] ? 1 : 0;
    share[rows[i].label].second += 1;
  }
  for (const auto& [group, sides] : group_sides) CHECK(sides.size() == 1);
  for (const auto& [city, sides] : city_sides) CHECK(sides.size() == 2);
  for (const auto& [scene, counts] : share) {
    INFO("scene " << scene << ": " << counts.first << " of " << counts.second);
    CHECK(std::abs(counts.first / counts.second - 0.3) < 0.03);
  }

  // The same marks whatever the order of the rows; others under another seed.
  std::vector<GroupedRow> reversed(rows.rbegin(), rows.rend());
  std::vector<bool> backward = hold_out_groups(reversed, 0.3, 11, "test");
  std::reverse(backward.begin(), backward.end());
  CHECK(backward == held);
  CHECK(hold_out_groups(rows, 0.3, 12, "test") != held);
}

TEST_CASE("split: a city of one place stays in training, one of two is divided", "[split]") {
  const std::vector<GroupedRow> rows = {{.stratum = "a", .group = "a-0", .label = 0},
                                        {.stratum = "b", .group = "b-0", .label = 0},
                                        {.stratum = "b", .group = "b-1", .label = 1},
                                        {.stratum = "a", .group = "a-0", .label = 1}};
  const std::vector<bool> held = hold_out_groups(rows, 0.3, 0, "test");
  CHECK_FALSE(held[0]);
  CHECK_FALSE(held[3]);
  CHECK(held[1] != held[2]);
  CHECK(hold_out_groups({}, 0.3, 0, "test").empty());
}

}  // namespace dcase
