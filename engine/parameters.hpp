#pragma once
/// ParameterStore: every weight and buffer of a model, by name, in the canonical order of the released state_dict.
///
/// Parameters lie one after the other in one flat arena, their gradients in a second of the same layout, so an
/// optimiser is one pass over flat memory and a state is one copy. Names and orders are the same on every device.

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/autograd.hpp"
#include "engine/tensor.hpp"

namespace dcase {

/// How a parameter is drawn. Numbers are indexed by (seed, name, element): the same on every device.
struct Initializer {
  enum class Kind : std::uint8_t { kConstant, kUniform, kNormal, kGruHidden };
  Kind kind = Kind::kConstant;
  double a = 0;  ///< constant; uniform: bound of +-a; normal: mean; GRU hidden: bound of gates r and z
  double b = 0;  ///< normal: standard deviation

  [[nodiscard]] static Initializer constant(double value) { return {Kind::kConstant, value, 0}; }
  [[nodiscard]] static Initializer uniform(double bound) { return {Kind::kUniform, bound, 0}; }
  [[nodiscard]] static Initializer normal(double mean, double deviation) { return {Kind::kNormal, mean, deviation}; }
  /// [3H,H]: gates r and z uniform in +-bound, gate n an orthogonal matrix.
  [[nodiscard]] static Initializer gru_hidden(double bound) { return {Kind::kGruHidden, bound, 0}; }
};

/// A trained tensor. `variable` is valid once the store is allocated.
struct Parameter {
  std::string name;
  Shape shape;
  Initializer initializer;
  std::int64_t offset = 0;  ///< in the flat arenas
  Variable variable;        ///< trained: a leaf; else a constant, for which nothing is recorded
  Variable leaf;
  bool frozen = false;  ///< stays as it is while others are trained
  [[nodiscard]] const Tensor& value() const { return variable.value(); }
};

/// A tensor that is part of the state but not trained (batch-norm averages).
struct Buffer {
  std::string name;
  Shape shape;
  float initial = 0;
  std::int64_t offset = 0;
  Tensor value;
};

/// An integer of the state (num_batches_tracked).
struct Counter {
  std::string name;
  std::int64_t value = 0;
};

/// Kinds of batches whose batch-norm averages can be kept apart.
inline constexpr std::size_t kDomains = 3;

/// Running averages of one batch norm.
struct Averages {
  Buffer* mean = nullptr;      ///< [C]
  Buffer* variance = nullptr;  ///< [C]
  Counter* batches = nullptr;  ///< training batches that have moved them
};

/// All averages of one batch norm. Which of them a pass uses and moves: Pass::domain (layers/module.hpp).
struct AverageSets {
  Averages common;                         ///< entries of the state_dict
  Averages mixture;                        ///< beside the state_dict: moved by the batches of all domains in turn
  std::array<Averages, kDomains> domains;  ///< beside the state_dict: moved by those of one domain
};

/// One entry of the state in canonical order: exactly one of the three is set.
struct StateEntry {
  Parameter* parameter = nullptr;
  Buffer* buffer = nullptr;
  Counter* counter = nullptr;
  [[nodiscard]] const std::string& name() const;
  [[nodiscard]] Shape shape() const;
};

class ParameterStore {
 public:
  explicit ParameterStore(BackendPtr backend) : backend_(std::move(backend)) {}
  ParameterStore(const ParameterStore&) = delete;
  ParameterStore& operator=(const ParameterStore&) = delete;

  // Declaration, in canonical order; pointers stay valid for the store's life.
  Parameter* parameter(const std::string& name, const Shape& shape, const Initializer& initializer);
  Buffer* buffer(const std::string& name, const Shape& shape, float initial);
  Counter* counter(const std::string& name);
  /// running_mean, running_var and num_batches_tracked under `prefix`, as entries, and the sets beside them.
  const AverageSets* averages(const std::string& prefix, std::int64_t channels);

  /// Ends the declaration: lays the arenas out. Values are zero until `initialise` or a load.
  void allocate();
  /// Draws every parameter and resets buffers and counters.
  void initialise(std::uint64_t seed);
  /// Draws one parameter.
  void initialise(const Parameter& parameter, std::uint64_t seed);

  [[nodiscard]] const std::vector<StateEntry>& entries() const { return entries_; }
  [[nodiscard]] std::deque<Parameter>& parameters() { return parameters_; }
  [[nodiscard]] const std::deque<Parameter>& parameters() const { return parameters_; }
  [[nodiscard]] const StateEntry* find(std::string_view name) const;
  /// Of every batch norm, in canonical order. Sets beside the state_dict are not among the entries.
  [[nodiscard]] const std::deque<AverageSets>& averages() const { return averages_; }
  [[nodiscard]] std::int64_t parameter_count() const { return parameter_count_; }
  [[nodiscard]] const BackendPtr& backend() const { return backend_; }

  [[nodiscard]] const Tensor& flat_values() const { return values_; }  ///< [parameter_count]
  [[nodiscard]] const Tensor& flat_grads() const { return grads_; }    ///< [parameter_count]
  [[nodiscard]] const Tensor& flat_buffers() const { return buffers_flat_; }

  /// With false all parameters are constants: a pass records no graph and keeps no intermediate result alive. With
  /// true all but the frozen ones are trained.
  void set_trainable(bool trainable);
  /// Leaves a parameter as it is from now on: no gradient, no update.
  void freeze(Parameter& parameter);

  /// Forgets all gradients (nothing is written: the first contribution overwrites).
  void reset_grads() const;

  /// Moves whenever values change; layers rebuild derived copies (packed weights) when it does.
  [[nodiscard]] const std::uint64_t& version() const { return version_; }
  void touch() { ++version_; }

 private:
  void check_new(const std::string& name) const;
  Buffer* new_buffer(const std::string& name, const Shape& shape, float initial);
  Averages new_averages(const std::string& prefix, std::int64_t channels);

  BackendPtr backend_;
  std::deque<Parameter> parameters_;
  std::deque<Buffer> buffers_;
  std::deque<Counter> counters_;
  std::deque<AverageSets> averages_;
  std::vector<StateEntry> entries_;
  Tensor values_, grads_, buffers_flat_;
  std::int64_t parameter_count_ = 0;
  std::int64_t buffer_count_ = 0;
  std::uint64_t version_ = 1;
  bool allocated_ = false;
};

}  // namespace dcase
