// Whole paths through the product: training steps, joint and task by task, and inference.

#include <optional>

#include "bench/cuda/case.hpp"
#include "dcasenet/model.hpp"
#include "train/loss.hpp"
#include "train/optimizer.hpp"

namespace dcase::bench::gpu {
namespace {

// Losses and gradient norm of a step, and outputs of the network, against the CPU: rounding goes through 14 layers.
double whole_bound(Precision precision) {
  return precision == Precision::kBf16 ? 5e-2 : precision == Precision::kTf32 ? 1e-2 : 1e-3;
}

Model new_model(const BackendPtr& backend, bool tiny) {
  ModelInfo info{.architecture = {.divisor = tiny ? 8 : 1}};
  info.labels.asc = builtin_labels(Task::kAsc);
  info.labels.tag = builtin_labels(Task::kTag);
  info.labels.sed = builtin_labels(Task::kSed);
  return Model::create(std::move(info), 1, backend);
}

struct BatchSize {
  Task task;
  std::int64_t N, frames;
};

/// One step as train/trainer.cpp makes it: forward and backward task after task, then Adam.
class Training {
 public:
  Training(const std::vector<BatchSize>& sizes, const BackendPtr& backend, bool tiny)
      : model_(new_model(backend, tiny)), optimizer_(model_.parameters(), {}) {
    model_.parameters().set_trainable(true);
    const Architecture& a = model_.info().architecture;
    for (const BatchSize& b : sizes) {
      const std::int64_t K = a.classes(b.task);
      const Shape shape = b.task == Task::kSed ? Shape{b.N, b.frames / 5, K} : Shape{b.N, K};
      const Tensor target = Tensor::filled(shape, 0, Backend::cpu());
      for (std::int64_t i = 0; i < target.size() / K; ++i) target.data()[i * K + i % K] = 1;
      const Tensor x = random_tensor(task_name(b.task), {b.N, 128, b.frames, 1}, Backend::cpu());
      batches_.push_back({b.task, x.copied_to(backend), target.copied_to(backend)});
    }
  }

  void step() {
    const Pass pass{.training = true, .random = {.seed = 1, .step = step_++}};
    model_.parameters().reset_grads();
    std::vector<Loss> losses;
    for (const Item& b : batches_) {
      losses.push_back(task_loss(b.task, model_.network().forward(Variable(b.x), b.task, pass), b.target));
      backward(losses.back().variable);
    }
    values_.clear();
    for (const Loss& loss : losses) values_.push_back(static_cast<float>(loss.read()));
    values_.push_back(static_cast<float>(optimizer_.step(1e-3)));
  }

  /// Losses and gradient norm of the last step.
  [[nodiscard]] const std::vector<float>& values() const { return values_; }
  [[nodiscard]] std::vector<float> parameters() const { return model_.parameters().flat_values().to_vector(); }

 private:
  struct Item {
    Task task;
    Tensor x, target;
  };
  Model model_;
  Optimizer optimizer_;
  std::vector<Item> batches_;
  std::uint32_t step_ = 0;
  std::vector<float> values_;
};

Prepared training(const std::vector<BatchSize>& sizes, const Setting& s) {
  std::vector<BatchSize> small = sizes;
  for (BatchSize& b : small) b = {b.task, std::min<std::int64_t>(b.N, 2), std::min<std::int64_t>(b.frames, 251)};
  const auto losses = [&](const BackendPtr& backend) -> Results {
    Training one(small, backend, s.tiny);
    one.step();
    return {one.values()};
  };
  Prepared p{.bound = whole_bound(s.context.precision), .cost = {}};
  p.error = largest_error(losses(s.backend), losses(Backend::cpu()));
  p.compared = true;
  const auto state = std::make_shared<std::optional<Training>>();
  p.candidates = {{"product", [state] { (*state)->step(); }}};
  p.reset = [state, sizes, s] {
    state->reset();  // the old one's memory serves the new one
    state->emplace(sizes, s.backend, s.tiny);
  };
  p.read = [state]() -> Results { return {(*state)->values(), (*state)->parameters()}; };
  return p;
}

// All items of the batch are different; the first one alone is what the CPU computes.
Prepared inference(std::int64_t items, std::int64_t frames, const Setting& s) {
  struct State {
    Model model;
    Tensor x;
    Outputs outputs;
  };
  const auto network = [](State& state) {
    state.outputs = state.model.network().forward(Variable(state.x), TaskSet::all(), {});
  };
  const auto read = [](const State& state) -> Results {
    return {state.outputs.asc.value().to_vector(), state.outputs.tag.value().to_vector(),
            state.outputs.sed.value().to_vector()};
  };
  const auto make = [&](const Tensor& x, const BackendPtr& backend) {
    auto state = std::make_shared<State>(State{new_model(backend, s.tiny), x.copied_to(backend), {}});
    state->model.parameters().set_trainable(false);
    return state;
  };
  const Tensor x = random_tensor("log-mel", {items, 128, frames, 1}, Backend::cpu());
  const auto state = make(x, s.backend);
  network(*state);
  Results first = read(*state);
  for (auto& output : first) output.resize(output.size() / static_cast<std::size_t>(items));
  const auto expected =
      make(Tensor::from({1, 128, frames, 1}, std::span<const float>(x.data(), 128 * frames), Backend::cpu()),
           Backend::cpu());
  network(*expected);
  return {.candidates = {{"product", [state, network] { network(*state); }}},
          .reset = [state] { state->outputs = {}; },
          .read = [state, read] { return read(*state); },
          .reference = {},
          .compared = true,
          .error = largest_error(first, read(*expected)),
          .bound = whole_bound(s.context.precision),
          .cost = {}};
}

}  // namespace

void add_whole(std::vector<DeviceCase>& cases, bool tiny) {
  struct Step {
    const char* name;
    std::vector<BatchSize> sizes;
  };
  const std::int64_t crops = tiny ? 2 : 32;
  const std::int64_t recordings = tiny ? 2 : 24;
  const BatchSize asc{Task::kAsc, crops, tiny ? 40 : 251};
  const BatchSize tag{Task::kTag, crops, tiny ? 40 : 251};
  const BatchSize sed{Task::kSed, recordings, tiny ? 40 : 1500};
  for (const Step& step : {Step{"joint", {asc, tag, sed}}, {"asc", {asc}}, {"tag", {tag}}, {"sed", {sed}}}) {
    std::string shape = "v3";
    for (const BatchSize& b : step.sizes) shape += concat(", ", task_name(b.task), " ", b.N, "x", b.frames);
    cases.push_back({.name = concat("train_step/", step.name),
                     .shape = shape,
                     .prepare = [sizes = step.sizes](const Setting& s) { return training(sizes, s); },
                     .captured = false});
  }
  for (const std::int64_t batch : {1, 8, 64}) {
    const std::int64_t N = tiny ? std::min<std::int64_t>(batch, 2) : batch;
    const std::int64_t frames = tiny ? 40 : 500;
    cases.push_back({.name = concat("infer_10s/", batch),
                     .shape = concat("v3, log-mel [", N, ",128,", frames, "] to all outputs"),
                     .prepare = [N, frames](const Setting& s) { return inference(N, frames, s); },
                     .captured = false});
  }
}

}  // namespace dcase::bench::gpu
