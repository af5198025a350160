#include "engine/parameters.hpp"

#include <cmath>

#include "tests/support/test.hpp"

namespace dcase {

TEST_CASE("parameters: flat arenas follow the order of declaration", "[parameters]") {
  ParameterStore store(Backend::cpu());
  Parameter* w = store.parameter("conv.weight", {2, 3}, Initializer::uniform(0.5));
  Buffer* mean = store.buffer("bn.running_mean", {4}, 0);
  Buffer* variance = store.buffer("bn.running_var", {4}, 1);
  Counter* batches = store.counter("bn.num_batches_tracked");
  Parameter* b = store.parameter("fc.bias", {5}, Initializer::constant(2));
  CHECK_THROWS_AS(store.parameter("fc.bias", {5}, Initializer::constant(0)), Error);
  store.allocate();
  CHECK_THROWS_AS(store.buffer("late", {1}, 0), Error);
  CHECK(store.parameter_count() == 11);
  CHECK(w->value().data() == store.flat_values().data());
  CHECK(b->value().data() == store.flat_values().data() + 6);
  CHECK(variance->value.data()[3] == 1);
  CHECK(mean->value.data()[0] == 0);
  REQUIRE(store.entries().size() == 5);
  CHECK(store.entries()[3].name() == "bn.num_batches_tracked");
  CHECK(store.find("fc.bias")->parameter == b);
  CHECK(store.find("nothing") == nullptr);

  const std::uint64_t before = store.version();
  batches->value = 3;
  store.initialise(1);
  CHECK(store.version() > before);
  CHECK(batches->value == 0);
  CHECK(b->value().data()[4] == 2);
  const auto drawn = w->value().to_vector();
  for (const float v : drawn) CHECK(std::abs(v) <= 0.5F);
  store.initialise(2);
  CHECK(w->value().to_vector() != drawn);
  store.initialise(1);
  CHECK(w->value().to_vector() == drawn);
}

TEST_CASE("parameters: the candidate gate of a GRU starts orthogonal", "[parameters]") {
  ParameterStore store(Backend::cpu());
  const Parameter* u = store.parameter("gru.weight_hh_l0", {21, 7}, Initializer::gru_hidden(0.3));
  store.allocate();
  store.initialise(11);
  const float* q = u->value().data() + 2 * 49;
  for (int i = 0; i < 7; ++i) {
    for (int j = 0; j <= i; ++j) {
      double dot = 0;
      for (int k = 0; k < 7; ++k) dot += static_cast<double>(q[i * 7 + k]) * q[j * 7 + k];
      CHECK(dot == Approx(i == j ? 1.0 : 0.0).margin(1e-6));
    }
  }
  for (int i = 0; i < 2 * 49; ++i) CHECK(std::abs(u->value().data()[i]) <= 0.3F);
}

TEST_CASE("tensor: reshape and slice share storage, clone does not", "[tensor]") {
  const BackendPtr cpu = Backend::cpu();
  const Tensor t = Tensor::from({2, 3}, {0, 1, 2, 3, 4, 5}, cpu);
  CHECK(t.reshaped({3, 2}).data() == t.data());
  CHECK_THROWS_AS(t.reshaped({4, 2}), Error);
  CHECK(t.slice(2, {2, 2}).to_vector() == std::vector<float>{2, 3, 4, 5});
  CHECK_THROWS_AS(t.slice(3, {2, 2}), Error);
  CHECK_THROWS_AS(Tensor({-1}, cpu), Error);
  CHECK_THROWS_AS(Tensor({std::int64_t{1} << 40, std::int64_t{1} << 40}, cpu), Error);
  const Tensor copy = t.clone();
  copy.fill(9);
  CHECK(t.to_vector() == std::vector<float>{0, 1, 2, 3, 4, 5});
  CHECK_THROWS_AS(static_cast<void>(Backend::on(Device{.type = DeviceType::kCuda, .index = 0})), Error);
}

}  // namespace dcase
