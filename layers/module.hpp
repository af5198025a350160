#pragma once
/// What every module needs: where its parameters are declared, and how a pass through it runs.

#include <string>

#include "engine/parameters.hpp"
#include "engine/random.hpp"

namespace dcase {

/// A place in the state_dict: `scope / "conv1"` is one level down. Modules declare their parameters here, in the order
/// of the released state_dict, when they are constructed.
class Scope {
 public:
  explicit Scope(ParameterStore& store, std::string prefix = "") : store_(&store), prefix_(std::move(prefix)) {}
  [[nodiscard]] Scope operator/(const std::string& name) const { return Scope(*store_, path(name)); }
  [[nodiscard]] std::string path(const std::string& name) const {
    return prefix_.empty() ? name : prefix_ + "." + name;
  }
  [[nodiscard]] const std::string& prefix() const { return prefix_; }
  [[nodiscard]] ParameterStore& store() const { return *store_; }

  Parameter* parameter(const std::string& name, const Shape& shape, const Initializer& initializer) const {
    return store_->parameter(path(name), shape, initializer);
  }
  Buffer* buffer(const std::string& name, const Shape& shape, float initial) const {
    return store_->buffer(path(name), shape, initial);
  }
  Counter* counter(const std::string& name) const { return store_->counter(path(name)); }
  const AverageSets* averages(std::int64_t channels) const { return store_->averages(prefix_, channels); }

 private:
  ParameterStore* store_;
  std::string prefix_;
};

/// One pass through a model. In training, batch norm uses and records batch statistics and dropout draws from `random`;
/// a training pass has exclusive use of the model. Evaluation passes only read it and may run concurrently.
struct Pass {
  bool training = false;
  RandomState random = {};
  bool dropout = true;  ///< false: all dropout probabilities count as 0

  static constexpr int kNoDomain = -1;
  /// Which running averages batch norm uses and moves.
  ///   kNoDomain       the common ones, in training and in evaluation: one set for everything
  ///   0..kDomains-1   training moves the domain's own and the mixture, which is what the common ones would be without
  ///                   domains; evaluation uses the domain's own, or the common ones where no batch of it has come by
  int domain = kNoDomain;
  /// In training: the n-th batch of a set of averages counts 1/n, so that they become plain means over batches, and the
  /// mixture stays as it is. Otherwise each batch counts 0.1 and those before it fade.
  bool cumulative = false;
};

}  // namespace dcase
