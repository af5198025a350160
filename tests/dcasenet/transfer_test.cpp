/// Training on from another model: heads of other classes, other versions, frozen parts.

#include <algorithm>
#include <cstddef>
#include <deque>

#include "dcasenet/model.hpp"
#include "tests/support/test.hpp"

namespace dcase {
namespace {

using Names = std::vector<std::string>;

ModelInfo info_with(const Names& scenes, int version = 3) {
  ModelInfo info;
  info.labels.asc = LabelSet(scenes);
  info.labels.tag = LabelSet({"Bark", "Stream", "Wind"});
  info.labels.sed = LabelSet({"dog", "knock"});
  info.architecture = {
      .version = version, .divisor = 8, .classes_asc = info.labels.asc.size(), .classes_tag = 3, .classes_sed = 2};
  return info;
}

std::vector<float> values(const Model& model, const std::string& name) {
  return model.parameters().find(name)->parameter->value().to_vector();
}

// Row k of a tensor of the scene head.
std::vector<float> row(const Model& model, const std::string& name, int k) {
  const Tensor& t = model.parameters().find(name)->parameter->value();
  const std::vector<float> all = t.to_vector();
  const auto length = static_cast<std::ptrdiff_t>(t.size() / t.dim(0));
  return {all.begin() + k * length, all.begin() + (k + 1) * length};
}

/// A model with its weights in a file.
struct Donor {
  test::TemporaryFolder folder;
  Model model = Model::create(info_with({"forest", "market", "river"}), 7);
  Archive archive = [&] {
    model.save(folder / "donor.safetensors");
    return Archive::open(folder / "donor.safetensors");
  }();
};

}  // namespace

TEST_CASE("transfer: a head of as many other classes is drawn and said so", "[transfer]") {
  const Donor donor;
  Model model = Model::create(info_with({"bus", "metro", "tram"}), 9);
  const Model fresh = Model::create(info_with({"bus", "metro", "tram"}), 9);
  const Transfer transfer = model.read_matching(donor.archive, 9);
  CHECK(transfer.drawn == Names{"fc_ASC.weight", "fc_ASC.bias"});
  CHECK(transfer.heads.empty());
  CHECK(values(model, "fc_ASC.weight") == values(fresh, "fc_ASC.weight"));
  CHECK(values(model, "fc_ASC.bias") == values(fresh, "fc_ASC.bias"));
  CHECK(values(model, "code_ASC.weight") == values(donor.model, "code_ASC.weight"));
  CHECK(values(model, "layer_TAG.6.weight") == values(donor.model, "layer_TAG.6.weight"));
}

TEST_CASE("transfer: classes of the same name bring their rows", "[transfer]") {
  const Donor donor;
  const Names scenes = {"river", "tram", "forest", "bus"};
  Model model = Model::create(info_with(scenes), 9);
  const Model fresh = Model::create(info_with(scenes), 9);
  const Transfer transfer = model.read_matching(donor.archive, 9);
  CHECK(transfer.drawn.empty());
  REQUIRE(transfer.heads.size() == 1);
  CHECK(transfer.heads[0].task == Task::kAsc);
  CHECK(transfer.heads[0].kept == Names{"river", "forest"});
  CHECK(transfer.heads[0].drawn == Names{"tram", "bus"});
  for (const std::string name : {"fc_ASC.weight", "fc_ASC.bias"}) {
    CHECK(row(model, name, 0) == row(donor.model, name, 2));
    CHECK(row(model, name, 1) == row(fresh, name, 1));
    CHECK(row(model, name, 2) == row(donor.model, name, 0));
    CHECK(row(model, name, 3) == row(fresh, name, 3));
  }
}

TEST_CASE("transfer: the same classes in another order keep what they know", "[transfer]") {
  const Donor donor;
  Model model = Model::create(info_with({"river", "forest", "market"}), 9);
  const Transfer transfer = model.read_matching(donor.archive, 9);
  REQUIRE(transfer.heads.size() == 1);
  CHECK(transfer.heads[0].drawn.empty());
  CHECK(row(model, "fc_ASC.weight", 0) == row(donor.model, "fc_ASC.weight", 2));
  Model same = Model::create(info_with({"forest", "market", "river"}), 9);
  CHECK(same.read_matching(donor.archive, 9).heads.empty());
  CHECK(values(same, "fc_ASC.weight") == values(donor.model, "fc_ASC.weight"));
}

TEST_CASE("transfer: a file that does not say its classes gives no rows, one that contradicts itself is refused",
          "[transfer]") {
  const Donor donor;
  const test::TemporaryFolder folder;
  const auto copy = [&](const std::string& labels) {
    ArchiveWriter writer;
    std::deque<std::vector<std::byte>> keep;  // the writer does not copy
    for (const TensorInfo& t : donor.archive.tensors()) {
      keep.push_back(donor.archive.bytes(t.name));
      writer.add(t.name, t.dtype, t.shape, keep.back());
    }
    if (!labels.empty()) writer.metadata("dcasenet.labels", labels);
    writer.write(folder / "copy.safetensors");
    return Archive::open(folder / "copy.safetensors");
  };
  Model model = Model::create(info_with({"forest", "market", "river"}), 9);
  CHECK(model.read_matching(copy(""), 9).drawn.size() == 6);  // three heads, weight and bias
  CHECK(model.read_matching(copy(R"({"asc": ["forest", "market", "river"]})"), 9).drawn.size() == 4);
  CHECK_THROWS_WITH(model.read_matching(copy(R"({"asc": ["forest"]})"), 9), Catch::Contains("no list of 3 names"));
  CHECK_THROWS_WITH(model.read_matching(copy(R"({"asc": [1, 2, 3]})"), 9), Catch::Contains("no list of 3 names"));
  CHECK_THROWS_WITH(model.read_matching(copy("[]"), 9), Catch::Contains("no JSON object"));
}

TEST_CASE("transfer: a head of another shape, and another version, give what fits", "[transfer]") {
  const Donor donor;
  Model v1 = Model::create(info_with({"forest", "market", "river"}, 1), 9);
  const Transfer transfer = v1.read_matching(donor.archive, 9);
  CHECK(values(v1, "conv_block3.conv2.weight") == values(donor.model, "conv_block3.conv2.weight"));
  CHECK(values(v1, "layer_TAG.6.weight") == values(donor.model, "layer_TAG.6.weight"));
  const auto drawn = [&](const std::string& name) {
    return std::find(transfer.drawn.begin(), transfer.drawn.end(), name) != transfer.drawn.end();
  };
  CHECK(drawn("conv_block4.conv1.weight"));
  CHECK(drawn("event_fc.weight"));  // 512 inputs in v1, 256 in v3
  CHECK_FALSE(drawn("fc_ASC.weight"));
}

TEST_CASE("freeze: parts are named by whole components", "[transfer]") {
  Model model = Model::create(info_with({"forest", "market"}), 7);
  model.freeze({"conv_block1", "layer_TAG.3", "event_fc.bias"});
  Names frozen;
  for (const Parameter& p : model.parameters().parameters()) {
    if (p.frozen) frozen.push_back(p.name);
    CHECK(p.frozen != p.variable.requires_grad());
  }
  CHECK(frozen == Names{"conv_block1.conv1.weight", "conv_block1.conv2.weight", "conv_block1.bn1.weight",
                        "conv_block1.bn1.bias", "conv_block1.bn2.weight", "conv_block1.bn2.bias", "event_fc.bias",
                        "layer_TAG.3.weight", "layer_TAG.3.bias"});
}

TEST_CASE("freeze: an unknown part is refused with those that are there", "[transfer]") {
  Model model = Model::create(info_with({"forest", "market"}, 2), 7);
  const auto refusal = [&](const std::string& part) {
    try {
      model.freeze({part});
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::kUsage);
      return std::string(error.what());
    }
    return std::string("no error");
  };
  CHECK(refusal("conv_blok1") ==
        "'conv_blok1' is no part of DcaseNet v2; did you mean conv_block1? there are conv_block1, conv_block2, "
        "conv_block3, conv_block4, gru, layer_SED, event_fc, layer_ASC, code_ASC, fc_ASC, layer_TAG");
  CHECK_THAT(refusal("conv_block"), Catch::Contains("no part"));  // not the beginning of a component
  CHECK_THAT(refusal("layer_TAG.1"), Catch::Contains("there are layer_TAG.0, layer_TAG.3, layer_TAG.6"));
  CHECK_THAT(refusal("gru.weight_ih_l0.x"), Catch::Contains("gru.weight_hh_l0_reverse"));
  CHECK_THAT(refusal(""), Catch::Contains("no part"));
  CHECK_THAT(refusal("."), Catch::Contains("no part"));
  CHECK_THAT(refusal("conv_block1."), Catch::Contains("no part"));
  CHECK_THAT(refusal("gru\x1b[31m"), !Catch::Contains("\x1b"));
}

TEST_CASE("freeze: any part of any version may stand still while the others learn", "[transfer]") {
  const int version = GENERATE(1, 2, 3);
  const ModelInfo info = info_with({"forest", "market"}, version);
  Names parts;
  const Model whole = Model::create(info, 7);
  for (const Parameter& p : whole.parameters().parameters()) {
    const std::string part = p.name.substr(0, p.name.find('.'));
    if (parts.empty() || parts.back() != part) parts.push_back(part);
  }
  for (const std::string& part : parts) {
    INFO("v" << version << " " << part);
    Model model = Model::create(info, 7);
    model.freeze({part});
    const Variable x(Tensor::filled({2, 128, 80, 1}, 0.5F, model.backend()));
    const Outputs out = model.network().forward(x, TaskSet::all(), {.training = true});
    for (const Task task : kAllTasks) {
      const Tensor& y = out[task].value();
      backward(record("sum", Tensor::filled({1}, 0, y.backend()), {out[task]}, [](Grads& g) {
        const Gradient dx = g.in(0);
        for (std::int64_t i = 0; i < dx.view.size(); ++i) dx.view.data[i] = 0.01F * static_cast<float>(i % 7);
      }));
    }
    for (const StateEntry& e : model.parameters().entries()) {
      INFO(e.name());
      const bool inside = e.name().starts_with(part + ".");
      if (e.parameter != nullptr) CHECK(e.parameter->leaf.grad().present() != inside);
      if (e.counter != nullptr) CHECK(e.counter->value == (inside ? 0 : 1));
      if (e.buffer != nullptr && e.name().ends_with("running_var")) {
        const std::vector<float> now = e.buffer->value.to_vector();
        const bool moved = std::any_of(now.begin(), now.end(), [](float v) { return v != 1; });
        CHECK(moved != inside);
      }
    }
  }
}

}  // namespace dcase
