#include "engine/parameters.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/common/philox.hpp"

namespace dcase {
namespace {

// Rows of a Gaussian matrix made orthonormal, twice over for full precision (modified Gram-Schmidt).
std::vector<double> orthogonal(std::int64_t n, const RandomKey& key) {
  std::vector<double> q(static_cast<std::size_t>(n * n));
  for (std::size_t i = 0; i < q.size(); ++i) q[i] = normal_double(key, i);
  for (std::int64_t row = 0; row < n; ++row) {
    double* a = q.data() + row * n;
    for (int pass = 0; pass < 2; ++pass) {
      for (std::int64_t other = 0; other < row; ++other) {
        const double* b = q.data() + other * n;
        double dot = 0;
        for (std::int64_t i = 0; i < n; ++i) dot += a[i] * b[i];
        for (std::int64_t i = 0; i < n; ++i) a[i] -= dot * b[i];
      }
    }
    double norm = 0;
    for (std::int64_t i = 0; i < n; ++i) norm += a[i] * a[i];
    for (std::int64_t i = 0; i < n; ++i) a[i] /= std::sqrt(norm);
  }
  return q;
}

}  // namespace

const std::string& StateEntry::name() const {
  return parameter != nullptr ? parameter->name : buffer != nullptr ? buffer->name : counter->name;
}

Shape StateEntry::shape() const {
  return parameter != nullptr ? parameter->shape : buffer != nullptr ? buffer->shape : Shape{};
}

void ParameterStore::check_new(const std::string& name) const {
  DCASE_CHECK(!allocated_, "parameters: ", name, " is declared after allocate()");
  DCASE_CHECK(find(name) == nullptr, "parameters: ", name, " is declared twice");
}

Parameter* ParameterStore::parameter(const std::string& name, const Shape& shape, const Initializer& initializer) {
  check_new(name);
  parameters_.push_back({.name = name, .shape = shape, .initializer = initializer, .offset = parameter_count_});
  parameter_count_ += element_count(shape);
  entries_.push_back({.parameter = &parameters_.back()});
  return &parameters_.back();
}

Buffer* ParameterStore::new_buffer(const std::string& name, const Shape& shape, float initial) {
  buffers_.push_back({.name = name, .shape = shape, .initial = initial, .offset = buffer_count_});
  buffer_count_ += element_count(shape);
  return &buffers_.back();
}

Buffer* ParameterStore::buffer(const std::string& name, const Shape& shape, float initial) {
  check_new(name);
  Buffer* const buffer = new_buffer(name, shape, initial);
  entries_.push_back({.buffer = buffer});
  return buffer;
}

Counter* ParameterStore::counter(const std::string& name) {
  check_new(name);
  counters_.push_back({.name = name});
  entries_.push_back({.counter = &counters_.back()});
  return &counters_.back();
}

Averages ParameterStore::new_averages(const std::string& prefix, std::int64_t channels) {
  counters_.push_back({.name = prefix + ".num_batches_tracked"});
  return {.mean = new_buffer(prefix + ".running_mean", {channels}, 0),
          .variance = new_buffer(prefix + ".running_var", {channels}, 1),
          .batches = &counters_.back()};
}

const AverageSets* ParameterStore::averages(const std::string& prefix, std::int64_t channels) {
  for (const char* name : {".running_mean", ".running_var", ".num_batches_tracked"}) check_new(prefix + name);
  AverageSets sets{.common = new_averages(prefix, channels), .mixture = {}, .domains = {}};
  entries_.push_back({.buffer = sets.common.mean});
  entries_.push_back({.buffer = sets.common.variance});
  entries_.push_back({.counter = sets.common.batches});
  sets.mixture = new_averages(prefix, channels);
  for (Averages& domain : sets.domains) domain = new_averages(prefix, channels);
  averages_.push_back(sets);
  return &averages_.back();
}

void ParameterStore::allocate() {
  DCASE_CHECK(!allocated_, "parameters: allocate() is called twice");
  allocated_ = true;
  values_ = Tensor::filled({parameter_count_}, 0, backend_);
  // Left as it is, for the first contribution overwrites: the pages of a model that never trains stay out of memory.
  grads_ = Tensor({parameter_count_}, backend_);
  buffers_flat_ = Tensor::filled({buffer_count_}, 0, backend_);
  for (Parameter& p : parameters_) {
    p.leaf = Variable::leaf(values_.slice(p.offset, p.shape), grads_.slice(p.offset, p.shape));
    p.variable = p.leaf;
  }
  for (Buffer& b : buffers_) {
    b.value = buffers_flat_.slice(b.offset, b.shape);
    b.value.fill(b.initial);
  }
}

void ParameterStore::initialise(std::uint64_t seed) {
  for (const Parameter& p : parameters_) initialise(p, seed);
  for (const Buffer& b : buffers_) b.value.fill(b.initial);
  for (Counter& c : counters_) c.value = 0;
}

void ParameterStore::initialise(const Parameter& parameter, std::uint64_t seed) {
  const RandomKey key{.seed = seed, .purpose = purpose_id("init/" + parameter.name), .step = 0};
  const Initializer& how = parameter.initializer;
  // Drawn on the host, element by element: the same numbers on every device.
  std::vector<float> w(static_cast<std::size_t>(parameter.value().size()));
  const auto uniform = [&](std::size_t i) { return static_cast<float>(how.a * (2 * uniform_double(key, i) - 1)); };
  switch (how.kind) {
    case Initializer::Kind::kConstant:
      std::fill(w.begin(), w.end(), static_cast<float>(how.a));
      break;
    case Initializer::Kind::kUniform:
      for (std::size_t i = 0; i < w.size(); ++i) w[i] = uniform(i);
      break;
    case Initializer::Kind::kNormal:
      for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<float>(how.a + how.b * normal_double(key, i));
      break;
    case Initializer::Kind::kGruHidden: {
      const std::int64_t hidden = parameter.shape.at(1);
      DCASE_CHECK(parameter.shape.at(0) == 3 * hidden, "parameters: ", parameter.name, " is no GRU hidden weight");
      const auto gate = static_cast<std::size_t>(hidden * hidden);
      for (std::size_t i = 0; i < 2 * gate; ++i) w[i] = uniform(i);
      const std::vector<double> q = orthogonal(hidden, {seed, purpose_id("orthogonal/" + parameter.name), 0});
      for (std::size_t i = 0; i < gate; ++i) w[2 * gate + i] = static_cast<float>(q[i]);
      break;
    }
  }
  parameter.value().copy_from(w);
  touch();
}

const StateEntry* ParameterStore::find(std::string_view name) const {
  for (const StateEntry& entry : entries_) {
    if (entry.name() == name) return &entry;
  }
  return nullptr;
}

void ParameterStore::set_trainable(bool trainable) {
  for (Parameter& p : parameters_) p.variable = trainable && !p.frozen ? p.leaf : Variable(p.leaf.value());
}

void ParameterStore::freeze(Parameter& parameter) {
  parameter.frozen = true;
  parameter.variable = Variable(parameter.leaf.value());
}

void ParameterStore::reset_grads() const {
  for (const Parameter& p : parameters_) p.leaf.reset_grad();
}

}  // namespace dcase
