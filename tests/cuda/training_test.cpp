// A small network trained through the engine on a device: autograd, arena, two streams with events, a captured graph.
// Every order of the streams gives the same bits, and the CPU the same numbers within rounding.

#include <cmath>
#include <memory>
#include <vector>

#include "engine/cuda/graph.hpp"
#include "engine/cuda/pinned.hpp"
#include "engine/cuda/stream.hpp"
#include "engine/parameters.hpp"
#include "kernels/adam/adam.hpp"
#include "kernels/elementwise/elementwise.hpp"
#include "kernels/reduce/reduce.hpp"
#include "layers/functional.hpp"
#include "layers/linear.hpp"
#include "tests/cuda/cuda_test.hpp"
#include "tests/support/compare.hpp"

namespace dcase::test {
namespace {

constexpr std::int64_t kBatch = 9, kInputs = 5, kHidden = 12, kOutputs = 3;

/// Half the summed square of y - t, divided by the batch.
Variable squared_error(const Variable& y, const Tensor& t) {
  const Tensor difference = y.value().like();
  scale<float>({.x = t, .alpha = -1, .y = difference}, y.value().context());
  scale<float>({.x = y.value(), .alpha = 1, .y = difference, .mode = GradMode::kAdd}, y.value().context());
  // Its value is read from the difference where somebody wants it: nothing here waits for the device.
  return record("squared_error", Tensor({1}, y.value().backend()), {y}, [difference](Grads& g) {
    const Gradient dx = g.in(0);
    scale<float>({.x = difference, .alpha = 1.0 / kBatch, .y = dx.view, .mode = dx.mode}, difference.context());
  });
}

/// Two linear layers with a ReLU and dropout between.
struct Mlp {
  explicit Mlp(const BackendPtr& on)
      : backend(on),
        store(on),
        first(Scope(store) / "first", kInputs, kHidden),
        second(Scope(store) / "second", kHidden, kOutputs) {
    store.allocate();
    store.initialise(3);
    m = Tensor::filled({store.parameter_count()}, 0, on);
    v = Tensor::filled({store.parameter_count()}, 0, on);
  }

  [[nodiscard]] Variable forward(const Tensor& x, std::uint32_t step) const {
    const RandomKey key{.seed = 1, .purpose = purpose_id("dropout"), .step = step};
    return second.forward(dropout(relu(first.forward(Variable(x))), 0.25F, key));
  }
  void gradients(const Tensor& x, const Tensor& t, std::uint32_t step) const {
    store.reset_grads();
    backward(squared_error(forward(x, step), t));
  }
  void adam(std::int64_t step) const {
    adam_step<float>({.g = store.flat_grads(), .p = store.flat_values(), .m = m, .v = v, .lr = 0.02, .step = step},
                     backend->context());
  }
  void descend() const {
    scale<float>({.x = store.flat_grads(), .alpha = -0.1, .y = store.flat_values(), .mode = GradMode::kAdd},
                 backend->context());
  }

  BackendPtr backend;
  ParameterStore store;
  Linear first, second;
  Tensor m, v;
};

/// Batch `step`: targets are sums and differences of the inputs, so there is something to learn.
void fill_batch(float* x, float* t, std::int64_t step) {
  const RandomKey key{.seed = 9, .purpose = purpose_id("batch"), .step = static_cast<std::uint32_t>(step)};
  for (std::int64_t n = 0; n < kBatch; ++n) {
    for (std::int64_t i = 0; i < kInputs; ++i) {
      x[n * kInputs + i] = 2 * uniform_float(key, static_cast<std::uint64_t>(n * kInputs + i)) - 1;
    }
    const float* row = x + n * kInputs;
    t[n * kOutputs] = row[0] + row[1];
    t[n * kOutputs + 1] = row[2] - row[3];
    t[n * kOutputs + 2] = row[4];
  }
}

constexpr std::int64_t kSteps = 40;

/// Parameters after Adam on the CPU.
std::vector<float> train_on_cpu() {
  const auto backend = Backend::cpu();
  const Mlp mlp(backend);
  std::vector<float> x(kBatch * kInputs);
  std::vector<float> t(kBatch * kOutputs);
  for (std::int64_t step = 1; step <= kSteps; ++step) {
    fill_batch(x.data(), t.data(), step);
    mlp.gradients(Tensor::from({kBatch, kInputs}, x, backend), Tensor::from({kBatch, kOutputs}, t, backend),
                  static_cast<std::uint32_t>(step));
    mlp.adam(step);
  }
  return mlp.store.flat_values().to_vector();
}

/// The same on the device, batches coming through pinned memory and a stream of their own, two in flight.
std::vector<float> train_on_device() {
  const auto backend = Backend::on(kGpu);
  const Mlp mlp(backend);
  const Stream compute = backend->context().stream;
  const CudaStream copies(kGpu);
  struct Slot {
    PinnedBuffer<float> x{kBatch * kInputs}, t{kBatch * kOutputs};
    Tensor device_x, device_t;
    CudaEvent arrived{kGpu}, used{kGpu};
  };
  std::vector<std::unique_ptr<Slot>> slots;
  for (int i = 0; i < 2; ++i) {
    slots.push_back(std::make_unique<Slot>());
    slots.back()->device_x = Tensor({kBatch, kInputs}, backend);
    slots.back()->device_t = Tensor({kBatch, kOutputs}, backend);
  }
  const auto upload = [&](const PinnedBuffer<float>& from, const Tensor& to) {
    DCASE_CUDA_CALL(cudaMemcpyAsync(to.data(), from.data(), from.bytes(), cudaMemcpyHostToDevice, copies.native()));
  };
  std::uint64_t growths = 0;
  for (std::int64_t step = 1; step <= kSteps; ++step) {
    Slot& slot = *slots[static_cast<std::size_t>(step % 2)];
    slot.arrived.synchronize();  // the copy before has left the pinned memory
    fill_batch(slot.x.data(), slot.t.data(), step);
    copies.wait(slot.used);  // the step before that used this slot is through with it
    upload(slot.x, slot.device_x);
    upload(slot.t, slot.device_t);
    slot.arrived.record(copies.handle());
    DCASE_CUDA_CALL(cudaStreamWaitEvent(static_cast<cudaStream_t>(compute.handle), slot.arrived.native(), 0));
    mlp.gradients(slot.device_x, slot.device_t, static_cast<std::uint32_t>(step));
    slot.used.record(compute);
    mlp.adam(step);
    if (step == 1) growths = backend->memory().growths;
  }
  CHECK(backend->memory().growths == growths);  // nothing more is asked of the device after the first step
  return mlp.store.flat_values().to_vector();
}

/// Plain descent on one batch, as a graph that is launched again and again or as single calls.
std::vector<float> descend_on(const BackendPtr& backend, bool graph) {
  const Mlp mlp(backend);
  std::vector<float> x(kBatch * kInputs);
  std::vector<float> t(kBatch * kOutputs);
  fill_batch(x.data(), t.data(), 1);
  const Tensor device_x = Tensor::from({kBatch, kInputs}, x, backend);
  const Tensor device_t = Tensor::from({kBatch, kOutputs}, t, backend);
  const auto step = [&] {
    mlp.gradients(device_x, device_t, 7);
    mlp.descend();
  };
  step();  // fills the arena's caches
  if (graph) {
    const CudaGraph captured = CudaGraph::capture(kGpu, backend->context().stream, step);
    CHECK(captured.node_count() > 10);
    for (std::int64_t i = 1; i < kSteps; ++i) captured.launch(backend->context().stream);
    return mlp.store.flat_values().to_vector();
  }
  for (std::int64_t i = 1; i < kSteps; ++i) step();
  return mlp.store.flat_values().to_vector();
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(difference <= worst)) worst = difference;  // NaN counts
  }
  return worst;
}

}  // namespace

TEST_CASE("cuda training: Adam on a small network, the same bits in every order of streams, the CPU's numbers",
          "[cuda][training]") {
  const FreshRuntime fresh;
  const std::vector<float> expected = train_on_cpu();
  std::vector<float> first;
  for_each_stream_order([&] {
    const std::vector<float> result = train_on_device();
    if (first.empty()) first = result;
    CHECK(result == first);
  });
  // Forty steps of Adam amplify the rounding of sums in another order.
  CHECK(largest_difference(first, expected) < 2e-5);
}

TEST_CASE("cuda training: a captured step replayed gives the bits of the calls", "[cuda][training]") {
  const FreshRuntime fresh;
  const std::vector<float> expected = descend_on(Backend::cpu(), false);
  const std::vector<float> calls = descend_on(Backend::on(kGpu), false);
  CHECK(largest_difference(calls, expected) < 1e-5);
  for_each_stream_order([&] { CHECK(descend_on(Backend::on(kGpu), true) == calls); });
}

}  // namespace dcase::test
