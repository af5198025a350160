/// ONNX files, read with a reader of the wire format of its own. That runtimes compute the same is checked by
/// tests/peers/check_onnx.py.

#include "dcasenet/onnx/export.hpp"

#include <cstring>
#include <map>

#include "dcasenet/onnx/message.hpp"
#include "engine/files.hpp"
#include "tests/support/test.hpp"

namespace dcase {
namespace {

using namespace std::string_literals;

struct Field {
  std::uint32_t number = 0;
  std::uint64_t value = 0;  // of a varint
  std::string bytes;        // of text and messages
};

std::uint64_t varint(const std::string& text, std::size_t& at) {
  std::uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(text.at(at++));
    value |= std::uint64_t{byte & 0x7FU} << shift;
    if (byte < 0x80) return value;
  }
}

std::vector<Field> fields(const std::string& message) {
  std::vector<Field> out;
  for (std::size_t at = 0; at < message.size();) {
    const std::uint64_t key = varint(message, at);
    Field f{.number = static_cast<std::uint32_t>(key >> 3U), .bytes = ""};
    if ((key & 7U) == 0) {
      f.value = varint(message, at);
    } else {
      const std::size_t size = (key & 7U) == 5 ? 4 : varint(message, at);
      REQUIRE(size <= message.size() - at);
      f.bytes = message.substr(at, size);
      at += size;
    }
    out.push_back(std::move(f));
  }
  return out;
}

/// The first field of this number, or a failed test.
Field field(const std::string& message, std::uint32_t number) {
  for (Field& f : fields(message)) {
    if (f.number == number) return f;
  }
  FAIL("no field " << number);
  return {};
}

struct File {
  std::map<std::string, std::string> initializers;        // raw data
  std::map<std::string, std::vector<std::int64_t>> dims;  // of initializers
  std::map<std::string, int> operators;                   // how many
  std::vector<std::string> inputs, outputs;
  std::map<std::string, std::string> metadata;
  std::uint64_t opset = 0;
  std::size_t floats = 0;  // elements of all initializers of that type
};

File read(const std::string& path) {
  File file;
  for (const Field& f : fields(read_file(path))) {
    if (f.number == 8) file.opset = field(f.bytes, 2).value;
    if (f.number == 14) file.metadata[field(f.bytes, 1).bytes] = field(f.bytes, 2).bytes;
    if (f.number != 7) continue;
    for (const Field& part : fields(f.bytes)) {
      if (part.number == 1) ++file.operators[field(part.bytes, 4).bytes];
      if (part.number == 11) file.inputs.push_back(field(part.bytes, 1).bytes);
      if (part.number == 12) file.outputs.push_back(field(part.bytes, 1).bytes);
      if (part.number != 5) continue;
      const std::string name = field(part.bytes, 8).bytes;
      file.initializers[name] = field(part.bytes, 9).bytes;
      if (field(part.bytes, 2).value == 1) file.floats += file.initializers[name].size() / sizeof(float);
      for (const Field& d : fields(part.bytes)) {
        if (d.number == 1) file.dims[name].push_back(static_cast<std::int64_t>(d.value));
      }
    }
  }
  return file;
}

std::vector<float> floats(const std::string& raw) {
  std::vector<float> values(raw.size() / sizeof(float));
  std::memcpy(values.data(), raw.data(), raw.size());
  return values;
}

Model small_model(int version = 3) {
  ModelInfo info;
  info.architecture = {.version = version, .divisor = 8, .classes_asc = 4, .classes_tag = 3, .classes_sed = 2};
  info.labels.asc = LabelSet({"forest", "market", "river", "seaside"});
  info.labels.tag = LabelSet({"Bark", "Stream", "Wind"});
  info.labels.sed = LabelSet({"dog", "knock"});
  info.metadata["dcasenet.train"] = "{}";
  return Model::create(info, 7);
}

}  // namespace

TEST_CASE("onnx: the wire format", "[onnx]") {
  onnx::Message inner;
  inner.integer(1, 150);
  CHECK(inner.bytes() == "\x08\x96\x01"s);
  onnx::Message m;
  m.text(2, "testing");
  m.message(3, inner);
  m.real(4, 1.0F);
  m.integer(20, -1);
  CHECK(m.bytes() ==
        "\x12\x07testing\x1a\x03\x08\x96\x01\x25"s + "\0\0\x80\x3f"s + "\xa0\x01" + std::string(9, '\xff') + "\x01");
}

TEST_CASE("onnx: the network has the model's tensors under their names, the GRU's in its own order", "[onnx]") {
  const test::TemporaryFolder folder;
  const Model model = small_model();
  export_onnx(model, {}, folder / "m.onnx");
  const File file = read(folder / "m.onnx");
  CHECK(file.opset == 17);
  CHECK(file.inputs == std::vector<std::string>{"log_mel"});
  CHECK(file.outputs == std::vector<std::string>{"asc", "tag", "sed"});
  CHECK(file.operators.at("Conv") == 17);  // 5 blocks of 2, 3 residual blocks of 2, one residual path
  CHECK(file.operators.at("BatchNormalization") == 17);
  CHECK(file.operators.at("GRU") == 2);
  CHECK(file.operators.at("AveragePool") == 5);
  CHECK(file.metadata.contains("dcasenet.labels"));
  CHECK_FALSE(file.metadata.contains("dcasenet.train"));

  const auto values = [&](const std::string& name) {
    return model.parameters().find(name)->parameter->value().to_vector();
  };
  CHECK(floats(file.initializers.at("conv_block1.conv1.weight")) == values("conv_block1.conv1.weight"));
  CHECK(file.dims.at("conv_block1.conv1.weight") == std::vector<std::int64_t>{8, 1, 3, 3});
  // r, z, n becomes z, r, n in both directions.
  constexpr std::size_t H = 16;
  CHECK(file.dims.at("gru_2.R") == std::vector<std::int64_t>{2, 3 * H, H});
  const std::vector<float> r = floats(file.initializers.at("gru_2.R"));
  const std::vector<float> reverse = values("gru_2.weight_hh_l0_reverse");
  for (const auto& [gate, stored] : std::vector<std::pair<std::size_t, std::size_t>>{{0, 1}, {1, 0}, {2, 2}}) {
    for (std::size_t i = 0; i < H * H; ++i) CHECK(r[(3 + gate) * H * H + i] == reverse[stored * H * H + i]);
  }
  // Two biases a direction, one after the other.
  const std::vector<float> b = floats(file.initializers.at("gru_2.B"));
  REQUIRE(b.size() == 2 * 6 * H);
  CHECK(b[3 * H] == values("gru_2.bias_hh_l0")[H]);
  CHECK(b[6 * H] == values("gru_2.bias_ih_l0_reverse")[H]);
  const std::vector<float> fc = floats(file.initializers.at("fc_ASC.weight.transposed"));
  CHECK(file.dims.at("fc_ASC.weight.transposed") == std::vector<std::int64_t>{16, 4});
  CHECK(fc[1] == values("fc_ASC.weight")[16]);

  export_onnx(model, {}, folder / "again.onnx");
  CHECK(read_file(folder / "again.onnx") == read_file(folder / "m.onnx"));
}

TEST_CASE("onnx: every tensor of every version is in the file", "[onnx]") {
  const test::TemporaryFolder folder;
  for (const int version : {1, 2, 3}) {
    const Model model = small_model(version);
    export_onnx(model, {}, folder / "m.onnx");
    const File file = read(folder / "m.onnx");
    CHECK(file.outputs.size() == 3);
    std::int64_t floats = 0;
    for (const StateEntry& e : model.parameters().entries()) {
      if (e.parameter != nullptr) floats += e.parameter->value().size();
      if (e.buffer != nullptr) floats += e.buffer->value.size();
    }
    CHECK(file.floats == static_cast<std::size_t>(floats));
  }
}

TEST_CASE("onnx: the pipeline starts from sound", "[onnx]") {
  const test::TemporaryFolder folder;
  const Model model = small_model();
  export_onnx(model, {.part = OnnxPart::kPipeline, .opset = 13}, folder / "m.onnx");
  const File file = read(folder / "m.onnx");
  CHECK(file.opset == 13);
  CHECK(file.inputs == std::vector<std::string>{"pcm"});
  CHECK(file.dims.at("front_end.transform") == std::vector<std::int64_t>{2050, 1, 960});
  // The filters cover what lies between the lowest and the highest frequency, and nothing of bin 0.
  const std::vector<float> filters = floats(file.initializers.at("front_end.filters"));
  REQUIRE(filters.size() == std::size_t{128} * 1025);
  CHECK(filters[0] == 0);
  CHECK(filters[1] > 0);
  CHECK(file.operators.at("Softmax") == 1);
}

TEST_CASE("onnx: what cannot be exported is an error", "[onnx]") {
  const test::TemporaryFolder folder;
  const Model model = small_model();
  CHECK_THROWS_WITH(export_onnx(model, {.opset = 18}, folder / "m.onnx"), Catch::Contains("only 13 to 17"));
  CHECK_THROWS_AS(export_onnx(model, {.opset = 12}, folder / "m.onnx"), Error);
  CHECK_THROWS_AS(export_onnx(model, {}, folder / "nowhere/m.onnx"), Error);
}

}  // namespace dcase
