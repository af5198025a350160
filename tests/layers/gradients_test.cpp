/// Backward of the recorded operations against finite differences of their own forward, in float: that the right
/// operator is called with the right arguments. The operators themselves are differentiated in double in tests/kernels.

#include <cmath>
#include <functional>

#include "layers/bi_gru.hpp"
#include "layers/conv_block.hpp"
#include "layers/functional.hpp"
#include "layers/se_residual.hpp"
#include "tests/support/compare.hpp"

namespace dcase {
namespace {

Tensor uniform(const Shape& shape, const char* name, const BackendPtr& backend) {
  Tensor t(shape, backend);
  const RandomKey key{.seed = 3, .purpose = purpose_id(name), .step = 0};
  for (std::int64_t i = 0; i < t.size(); ++i) {
    // At least 0.05 from zero, where the ReLU has a kink.
    const float v = 1.9F * uniform_float(key, static_cast<std::uint64_t>(i)) - 0.95F;
    t.data()[i] = v + (v < 0 ? -0.05F : 0.05F);
  }
  return t;
}

// sum(y * weights) as a loss; its gradient in y is `weights`.
Variable weighted_sum_of(const Variable& y) {
  const Tensor weights = uniform(y.value().shape(), "weights", y.value().backend());
  double sum = 0;
  for (std::int64_t i = 0; i < weights.size(); ++i) {
    sum += static_cast<double>(weights.data()[i]) * static_cast<double>(y.value().data()[i]);
  }
  Tensor loss({1}, y.value().backend());
  loss.fill(static_cast<float>(sum));
  return record("weighted_sum", loss, {y}, [weights](Grads& g) {
    const Gradient dy = g.in(0);
    for (std::int64_t i = 0; i < weights.size(); ++i) {
      dy.view[i] = (dy.mode == GradMode::kAdd ? dy.view[i] : 0) + g.out().data()[0] * weights.data()[i];
    }
  });
}

using Function = std::function<Variable(const Variable&)>;

// Gradient in every element of `leaf` (through `run`) against central differences of the loss in float.
void check_leaf(const std::string& what, const Variable& leaf, const std::function<Variable()>& run, double tolerance) {
  leaf.reset_grad();
  backward(weighted_sum_of(run()));
  REQUIRE(leaf.grad().present());
  const Tensor grad = leaf.grad().clone();
  const Tensor& x = leaf.value();
  double worst = 0;
  double largest = 0;
  const std::int64_t stride = std::max<std::int64_t>(1, x.size() / 40);
  for (std::int64_t i = 0; i < x.size(); i += stride) {
    constexpr float kStep = 4e-3F;
    const float kept = x.data()[i];
    x.data()[i] = kept + kStep;
    const double up = static_cast<double>(weighted_sum_of(run()).value().data()[0]);
    x.data()[i] = kept - kStep;
    const double down = static_cast<double>(weighted_sum_of(run()).value().data()[0]);
    x.data()[i] = kept;
    const double numeric = (up - down) / (2 * static_cast<double>(kStep));
    worst = std::max(worst, std::abs(numeric - static_cast<double>(grad.data()[i])));
    largest = std::max(largest, std::abs(numeric));
  }
  INFO(what << ": worst deviation " << worst << ", largest derivative " << largest);
  CHECK(largest > 0.01);
  CHECK(worst <= tolerance * (1 + largest));
  leaf.reset_grad();
}

void check_function(const std::string& what, const Shape& shape, const Function& f, double tolerance = 5e-3) {
  const BackendPtr cpu = Backend::cpu();
  const Variable x = Variable::leaf(uniform(shape, what.c_str(), cpu));
  check_leaf(
      what, x, [&] { return f(x); }, tolerance);
}

}  // namespace

TEST_CASE("layers: each operation's gradient is that of its forward", "[layers]") {
  const BackendPtr cpu = Backend::cpu();
  check_function(
      "relu", {3, 7}, [](const Variable& x) { return relu(x); }, 0.05);
  check_function("sigmoid", {3, 7}, [](const Variable& x) { return sigmoid(x); });
  check_function("dropout", {3, 7},
                 [](const Variable& x) { return dropout(x, 0.3F, {.seed = 1, .purpose = 2, .step = 3}); });
  check_function("mean over mel", {2, 3, 5, 4}, [](const Variable& x) { return mean(x, 1); });
  check_function("mean over time", {2, 5, 3}, [](const Variable& x) { return mean(x, 1); });
  check_function("repeat", {2, 3, 4}, [](const Variable& x) { return repeat_time(x, 8); });
  check_function("reshape", {2, 3, 4}, [](const Variable& x) { return reshape(x, {6, 4}); });
  check_function("concat with itself", {2, 3, 4}, [](const Variable& x) { return concat(x, x); });
  const Variable w(uniform({5, 4}, "w", cpu));
  const Variable b(uniform({5}, "b", cpu));
  check_function("linear, input", {2, 3, 4}, [&](const Variable& x) { return linear(x, w, b); });
  const Variable rows(uniform({3, 4}, "rows", cpu));
  check_function("linear, weight", {5, 4}, [&](const Variable& x) { return linear(rows, x, b); });
  check_function("linear, bias", {5}, [&](const Variable& x) { return linear(rows, w, x); });
  const Variable map(uniform({2, 3, 5, 4}, "map", cpu));
  const Variable s(uniform({2, 4}, "s", cpu));
  check_function("channel scale, input", {2, 3, 5, 4}, [&](const Variable& x) { return channel_scale(x, s); });
  check_function("channel scale, factor", {2, 4}, [&](const Variable& x) { return channel_scale(map, x); });
  check_function(
      "residual", {2, 3, 5, 4}, [&](const Variable& x) { return channel_scale_add_relu(map, s, x); }, 0.05);
}

TEST_CASE("layers: modules pass gradients to their input and to every parameter", "[layers]") {
  const BackendPtr cpu = Backend::cpu();
  const Pass training{.training = true, .random = {}, .dropout = true};
  const auto check_module = [&](const std::string& what, ParameterStore& store, const Shape& shape, const Function& f,
                                double tolerance, const std::string& frozen = "none") {
    store.allocate();
    store.initialise(5);
    for (Parameter& p : store.parameters()) {
      if (p.name.starts_with(frozen)) store.freeze(p);
    }
    const Variable x = Variable::leaf(uniform(shape, what.c_str(), cpu));
    check_leaf(
        what + " input", x, [&] { return f(x); }, tolerance);
    for (const Parameter& p : store.parameters()) {
      if (p.frozen) continue;
      store.reset_grads();
      check_leaf(
          what + " " + p.name, p.variable,
          [&] {
            store.touch();  // packed weights follow the perturbed ones
            return f(x);
          },
          tolerance);
    }
  };
  SECTION("convolution block") {
    ParameterStore store(cpu);
    const ConvBlock block(Scope(store), 3, 4, {.m = 2, .t = 2});
    check_module(
        "block", store, {2, 6, 9, 3}, [&](const Variable& x) { return block.forward(x, training); }, 0.1);
  }
  SECTION("convolution block in groups of 16 channels") {
    ParameterStore store(cpu);
    const ConvBlock block(Scope(store), 32, 32, {.m = 2, .t = 5});
    check_module(
        "block", store, {1, 8, 11, 32}, [&](const Variable& x) { return block.forward(x, training); }, 0.1);
  }
  SECTION("convolution block with frozen batch norms") {
    for (const char* frozen : {"bn1", "bn2", "bn"}) {
      ParameterStore store(cpu);
      const ConvBlock block(Scope(store), 3, 4, {.m = 2, .t = 2});
      check_module(
          frozen, store, {2, 6, 9, 3}, [&](const Variable& x) { return block.forward(x, training); }, 0.1, frozen);
    }
  }
  SECTION("convolution block with a frozen convolution") {
    ParameterStore store(cpu);
    const ConvBlock block(Scope(store), 3, 4, {.m = 2, .t = 2});
    check_module(
        "block", store, {2, 6, 9, 3}, [&](const Variable& x) { return block.forward(x, training); }, 0.1, "conv2");
  }
  SECTION("GRU with some of its tensors frozen") {
    ParameterStore store(cpu);
    const BiGru gru(Scope(store), 5, 4);
    check_module(
        "gru", store, {2, 6, 5}, [&](const Variable& x) { return gru.forward(x); }, 0.02, "weight_ih");
  }
  SECTION("squeeze-excite residual block with a frozen projection") {
    ParameterStore store(cpu);
    const SeResidual block(Scope(store), 3, 16, {.dimensions = 2, .stride = 2});
    check_module(
        "se", store, {2, 6, 5, 3}, [&](const Variable& x) { return block.forward(x, training); }, 0.1, "downsample");
  }
  SECTION("GRU") {
    ParameterStore store(cpu);
    const BiGru gru(Scope(store), 5, 4);
    check_module(
        "gru", store, {2, 6, 5}, [&](const Variable& x) { return gru.forward(x); }, 0.02);
  }
  SECTION("squeeze-excite residual block with projection") {
    ParameterStore store(cpu);
    const SeResidual block(Scope(store), 3, 16, {.dimensions = 2, .stride = 2});
    check_module(
        "se", store, {2, 6, 5, 3}, [&](const Variable& x) { return block.forward(x, training); }, 0.1);
  }
}

TEST_CASE("layers: training moves the batch-norm averages, evaluation reads them", "[layers]") {
  const BackendPtr cpu = Backend::cpu();
  ParameterStore store(cpu);
  const ConvBlock block(Scope(store), 2, 3, {.m = 2, .t = 2});
  store.allocate();
  store.initialise(5);
  const Variable x(uniform({2, 6, 8, 2}, "x", cpu));
  const Tensor fresh = block.forward(x, Pass{}).value().clone();
  static_cast<void>(block.forward(x, Pass{.training = true, .random = {}, .dropout = true}));
  CHECK(store.find("bn1.num_batches_tracked")->counter->value == 1);
  CHECK(store.find("bn2.running_var")->buffer->value.to_vector() != std::vector<float>(3, 1.0F));
  const Tensor moved = block.forward(x, Pass{}).value();
  CHECK(moved.to_vector() != fresh.to_vector());
  const Tensor again = block.forward(x, Pass{}).value();
  CHECK(moved.to_vector() == again.to_vector());
}

TEST_CASE("layers: frozen parameters record nothing", "[layers]") {
  const BackendPtr cpu = Backend::cpu();
  ParameterStore store(cpu);
  const ConvBlock block(Scope(store), 2, 3, {.m = 2, .t = 2});
  store.allocate();
  store.initialise(5);
  const Variable x(uniform({2, 6, 8, 2}, "x", cpu));
  CHECK(block.forward(x, Pass{}).requires_grad());
  store.set_trainable(false);
  CHECK_FALSE(block.forward(x, Pass{}).requires_grad());
  store.set_trainable(true);
  CHECK(block.forward(x, Pass{}).requires_grad());
}

TEST_CASE("layers: a frozen batch norm computes in training what it computes in evaluation", "[layers]") {
  const BackendPtr cpu = Backend::cpu();
  ParameterStore store(cpu);
  const ConvBlock block(Scope(store), 2, 3, {.m = 2, .t = 2});
  store.allocate();
  store.initialise(5);
  const Pass training{.training = true};
  const Variable x(uniform({2, 6, 8, 2}, "x", cpu));
  static_cast<void>(block.forward(x, training));
  const std::vector<float> buffers = store.flat_buffers().to_vector();
  const std::vector<float> evaluated = block.forward(x, Pass{}).value().to_vector();
  CHECK(block.forward(x, training).value().to_vector() != evaluated);
  store.flat_buffers().copy_from(buffers);
  for (Parameter& p : store.parameters()) store.freeze(p);
  const Variable y = block.forward(x, training);
  CHECK(y.value().to_vector() == evaluated);
  CHECK_FALSE(y.requires_grad());
  CHECK(store.flat_buffers().to_vector() == buffers);
  CHECK(store.find("bn1.num_batches_tracked")->counter->value == 2);
  store.set_trainable(true);  // as after an evaluation: what is frozen stays so
  CHECK_FALSE(block.forward(x, training).requires_grad());
}

TEST_CASE("layers: dropout differs between steps and is the identity in expectation", "[layers]") {
  const BackendPtr cpu = Backend::cpu();
  const Variable ones(Tensor::filled({100, 100}, 1, cpu));
  const auto a = dropout(ones, 0.2F, {.seed = 1, .purpose = 7, .step = 0}).value().to_vector();
  const auto b = dropout(ones, 0.2F, {.seed = 1, .purpose = 7, .step = 1}).value().to_vector();
  CHECK(a != b);
  double sum = 0;
  for (const float v : a) sum += static_cast<double>(v);
  CHECK(sum / 1e4 == Approx(1).margin(0.02));
}

TEST_CASE("layers: wrong shapes are refused with the module's name", "[layers]") {
  const BackendPtr cpu = Backend::cpu();
  ParameterStore store(cpu);
  const Conv conv(Scope(store) / "trunk", 3, 4, {}, Initializer::constant(0));
  store.allocate();
  CHECK_THROWS_WITH(conv.forward(Variable(uniform({1, 4, 4, 2}, "x", cpu))), Catch::Contains("trunk.weight"));
  CHECK_THROWS_AS(mean(Variable(uniform({2, 2}, "x", cpu)), 2), Error);
  CHECK_THROWS_AS(linear(Variable(uniform({2, 3}, "x", cpu)), Variable(uniform({2, 4}, "w", cpu))), Error);
}

}  // namespace dcase
