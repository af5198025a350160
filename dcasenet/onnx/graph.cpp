#include "dcasenet/onnx/graph.hpp"

#include "dcasenet/version.hpp"
#include "kernels/common/error.hpp"

namespace dcase::onnx {
namespace {

// Field numbers of onnx.proto, by message.
namespace model {
constexpr std::uint32_t kIrVersion = 1, kProducer = 2, kProducerVersion = 3, kGraph = 7, kOpset = 8, kMetadata = 14;
}
namespace opset_id {
constexpr std::uint32_t kVersion = 2;
}
namespace entry {
constexpr std::uint32_t kKey = 1, kValue = 2;
}
namespace graph {
constexpr std::uint32_t kNode = 1, kName = 2, kInitializer = 5, kInput = 11, kOutput = 12;
}
namespace node {
constexpr std::uint32_t kInput = 1, kOutput = 2, kName = 3, kOp = 4, kAttribute = 5;
}
namespace attribute {
constexpr std::uint32_t kName = 1, kFloat = 2, kInt = 3, kString = 4, kInts = 8, kType = 20;
constexpr std::int64_t kIsFloat = 1, kIsInt = 2, kIsString = 3, kIsInts = 7;
}  // namespace attribute
namespace tensor {
constexpr std::uint32_t kDims = 1, kType = 2, kName = 8, kData = 9;
constexpr std::int64_t kIsFloat = 1, kIsInt64 = 7;
}  // namespace tensor
namespace value {
constexpr std::uint32_t kName = 1, kType = 2;      // ValueInfoProto
constexpr std::uint32_t kTensor = 1;               // TypeProto
constexpr std::uint32_t kElement = 1, kShape = 2;  // TypeProto.Tensor
constexpr std::uint32_t kDim = 1;                  // TensorShapeProto
constexpr std::uint32_t kSize = 1, kSymbol = 2;    // Dimension
}  // namespace value

constexpr std::int64_t kIrVersion = 8;  // that of opset 15 to 18; readers of it take lower opsets

Message describe(const std::string& name, const std::vector<Dimension>& dimensions) {
  Message shape;
  for (const Dimension& d : dimensions) {
    Message dimension;
    if (const auto* size = std::get_if<std::int64_t>(&d)) {
      dimension.integer(value::kSize, *size);
    } else {
      dimension.text(value::kSymbol, std::get<std::string>(d));
    }
    shape.message(value::kDim, dimension);
  }
  Message of_tensor;
  of_tensor.integer(value::kElement, tensor::kIsFloat);
  of_tensor.message(value::kShape, shape);
  Message type;
  type.message(value::kTensor, of_tensor);
  Message info;
  info.text(value::kName, name);
  info.message(value::kType, type);
  return info;
}

Message describe(const Attribute& a) {
  Message m;
  m.text(attribute::kName, a.name);
  if (const auto* i = std::get_if<std::int64_t>(&a.value)) {
    m.integer(attribute::kInt, *i);
    m.integer(attribute::kType, attribute::kIsInt);
  } else if (const auto* f = std::get_if<float>(&a.value)) {
    m.real(attribute::kFloat, *f);
    m.integer(attribute::kType, attribute::kIsFloat);
  } else if (const auto* s = std::get_if<std::string>(&a.value)) {
    m.text(attribute::kString, *s);
    m.integer(attribute::kType, attribute::kIsString);
  } else {
    // One by one: the schema is proto2, whose checkers want repeated numbers unpacked.
    for (const std::int64_t element : std::get<std::vector<std::int64_t>>(a.value))
      m.integer(attribute::kInts, element);
    m.integer(attribute::kType, attribute::kIsInts);
  }
  return m;
}

}  // namespace

void Graph::claim(const std::string& name) {
  DCASE_CHECK(names_.insert(name).second, "onnx: two values are called ", name);
}

Value Graph::input(const std::string& name, const std::vector<Dimension>& shape) {
  claim(name);
  graph_.message(graph::kInput, describe(name, shape));
  return name;
}

void Graph::output(const Value& value, const std::string& name, const std::vector<Dimension>& shape) {
  node(name, "Identity", {value});
  graph_.message(graph::kOutput, describe(name, shape));
}

Value Graph::node(const std::string& name, const std::string& op, const std::vector<Value>& inputs,
                  const std::vector<Attribute>& attributes) {
  for (const Value& input : inputs) DCASE_CHECK(names_.contains(input), "onnx: ", name, " reads ", input, " too early");
  claim(name);
  Message m;
  for (const Value& input : inputs) m.text(node::kInput, input);
  m.text(node::kOutput, name);
  m.text(node::kName, name);
  m.text(node::kOp, op);
  for (const Attribute& a : attributes) m.message(node::kAttribute, describe(a));
  graph_.message(graph::kNode, m);
  return name;
}

Value Graph::initializer(const std::string& name, std::int64_t type, const std::vector<std::int64_t>& shape,
                         std::span<const std::byte> data) {
  claim(name);
  Message m;
  for (const std::int64_t size : shape) m.integer(tensor::kDims, size);
  m.integer(tensor::kType, type);
  m.text(tensor::kName, name);
  m.data(tensor::kData, data);
  graph_.message(graph::kInitializer, m);
  return name;
}

Value Graph::weight(const std::string& name) {
  const Shape shape = shape_of(name);
  return constant(name, {shape.begin(), shape.end()}, values_of(name));
}

Value Graph::transposed(const std::string& name) {
  const Shape shape = shape_of(name);
  DCASE_CHECK(shape.size() == 2, "onnx: ", name, " is no matrix");
  const auto rows = static_cast<std::size_t>(shape[0]);
  const auto columns = static_cast<std::size_t>(shape[1]);
  const std::vector<float> from = values_of(name);
  std::vector<float> to(from.size());
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) to[c * rows + r] = from[r * columns + c];
  }
  return constant(name + ".transposed", {shape[1], shape[0]}, to);
}

Value Graph::constant(const std::string& name, const std::vector<std::int64_t>& shape,
                      const std::vector<float>& values) {
  return initializer(name, tensor::kIsFloat, shape, std::as_bytes(std::span(values)));
}

Value Graph::integers(const std::string& name, const std::vector<std::int64_t>& values) {
  return initializer(name, tensor::kIsInt64, {static_cast<std::int64_t>(values.size())},
                     std::as_bytes(std::span(values)));
}

Value Graph::integer(const std::string& name, std::int64_t value) {
  return initializer(name, tensor::kIsInt64, {}, std::as_bytes(std::span(&value, 1)));
}

Shape Graph::shape_of(const std::string& weight) const {
  const StateEntry* entry = store_.find(weight);
  DCASE_CHECK(entry != nullptr && entry->counter == nullptr, "onnx: the model has no tensor ", weight);
  return entry->shape();
}

std::vector<float> Graph::values_of(const std::string& weight) const {
  const StateEntry* entry = store_.find(weight);
  DCASE_CHECK(entry != nullptr && entry->counter == nullptr, "onnx: the model has no tensor ", weight);
  return (entry->parameter != nullptr ? entry->parameter->value() : entry->buffer->value).to_vector();
}

std::string Graph::model(int opset, const std::map<std::string, std::string>& metadata) const {
  Message named = graph_;
  named.text(graph::kName, "dcasenet");
  Message version;  // of the standard operators, whose domain has no name
  version.integer(opset_id::kVersion, opset);
  Message m;
  m.integer(model::kIrVersion, kIrVersion);
  m.text(model::kProducer, "dcasenet");
  m.text(model::kProducerVersion, kVersion);
  m.message(model::kGraph, named);
  m.message(model::kOpset, version);
  for (const auto& [key, text] : metadata) {
    Message pair;
    pair.text(entry::kKey, key);
    pair.text(entry::kValue, text);
    m.message(model::kMetadata, pair);
  }
  return m.bytes();
}

}  // namespace dcase::onnx
