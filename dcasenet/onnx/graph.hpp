#pragma once
/// An ONNX graph as it is put together, node after node. Source of field numbers and operators: onnx.proto and
/// Operators.md of https://github.com/onnx/onnx; the operators used are those of opsets 13 to 17.

#include <cstdint>
#include <map>
#include <string>
#include <unordered_set>
#include <variant>
#include <vector>

#include "dcasenet/onnx/message.hpp"
#include "engine/parameters.hpp"

namespace dcase::onnx {

/// What a node reads and makes: its name in the file.
using Value = std::string;

struct Attribute {
  std::string name;
  std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>> value;
};

/// A size, or the name of one that is known at run time alone.
using Dimension = std::variant<std::int64_t, std::string>;

class Graph {
 public:
  /// Weights come from `store`, which outlives the graph, under their names in the state_dict.
  explicit Graph(const ParameterStore& store) : store_(store) {}

  Value input(const std::string& name, const std::vector<Dimension>& shape);
  /// Gives `value` a name outside.
  void output(const Value& value, const std::string& name, const std::vector<Dimension>& shape);
  /// Adds a node of one output, which has the node's name. Names are distinct.
  Value node(const std::string& name, const std::string& op, const std::vector<Value>& inputs,
             const std::vector<Attribute>& attributes = {});

  /// A tensor of the state_dict as it is.
  Value weight(const std::string& name);
  /// A matrix of the state_dict, rows and columns exchanged.
  Value transposed(const std::string& name);
  Value constant(const std::string& name, const std::vector<std::int64_t>& shape, const std::vector<float>& values);
  /// [count], or a scalar
  Value integers(const std::string& name, const std::vector<std::int64_t>& values);
  Value integer(const std::string& name, std::int64_t value);

  [[nodiscard]] bool has_weight(const std::string& name) const { return store_.find(name) != nullptr; }
  [[nodiscard]] Shape shape_of(const std::string& weight) const;
  /// Values of a tensor of the state_dict, for weights that ONNX wants in another arrangement.
  [[nodiscard]] std::vector<float> values_of(const std::string& weight) const;

  /// The whole file.
  [[nodiscard]] std::string model(int opset, const std::map<std::string, std::string>& metadata) const;

 private:
  void claim(const std::string& name);
  Value initializer(const std::string& name, std::int64_t type, const std::vector<std::int64_t>& shape,
                    std::span<const std::byte> data);

  const ParameterStore& store_;
  Message graph_;
  std::unordered_set<std::string> names_;
};

}  // namespace dcase::onnx
