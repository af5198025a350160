#include <cmath>
#include <map>

#include <nlohmann/json.hpp>

#include "dcasenet/model_info.hpp"
#include "kernels/common/error.hpp"
#include "train/loss.hpp"
#include "train/optimizer.hpp"
#include "train/verify/generator.hpp"
#include "train/verify/model_check.hpp"
#include "train/verify/verify_kinds.hpp"

namespace dcase::detail {

namespace {

constexpr double kLearningRate = 1e-3;
// Roundings that are tried where a ReLU is tied.
constexpr int kRoundings = 16;

/// "ASC", as the tensors' names have it.
[[nodiscard]] std::string upper(Task task) { return task == Task::kAsc ? "ASC" : task == Task::kTag ? "TAG" : "SED"; }

/// The order of the passes of a joint step; it fixes the running averages.
constexpr Task kStepOrder[] = {Task::kAsc, Task::kSed, Task::kTag};

/// The file holds the weights themselves, or sums of them where they are given by formula.
[[nodiscard]] bool holds_weights(const Archive& file) { return file.contains("state0.conv_block1.conv1.weight"); }

[[nodiscard]] int version_of(const Archive& file) {
  const std::string prefix = holds_weights(file) ? "state0." : "paramsum.";
  const int version = version_by_names(file, prefix);
  if (version == 0) {
    fail(ErrorKind::kData, "'", file.path(), "': no known architecture: there is neither '", prefix,
         "conv_block4_1.conv1.weight' nor '", prefix, "conv_block4.conv1.weight'");
  }
  return version;
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
        version_(version_of(checker.file())),
        store_(backend),
        network_(make_network({.version = version_, .divisor = divisor_of(checker.file())}, store_)),
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
      checker_.compare("eval." + upper(task), outputs[task].value().to_vector());
      for (const auto& [name, variable] : taps) {
        const std::string key = concat("tapstat.", upper(task), ".", name);
        if (checker_.file().contains(key)) checker_.compare(key, activation_statistics(variable.value().to_vector()));
      }
      for (const std::string& length : lengths()) {
        const Outputs other = network_->forward(Variable(inputs_.x(length)), task, {}, nullptr);
        checker_.compare(concat("eval_", length, ".", upper(task)), other[task].value().to_vector());
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
      checker_.compare(concat("loss_step", step), joint_pass(inputs_, step == 1));
      if (step == 1) {
        buffers();
        gradients();
      }
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
    for (const Task task : {Task::kAsc, Task::kSed, Task::kTag, Task::kTag}) training_pass(inputs_, task);
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

  Outputs training_pass(const ModelInputs& inputs, Task task) {
    return network_->forward(Variable(inputs.x(upper(task))), task, {.training = true, .dropout = false}, nullptr);
  }

  /// Forward and backward of the three tasks; [ASC, SED, TAG, total].
  std::vector<double> joint_pass(const ModelInputs& inputs, bool compare_outputs) {
    std::vector<double> losses;
    std::vector<Variable> variables;
    for (const Task task : kStepOrder) {
      const Outputs outputs = training_pass(inputs, task);
      if (compare_outputs) checker_.compare("train." + upper(task), outputs[task].value().to_vector());
      const Loss loss = task_loss(task, outputs, inputs.y(upper(task)));
      losses.push_back(loss.read());
      variables.push_back(loss.variable);
    }
    for (const Variable& variable : variables) backward(variable);
    losses.push_back(losses[0] + losses[1] + losses[2]);
    return losses;
  }

  void compare_gradient(Checker& checker, const Parameter& parameter) const {
    const Tensor gradient = parameter.variable.grad();
    if (!gradient.present()) fail(ErrorKind::kNumeric, "verify: ", parameter.name, " got no gradient");
    const std::string whole = "grad." + parameter.name;
    if (checker.file().contains(whole)) checker.compare(whole, gradient.to_vector());
    const std::string sampled = "gradstat." + parameter.name;
    if (checker.file().contains(sampled)) compare_gradient_statistics(checker, sampled, gradient.to_vector());
  }

  [[nodiscard]] bool agrees(const Parameter& parameter) const {
    Checker trial(checker_.file(), ReferenceKind::kModel);
    compare_gradient(trial, parameter);
    return trial.finish().misses.empty();
  }

  /// Among the tens of millions of ReLU inputs at full width a few are within rounding of zero. Which side of it they
  /// fall on is rounding's choice, each side has another right gradient, and the samples of a tensor may show it
  /// (docs/numerics.md). So a gradient that is off is looked for again with inputs that differ from the given ones in
  /// the last bit of float32 at most; the bounds stay what they are. Whole gradients, as of the small models, agree at
  /// once or not at all.
  void gradients() {
    const int roundings = holds_weights(checker_.file()) ? 0 : kRoundings;
    std::vector<const Parameter*> open;
    for (const Parameter& parameter : store_.parameters()) open.push_back(&parameter);
    for (int rounding = 0;; ++rounding) {
      std::vector<const Parameter*> off;
      for (const Parameter* parameter : open) {
        if (agrees(*parameter))
          compare_gradient(checker_, *parameter);
        else
          off.push_back(parameter);
      }
      if (rounding > 0 && off.size() < open.size()) {
        checker_.remark(concat("gradients of ", open.size() - off.size(), " tensors are those of rounding ", rounding,
                               " (inputs moved by at most one last bit)"));
      }
      if (rounding == roundings) {
        for (const Parameter* parameter : off) compare_gradient(checker_, *parameter);
        return;
      }
      if (off.empty()) return;
      open = std::move(off);
      store_.reset_grads();
      joint_pass(inputs_.nudged(rounding + 1), false);
    }
  }

  void buffers() {
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
        const std::string stored = concat(name, "3.", parameter.name);
        const std::vector<float> moment = flat.slice(parameter.offset, parameter.shape).to_vector();
        if (version_ == 3) {  // whose scene head has bounds of its own (tolerances.cpp)
          checker_.compare(stored, moment);
        } else {
          checker_.compare_part(stored, concat("v", version_), std::vector<double>(moment.begin(), moment.end()),
                                checker_.doubles(stored));
        }
      }
    }
  }

  Checker& checker_;
  int version_;
  ParameterStore store_;
  std::unique_ptr<Network> network_;
  std::string prefix_;  // of the generated parameters
  ModelInputs inputs_;
};

}  // namespace

void verify_model(Checker& checker, const BackendPtr& backend, const VerifyOptions& options) {
  static_cast<void>(version_of(checker.file()));  // before anything else is looked for
  ModelInputs inputs = holds_weights(checker.file())
                           ? ModelInputs::stored(checker, options.joint_batch, backend)
                           : ModelInputs::generated(checker, metadata_of(checker.file(), "input_stream_prefix"),
                                                    metadata_of(checker.file(), "shapes"), backend);
  ModelCheck check(checker, backend, std::move(inputs));
  check.parameters();
  check.evaluation();
  check.training();
  check.doubled_tag_pass();
}

}  // namespace dcase::detail
