#include "dcasenet/diagram.hpp"

#include <algorithm>
#include <map>

#include "engine/tape.hpp"

namespace dcase {
namespace {

/// The scope that the names have in common: "gru" for "gru.weight_ih_l0" and "gru.bias_ih_l0".
std::string common_scope(const std::vector<std::pair<std::string, Shape>>& parameters) {
  std::string scope = parameters.front().first;
  scope.resize(scope.rfind('.'));
  for (const auto& [name, shape] : parameters) {
    while (!name.starts_with(scope + ".") && !scope.empty()) {
      const std::size_t dot = scope.rfind('.');
      scope.resize(dot == std::string::npos ? 0 : dot);
    }
  }
  return scope;
}

/// A value where a box ends.
struct End {
  std::string name;
  Variable value;
  std::optional<Task> output;
};

/// Ends of boxes by their slot, in the order in which they were computed.
std::vector<End> ends_of(const std::vector<Operation>& operations, const Taps& taps, const Outputs& outputs) {
  std::map<const GradSlot*, End> by_slot;
  for (const auto& [name, value] : taps) by_slot[value.slot()] = {name, value, {}};
  for (const Task task : kAllTasks) by_slot[outputs[task].slot()] = {task_name(task), outputs[task], task};
  std::vector<End> ends;
  for (const Operation& operation : operations) {
    if (const auto it = by_slot.find(operation.output); it != by_slot.end()) ends.push_back(it->second);
  }
  return ends;
}

}  // namespace

std::vector<DiagramBox> diagram_of(const Architecture& architecture, std::int64_t frames) {
  ParameterStore store(Backend::cpu());
  const std::unique_ptr<Network> network = make_network(architecture, store);

  std::map<const GradSlot*, const Parameter*> parameter_of;
  for (const Parameter& p : store.parameters()) parameter_of[p.variable.slot()] = &p;

  const Variable input = Variable::leaf(Tensor::filled({1, 128, frames, 1}, 0, store.backend()));
  Taps taps;
  const Outputs outputs = network->forward(input, TaskSet::all(), Pass{}, &taps);
  const std::vector<Operation> operations = recorded_operations({outputs.asc, outputs.sed, outputs.tag});

  std::vector<DiagramBox> boxes{{.name = "log-mel", .shape = input.value().shape()}};
  std::map<const GradSlot*, std::size_t> end_of{{input.slot(), 0}};  // the box that a value ends
  for (const End& end : ends_of(operations, taps, outputs)) {
    end_of[end.value.slot()] = boxes.size();
    boxes.push_back({.name = end.name, .shape = end.value.value().shape(), .output = end.output});
  }

  // From the outputs back: an operation belongs to the box whose end it computes, or else to that of its reader.
  std::map<const GradSlot*, std::size_t> reader_of;
  std::map<const Parameter*, std::size_t> box_with;
  for (auto operation = operations.rbegin(); operation != operations.rend(); ++operation) {
    const auto end = end_of.find(operation->output);
    const std::size_t at = end != end_of.end() ? end->second : reader_of.at(operation->output);
    DiagramBox& box = boxes[at];
    box.operations.emplace_back(operation->name);
    for (const GradSlot* slot : operation->inputs) {
      if (const auto p = parameter_of.find(slot); p != parameter_of.end()) {
        box_with[p->second] = at;
      } else if (const auto from = end_of.find(slot); from != end_of.end()) {
        box.inputs.push_back(from->second);
      } else {
        DCASE_CHECK(reader_of.emplace(slot, at).first->second == at, "diagram: ", boxes[at].name,
                    " shares a value with another box; the network taps no value between them");
      }
    }
  }
  for (const Parameter& p : store.parameters()) {
    DiagramBox& box = boxes[box_with.at(&p)];
    box.parameters.emplace_back(p.name, p.shape);
    box.parameter_count += p.value().size();
  }
  for (std::size_t at = boxes.size(); at-- > 0;) {
    DiagramBox& box = boxes[at];
    std::reverse(box.operations.begin(), box.operations.end());
    std::sort(box.inputs.begin(), box.inputs.end());
    box.inputs.erase(std::unique(box.inputs.begin(), box.inputs.end()), box.inputs.end());
    if (box.output) box.tasks = box.tasks | *box.output;
    for (const std::size_t from : box.inputs) boxes[from].tasks = boxes[from].tasks | box.tasks;
    if (!box.parameters.empty()) box.name = common_scope(box.parameters);
  }
  return boxes;
}

}  // namespace dcase
