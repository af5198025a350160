#include "kernels/common/map.hpp"

#include <array>

#include "kernels/elementwise/reorder.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/maps.hpp"
#include "tests/support/threads.hpp"

namespace dcase::test {

TEST_CASE("maps: rank 3 and 4 are maps of one group, other ranks are refused", "[map]") {
  float data[24] = {};
  const auto sequence = as_map(View<float>(data, {2, 3, 4}));
  CHECK(shape_string(sequence) == "[2,1,1,3,4]");
  CHECK(sequence.data == data);
  const auto map = as_map(View<float>(data, {1, 2, 3, 4}));
  CHECK(shape_string(map) == "[1,1,2,3,4]");
  const auto grouped = as_map(View<float>(data, {1, 2, 2, 3, 2}));
  CHECK(shape_string(grouped) == "[1,2,2,3,2]");
  CHECK(channels(grouped) == 4);
  CHECK(positions(grouped) == 6);
  CHECK_THROWS_AS(as_map(View<float>(data, {4, 6})), Error);
}

TEMPLATE_TEST_CASE("reorder: a map in another grouping, and back", "[reorder]", float, double) {
  const CpuContext context;
  for (const auto& [g, b, yg] : {std::array<std::int64_t, 3>{1, 12, 3}, {4, 3, 6}, {2, 16, 1}, {3, 5, 3}, {1, 1, 1}}) {
    CAPTURE(g, b, yg);
    Buffer<TestType> x{3, g, 5, 7, b};
    Buffer<TestType> y{3, yg, 5, 7, g * b / yg};
    Buffer<TestType> back{3, g, 5, 7, b};
    x.fill_uniform("x");
    reorder_map<TestType>({.x = x.view(), .y = y.view()}, context);
    std::int64_t wrong = 0;
    for_map(x.view(), [&](auto n, auto c, auto m, auto t) {
      wrong += x[map_index(x.view(), n, c, m, t)] != y[map_index(y.view(), n, c, m, t)];
    });
    CHECK(wrong == 0);
    back.fill_uniform("x");
    reorder_map<TestType>({.x = y.view(), .y = back.view(), .mode = GradMode::kAdd}, context);
    for (std::int64_t i = 0; i < x.size(); ++i) x[i] *= 2;
    check_same_bits("back", back.view(), x.view());
    CHECK((y.guards_intact() && back.guards_intact()));
  }
}

TEST_CASE("reorder: large maps by any number of threads; empty ones; wrong ones throw", "[reorder]") {
  const CpuContext context;
  Buffer<float> x{3, 1, 31, 53, 48};
  Buffer<float> one{3, 3, 31, 53, 16};
  Buffer<float> three{3, 3, 31, 53, 16};
  x.fill_uniform("x");
  {
    const Threads threads(1);
    reorder_map<float>({.x = x.view(), .y = one.view()}, context);
  }
  {
    const Threads threads(3);
    reorder_map<float>({.x = x.view(), .y = three.view()}, context);
  }
  check_same_bits("y", one.view(), three.view());
  CHECK(one[map_index(one.view(), 2, 37, 30, 52)] == x[map_index(x.view(), 2, 37, 30, 52)]);
  Buffer<float> none{3, 1, 0, 53, 48};
  Buffer<float> none_grouped{3, 3, 0, 53, 16};
  reorder_map<float>({.x = none.view(), .y = none_grouped.view()}, context);
  CHECK(none_grouped.guards_intact());
  CHECK_THROWS_AS(reorder_map<float>({.x = x.view(), .y = none_grouped.view()}, context), Error);
  CHECK_THROWS_AS(reorder_map<float>({.x = x.view(), .y = View<float>(one.view().data, {3, 2, 31, 53, 16})}, context),
                  Error);
}

}  // namespace dcase::test
