#include "engine/autograd.hpp"

#include <algorithm>
#include <unordered_set>

#include "engine/tape.hpp"

namespace dcase {

struct Node {
  const char* name;
  GradSlot* output;                               // the slot owns the node, so it is alive whenever the node runs
  std::vector<std::shared_ptr<GradSlot>> inputs;  // absent where no gradient is wanted
  std::function<void(Grads&)> backward;
};

Variable Variable::leaf(Tensor value, Tensor grad) {
  DCASE_CHECK(!grad.present() || grad.size() == value.size(), "autograd: gradient of ", grad.size(),
              " elements for a value of ", value.size());
  Variable variable(std::move(value));
  variable.slot_ = std::make_shared<GradSlot>();
  variable.slot_->grad = std::move(grad);
  variable.slot_->keep = true;
  variable.slot_->shape = variable.value_.shape();
  variable.slot_->backend = variable.value_.backend();
  return variable;
}

const Tensor& Grads::out() const { return node_.output->grad; }

bool Grads::wants(std::size_t input) const { return node_.inputs.at(input) != nullptr; }

Gradient Grads::in(std::size_t input) {
  GradSlot* slot = node_.inputs.at(input).get();
  if (slot == nullptr) return {};
  if (!slot->grad.present()) slot->grad = Tensor(slot->shape, slot->backend);
  const GradMode mode = slot->written ? GradMode::kAdd : GradMode::kSet;
  slot->written = true;
  return {.view = slot->grad, .mode = mode};
}

Variable record(const char* name, Tensor value, const std::vector<Variable>& inputs,
                std::function<void(Grads&)> backward) {
  Variable result(std::move(value));
  auto node = std::make_shared<Node>();
  bool needed = false;
  for (const Variable& input : inputs) {
    node->inputs.push_back(input.slot_);
    needed = needed || input.slot_ != nullptr;
  }
  if (!needed) return result;
  result.slot_ = std::make_shared<GradSlot>();
  result.slot_->shape = result.value_.shape();
  result.slot_->backend = result.value_.backend();
  node->name = name;
  node->output = result.slot_.get();
  node->backward = std::move(backward);
  result.slot_->producer = std::move(node);
  return result;
}

namespace {

// Appends the slots with a producer that `root` depends on, each behind those it depends on: depth first.
void append_dependencies(const std::shared_ptr<GradSlot>& root, std::unordered_set<const GradSlot*>& seen,
                         std::vector<std::shared_ptr<GradSlot>>& order) {
  struct Visit {
    std::shared_ptr<GradSlot> slot;
    std::size_t next = 0;
  };
  if (!root || !root->producer || !seen.insert(root.get()).second) return;
  std::vector<Visit> stack{{root}};
  while (!stack.empty()) {
    Visit& visit = stack.back();
    const auto& producer = visit.slot->producer;
    if (producer && visit.next < producer->inputs.size()) {
      const auto& input = producer->inputs[visit.next++];
      if (input && input->producer && seen.insert(input.get()).second) stack.push_back({input});
      continue;
    }
    order.push_back(std::move(visit.slot));
    stack.pop_back();
  }
}

}  // namespace

void backward(const Variable& loss, float weight) {
  DCASE_CHECK(loss.value().size() == 1, "backward: the loss has shape ", to_string(loss.value().shape()),
              ", one element is needed");
  if (!loss.slot_) return;
  GradSlot& root = *loss.slot_;
  if (!root.grad.present()) root.grad = Tensor(root.shape, root.backend);
  root.grad.fill(weight);
  root.written = true;
  if (!root.producer) return;
  std::unordered_set<const GradSlot*> seen;
  std::vector<std::shared_ptr<GradSlot>> order;
  append_dependencies(loss.slot_, seen, order);
  std::reverse(order.begin(), order.end());
  for (const auto& slot : order) {
    if (slot->written) {
      Grads grads(*slot->producer);
      slot->producer->backward(grads);
    }
    slot->producer.reset();  // frees what the closure captured
    slot->grad = {};
    slot->written = false;
  }
}

std::vector<Operation> recorded_operations(const std::vector<Variable>& of) {
  std::unordered_set<const GradSlot*> seen;
  std::vector<std::shared_ptr<GradSlot>> order;
  for (const Variable& variable : of) append_dependencies(variable.slot_, seen, order);
  std::vector<Operation> operations;
  for (const auto& slot : order) {
    Operation operation{.name = slot->producer->name, .output = slot.get(), .inputs = {}};
    for (const auto& input : slot->producer->inputs) {
      if (input != nullptr) operation.inputs.push_back(input.get());
    }
    operations.push_back(std::move(operation));
  }
  return operations;
}

}  // namespace dcase
