#pragma once
/// Reverse-mode differentiation. Each operation records one closure; `backward` runs them from the loss to the leaves.
///
///     Variable sigmoid(const Variable& x) {
///       Tensor y = x.value().like();
///       sigmoid_forward<float>({.x = x.value(), .y = y}, y.context());
///       return record("sigmoid", y, {x}, [y](Grads& g) {
///         const Gradient dx = g.in(0);
///         sigmoid_backward<float>({.y = y, .dy = g.out(), .dx = dx.view, .dx_mode = dx.mode}, y.context());
///       });
///     }
///
/// The closure captures only what its backward needs: the graph itself keeps no values alive. A graph belongs to one
/// thread; different graphs (and models) may run in different threads.

#include <functional>
#include <memory>
#include <vector>

#include "engine/tensor.hpp"

namespace dcase {

class Grads;
struct Node;
struct Operation;

/// Where the gradient of one variable is collected. Outlives the value.
struct GradSlot {
  Tensor grad;           ///< absent until the first contribution; parameters bring their own
  bool written = false;  ///< a contribution arrived since the last reset
  bool keep = false;     ///< a leaf: the gradient stays after backward
  Shape shape;
  BackendPtr backend;
  std::shared_ptr<Node> producer;  ///< absent for leaves
};

/// A value and, where it needs one, the place of its gradient. Copies refer to the same variable.
class Variable {
 public:
  Variable() = default;
  /// A constant: no gradient is computed for it.
  explicit Variable(Tensor value) : value_(std::move(value)) {}
  /// A leaf whose gradient is wanted; it is collected in `grad` where given (same size), else in a tensor of its own.
  [[nodiscard]] static Variable leaf(Tensor value, Tensor grad = {});

  [[nodiscard]] const Tensor& value() const { return value_; }
  [[nodiscard]] bool requires_grad() const { return slot_ != nullptr; }
  /// Which variable this is, for comparison (engine/tape.hpp); absent for constants.
  [[nodiscard]] const GradSlot* slot() const { return slot_.get(); }
  /// The gradient of a leaf after `backward`; absent if none reached it.
  [[nodiscard]] Tensor grad() const { return slot_ && slot_->written ? slot_->grad : Tensor(); }
  /// Forgets a leaf's gradient: the next contribution overwrites it.
  void reset_grad() const {
    if (slot_) slot_->written = false;
  }

 private:
  friend Variable record(const char*, Tensor, const std::vector<Variable>&, std::function<void(Grads&)>);
  friend void backward(const Variable&, float);
  friend std::vector<Operation> recorded_operations(const std::vector<Variable>&);
  Tensor value_;
  std::shared_ptr<GradSlot> slot_;
};

/// One gradient that a closure writes: an absent view means nobody wants it.
struct Gradient {
  View<float> view;
  GradMode mode = GradMode::kSet;
};

/// What a closure sees of the gradients around its operation.
class Grads {
 public:
  explicit Grads(const Node& node) : node_(node) {}
  /// Gradient of the operation's output, complete.
  [[nodiscard]] const Tensor& out() const;
  [[nodiscard]] bool wants(std::size_t input) const;
  /// The place for the gradient of input `input`; call once for each, and write it before the next call.
  [[nodiscard]] Gradient in(std::size_t input);

 private:
  const Node& node_;
};

/// Attaches `backward` to `value`. Records nothing where no input requires a gradient.
[[nodiscard]] Variable record(const char* name, Tensor value, const std::vector<Variable>& inputs,
                              std::function<void(Grads&)> backward);

/// Adds the gradient of `weight * loss` to every leaf that `loss` (one element) depends on, and frees the graph.
void backward(const Variable& loss, float weight = 1);

}  // namespace dcase
