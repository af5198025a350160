#include <cmath>
#include <map>

#include <nlohmann/json.hpp>

#include "dcasenet/network.hpp"
#include "kernels/common/error.hpp"
#include "train/loss.hpp"
#include "train/optimizer.hpp"
#include "train/verify/generator.hpp"
#include "train/verify/model_check.hpp"
#include "train/verify/verify_kinds.hpp"

namespace dcase::detail {

namespace {

constexpr double kLearningRate = 1e-3;

/// "ASC", as the tensors' names have it.
[[nodiscard]] std::string upper(Task task) { return task == Task::kAsc ? "ASC" : task == Task::kTag ? "TAG" : "SED"; }

/// The order of the passes of a joint step; it fixes the running averages.
constexpr Task kStepOrder[] = {Task::kAsc, Task::kSed, Task::kTag};

[[nodiscard]] const Variable& output(const Outputs& outputs, Task task) {
  return task == Task::kAsc ? outputs.asc : task == Task::kTag ? outputs.tag : outputs.sed;
}

/// v1 and v2 have one conv_block4 and one GRU; v2 has a layer_SED besides.
void refuse_other_architectures(const Archive& file, const std::string& prefix) {
  if (file.contains(prefix + "conv_block4_1.conv1.weight")) return;
  if (file.contains(prefix + "conv_block4.conv1.weight")) {
    const bool v2 = file.contains(prefix + "layer_SED.0.weight");
    fail(ErrorKind::kUsage, "'", file.path(), "': architecture ", v2 ? "v2" : "v1", " is not built, only v3");
  }
  fail(ErrorKind::kData, "'", file.path(), "': no known architecture: there is no '", prefix,
       "conv_block4_1.conv1.weight'");
}

/// The file's widths: full where it holds no weights.
[[nodiscard]] std::int64_t divisor_of(const Archive& file) {
  const TensorInfo* first = file.find("state0.conv_block1.conv1.weight");
  if (first == nullptr) return 1;
  const std::int64_t width = first->shape.empty() ? 0 : first->shape[0];
  if (width < 1 || 64 % width != 0) {
    fail(ErrorKind::kData, "'", file.path(), "': conv_block1 has ", width, " channels, no known width");
  }
  return 64 / width;
}

[[nodiscard]] std::string metadata_of(const Archive& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end()) fail(ErrorKind::kData, "'", file.path(), "': no metadata entry '", key, "'");
  return found->second;
}

/// A model in its initial state, and what is done with it.
class ModelCheck {
 public:
  ModelCheck(Checker& checker, const BackendPtr& backend, ModelInputs inputs)
      : checker_(checker),
        store_(backend),
        network_(make_network({.divisor = divisor_of(checker.file())}, store_)),
        prefix_(metadata_of(checker.file(), "stream_prefix")),
        inputs_(std::move(inputs)) {}

  void parameters() {
    set_initial_state();
    for (const StateEntry& entry : store_.entries()) {
      const std::string stored = "state0." + entry.name();
      if (checker_.file().contains(stored)) checker_.compare(stored, state_of(entry));
      const std::string sums = "paramsum." + entry.name();
      if (checker_.file().contains(sums)) checker_.compare(sums, parameter_sums(state_of(entry)));
    }
  }

  void evaluation() {
    store_.set_trainable(false);
    for (const Task task : kStepOrder) {
      Taps taps;
      const Outputs outputs = network_->forward(Variable(inputs_.x(upper(task))), task, {}, &taps);
      checker_.compare("eval." + upper(task), output(outputs, task).value().to_vector());
      for (const auto& [name, tensor] : taps) {
        const std::string key = concat("tapstat.", upper(task), ".", name);
        if (checker_.file().contains(key)) checker_.compare(key, activation_statistics(tensor.to_vector()));
      }
      for (const std::string& length : lengths()) {
        const Outputs other = network_->forward(Variable(inputs_.x(length)), task, {}, nullptr);
        checker_.compare(concat("eval_", length, ".", upper(task)), output(other, task).value().to_vector());
      }
    }
    store_.set_trainable(true);
  }

  void training() {
    OptimizerOptions options;
    Optimizer optimizer(store_, options);
    const int steps = checker_.file().contains("loss_step3") ? 3 : 1;
    for (int step = 1; step <= steps; ++step) {
      store_.reset_grads();
      checker_.compare(concat("loss_step", step), joint_pass(step == 1));
      if (step == 1) gradients();
      const bool updates = checker_.file().contains("state1." + store_.entries().front().name());
      if (!updates) return;
      optimizer.step(kLearningRate);
      if (step != 2) state(concat("state", step, "."));
    }
    moments(optimizer);
  }

  /// The released trainer runs the tagging pass twice a step, which moves the averages once more.
  void doubled_tag_pass() {
    if (!checker_.file().contains("bn_duptag.conv_block1.bn1.running_mean")) return;
    set_initial_state();
    store_.set_trainable(false);
    for (const Task task : {Task::kAsc, Task::kSed, Task::kTag, Task::kTag}) training_pass(task);
    store_.set_trainable(true);
    for (const StateEntry& entry : store_.entries()) {
      if (entry.buffer != nullptr) checker_.compare("bn_duptag." + entry.name(), entry.buffer->value.to_vector());
    }
  }

 private:
  void set_initial_state() {
    for (const StateEntry& entry : store_.entries()) {
      if (entry.counter != nullptr) {
        entry.counter->value = 0;
      } else {
        (entry.parameter != nullptr ? entry.parameter->value() : entry.buffer->value)
            .copy_from(reference_parameter(prefix_, entry.name(), entry.shape()));
      }
    }
    store_.touch();
  }

  [[nodiscard]] static std::vector<float> state_of(const StateEntry& entry) {
    if (entry.counter != nullptr) return {static_cast<float>(entry.counter->value)};
    return (entry.parameter != nullptr ? entry.parameter->value() : entry.buffer->value).to_vector();
  }

  /// Further inputs whose evaluation the file has: "T40", "T501".
  [[nodiscard]] std::vector<std::string> lengths() const {
    std::vector<std::string> found;
    for (const std::string& group : groups_of(checker_.file())) {
      if (fits("eval_*", group)) found.push_back(group.substr(5));
    }
    return found;
  }

  Outputs training_pass(Task task) {
    return network_->forward(Variable(inputs_.x(upper(task))), task, {.training = true, .dropout = false}, nullptr);
  }

  /// Forward and backward of the three tasks; [ASC, SED, TAG, total].
  std::vector<double> joint_pass(bool compare_outputs) {
    std::vector<double> losses;
    std::vector<Variable> variables;
    for (const Task task : kStepOrder) {
      const Outputs outputs = training_pass(task);
      if (compare_outputs) checker_.compare("train." + upper(task), output(outputs, task).value().to_vector());
      const Loss loss = task_loss(task, outputs, inputs_.y(upper(task)));
      losses.push_back(loss.read());
      variables.push_back(loss.variable);
    }
    for (const Variable& variable : variables) backward(variable);
    losses.push_back(losses[0] + losses[1] + losses[2]);
    return losses;
  }

  void gradients() {
    for (const Parameter& parameter : store_.parameters()) {
      const Tensor gradient = parameter.variable.grad();
      if (!gradient.present()) fail(ErrorKind::kNumeric, "verify: ", parameter.name, " got no gradient");
      const std::string whole = "grad." + parameter.name;
      if (checker_.file().contains(whole)) checker_.compare(whole, gradient.to_vector());
      const std::string sampled = "gradstat." + parameter.name;
      if (checker_.file().contains(sampled)) compare_gradient_statistics(checker_, sampled, gradient.to_vector());
    }
    for (const StateEntry& entry : store_.entries()) {
      const std::string key = "bnstat." + entry.name();
      if (entry.buffer != nullptr && checker_.file().contains(key)) {
        checker_.compare(key, buffer_statistics(entry.buffer->value.to_vector()));
      }
    }
  }

  void state(const std::string& prefix) {
    for (const StateEntry& entry : store_.entries()) checker_.compare(prefix + entry.name(), state_of(entry));
  }

  void moments(const Optimizer& optimizer) {
    for (const auto& [name, flat] : optimizer.state()) {
      for (const Parameter& parameter : store_.parameters()) {
        checker_.compare(concat(name, "3.", parameter.name), flat.slice(parameter.offset, parameter.shape).to_vector());
      }
    }
  }

  Checker& checker_;
  ParameterStore store_;
  std::unique_ptr<Network> network_;
  std::string prefix_;  // of the generated parameters
  ModelInputs inputs_;
};

}  // namespace

void verify_model(Checker& checker, const BackendPtr& backend, const VerifyOptions& options) {
  const bool full = !checker.file().contains("state0.conv_block1.conv1.weight");
  refuse_other_architectures(checker.file(), full ? "paramsum." : "state0.");
  ModelInputs inputs = full ? ModelInputs::generated(checker, metadata_of(checker.file(), "input_stream_prefix"),
                                                     metadata_of(checker.file(), "shapes"), backend)
                            : ModelInputs::stored(checker, options.joint_batch, backend);
  ModelCheck check(checker, backend, std::move(inputs));
  check.parameters();
  check.evaluation();
  check.training();
  check.doubled_tag_pass();
}

}  // namespace dcase::detail
