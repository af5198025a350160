#include "dcasenet/diagram.hpp"

#include <algorithm>
#include <map>

#include "engine/tape.hpp"
#include "layers/functional.hpp"
#include "tests/support/test.hpp"

namespace dcase {
namespace {

std::map<std::string, DiagramBox> by_name(const std::vector<DiagramBox>& boxes) {
  std::map<std::string, DiagramBox> result;
  for (const DiagramBox& box : boxes) result[box.name] = box;
  REQUIRE(result.size() == boxes.size());
  return result;
}

std::vector<std::string> readers_of(const std::string& name, const std::vector<DiagramBox>& boxes) {
  std::vector<std::string> readers;
  for (const DiagramBox& box : boxes) {
    for (const std::size_t from : box.inputs) {
      if (boxes[from].name == name) readers.push_back(box.name);
    }
  }
  std::sort(readers.begin(), readers.end());
  return readers;
}

}  // namespace

TEST_CASE("tape: operations are listed behind those they read, shared ones once", "[diagram]") {
  const Variable x = Variable::leaf(Tensor::filled({2, 3}, 1, Backend::cpu()));
  const Variable a = relu(x);
  const Variable b = sigmoid(a);
  const Variable c = concat(a, b);
  const Variable constant(Tensor::filled({1}, 1, Backend::cpu()));
  const std::vector<Operation> operations = recorded_operations({b, c, constant, x});
  REQUIRE(operations.size() == 3);
  CHECK(operations[0].name == std::string("relu"));
  CHECK(operations[0].inputs == std::vector<const GradSlot*>{x.slot()});
  CHECK(operations[1].name == std::string("sigmoid"));
  CHECK(operations[2].name == std::string("concat"));
  CHECK(operations[2].output == c.slot());
  CHECK(operations[2].inputs == std::vector<const GradSlot*>{a.slot(), b.slot()});
  CHECK(constant.slot() == nullptr);
}

TEST_CASE("diagram: the boxes hold every parameter once and end the three tasks", "[diagram]") {
  const int version = GENERATE(1, 2, 3);
  INFO("v" << version);
  const Architecture architecture{.version = version, .divisor = 8};
  ParameterStore store(Backend::cpu());
  static_cast<void>(make_network(architecture, store));
  const std::vector<DiagramBox> boxes = diagram_of(architecture, 200);
  std::vector<std::string> names;
  std::int64_t count = 0;
  int outputs = 0;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const DiagramBox& box = boxes[i];
    for (const auto& [name, shape] : box.parameters) {
      names.push_back(name);
      CHECK(name.starts_with(box.name + "."));
      CHECK(store.find(name)->shape() == shape);
    }
    count += box.parameter_count;
    outputs += box.output ? 1 : 0;
    CHECK((i == 0) == box.inputs.empty());
    for (const std::size_t from : box.inputs) CHECK(from < i);
    CHECK_FALSE(box.tasks.empty());
  }
  CHECK(count == store.parameter_count());
  CHECK(names.size() == store.parameters().size());
  std::sort(names.begin(), names.end());
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
  CHECK(outputs == 3);
}

TEST_CASE("diagram: the three networks differ where the paper says", "[diagram]") {
  using Names = std::vector<std::string>;
  const std::vector<DiagramBox> v1 = diagram_of({.version = 1}, 500);
  CHECK(readers_of("gru", v1) == Names{"event_fc", "layer_ASC.0", "mean_TAG"});
  const std::vector<DiagramBox> v2 = diagram_of({.version = 2}, 500);
  CHECK(readers_of("seq", v2) == Names{"gru", "layer_ASC.0"});
  CHECK(readers_of("gru", v2) == Names{"layer_SED", "mean_TAG"});
  const std::vector<DiagramBox> v3 = diagram_of({.version = 3}, 500);
  CHECK(readers_of("conv_block3", v3) == Names{"conv_block4_1", "conv_block4_2"});
  CHECK(readers_of("conv_block4_1", v3) == Names{"seq"});
  CHECK(readers_of("conv_block4_2", v3) == Names{"layer_ASC.0", "seq"});
  CHECK(readers_of("gru_2", v3) == Names{"event_fc", "mean_TAG"});
  auto boxes = by_name(v3);
  CHECK(boxes["gru_1"].tasks == TaskSet(Task::kTag));
  CHECK(boxes["conv_block4_1"].tasks == (TaskSet(Task::kTag) | Task::kSed));
  CHECK(boxes["conv_block4_2"].tasks == TaskSet::all());
  CHECK(boxes["conv_block4_2"].shape == Shape{1, 8, 12, 256});
  CHECK(boxes["conv_block4_2"].parameter_count == 1180672);
  CHECK(boxes["event_fc"].shape == Shape{1, 96, 14});
  CHECK(boxes["event_fc"].operations == Names{"linear", "sigmoid", "repeat_time"});
  CHECK_THROWS_AS(diagram_of({.version = 3}, 39), Error);
}

}  // namespace dcase
