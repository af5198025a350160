#include "dcasenet/model.hpp"

#include <filesystem>
#include <fstream>

#include "engine/files.hpp"
#include "tests/support/test.hpp"

namespace dcase {
namespace {

ModelInfo small_info() {
  ModelInfo info;
  info.architecture = {.version = 3, .divisor = 8, .classes_asc = 4, .classes_tag = 3, .classes_sed = 2};
  info.labels.asc = LabelSet({"forest", "market", "river", "seaside"});
  info.labels.tag = LabelSet({"Bark", "Stream", "Wind"});
  info.labels.sed = LabelSet({"dog", "knock"});
  return info;
}

std::vector<float> state(const Model& model) {
  std::vector<float> values = model.parameters().flat_values().to_vector();
  const std::vector<float> buffers = model.parameters().flat_buffers().to_vector();
  values.insert(values.end(), buffers.begin(), buffers.end());
  return values;
}

}  // namespace

TEST_CASE("model: the full network has the released number of parameters, in the released order", "[model]") {
  ModelInfo info;
  for (const Task task : kAllTasks) info.labels[task] = builtin_labels(task);
  const Model model = Model::create(info, 1);
  CHECK(model.parameters().parameter_count() == 13882920);
  const auto& entries = model.parameters().entries();
  CHECK(entries.size() == 136);
  CHECK(entries[0].name() == "conv_block1.conv1.weight");
  CHECK(entries[2].name() == "conv_block1.bn1.weight");
  CHECK(entries.back().name() == "layer_TAG.6.bias");
}

TEST_CASE("model: a saved model comes back with weights, labels and metadata", "[model]") {
  const test::TemporaryFolder folder;
  Model model = Model::create(small_info(), 7);
  model.info().metadata["note"] = "trained by hand";
  model.parameters().find("conv_block1.bn1.num_batches_tracked")->counter->value = 12;
  model.save(folder / "m.safetensors");
  const Model back = Model::load(folder / "m.safetensors");
  CHECK(state(back) == state(model));
  CHECK(back.info().labels == model.info().labels);
  CHECK(back.info().architecture == model.info().architecture);
  CHECK(back.info().metadata.at("note") == "trained by hand");
  CHECK(back.parameters().find("conv_block1.bn1.num_batches_tracked")->counter->value == 12);
  back.save(folder / "again.safetensors");
  CHECK(read_file(folder / "m.safetensors") == read_file(folder / "again.safetensors"));
}

TEST_CASE("model: a bare state_dict is recognised by its shapes", "[model]") {
  const test::TemporaryFolder folder;
  const Model model = Model::create(small_info(), 7);
  ArchiveWriter writer;
  for (const StateEntry& e : model.parameters().entries()) {
    if (e.parameter != nullptr) writer.add(e.name(), View<const float>(e.parameter->value()));
    if (e.buffer != nullptr) writer.add(e.name(), View<const float>(e.buffer->value));
  }
  writer.write(folder / "bare.safetensors");  // no counters either, as very old files
  const Model back = Model::load(folder / "bare.safetensors");
  CHECK(back.info().architecture == model.info().architecture);
  CHECK(back.info().labels.asc[2] == "class_2");
  CHECK(state(back) == state(model));
}

TEST_CASE("model: what does not fit is refused in one sentence", "[model]") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "m.safetensors";
  const auto write = [&](const std::string& skip, const std::string& extra, const std::string& architecture) {
    const Model model = Model::create(small_info(), 7);
    ArchiveWriter writer;
    for (const StateEntry& e : model.parameters().entries()) {
      if (e.name() == skip) continue;
      if (e.parameter != nullptr) writer.add(e.name(), View<const float>(e.parameter->value()));
      if (e.buffer != nullptr) writer.add(e.name(), View<const float>(e.buffer->value));
    }
    if (!extra.empty()) writer.add(extra, {1}, std::vector<float>{1});
    if (!architecture.empty()) writer.metadata("dcasenet.architecture", architecture);
    writer.write(path);
  };
  write("gru_1.bias_hh_l0", "", "");
  CHECK_THROWS_WITH(Model::load(path), Catch::Contains("gru_1.bias_hh_l0 is missing"));
  write("", "surprise", "");
  CHECK_THROWS_WITH(Model::load(path), Catch::Contains("surprise"));
  write("", "train.adam_m", "");
  CHECK_NOTHROW(Model::load(path));
  const auto sizes = [](const char* version, const char* divisor, const char* asc) {
    return concat(R"({"version":)", version, R"(,"width_divisor":)", divisor, R"(,"classes_asc":)", asc,
                  R"(,"classes_tag":3,"classes_sed":2})");
  };
  write("", "", sizes("3", "4", "4"));
  CHECK_THROWS_WITH(Model::load(path), Catch::Contains("needs [16,1,3,3]"));
  write("", "", sizes("2", "8", "4"));
  CHECK_THROWS_WITH(Model::load(path), Catch::Contains("v2 is not built"));
  write("", "", sizes("3", "0", "4"));
  CHECK_THROWS_AS(Model::load(path), Error);
  write("", "", sizes("3", "8", "-1"));
  CHECK_THROWS_WITH(Model::load(path), Catch::Contains("-1 classes"));
  write("", "", sizes("3", "8", "1e300"));
  CHECK_THROWS_AS(Model::load(path), Error);
  write("", "", "{\"version\":3");
  CHECK_THROWS_WITH(Model::load(path), Catch::Contains("no JSON object"));
  CHECK_THROWS_WITH(Model::load(folder / "nowhere.safetensors"), Catch::Contains("nowhere.safetensors"));
}

TEST_CASE("model: matching tensors are taken, the others drawn and named", "[model]") {
  const test::TemporaryFolder folder;
  const Model donor = Model::create(small_info(), 7);
  donor.save(folder / "donor.safetensors");
  ModelInfo other = small_info();
  other.architecture.classes_tag = 5;
  other.labels.tag = LabelSet({"a", "b", "c", "d", "e"});
  Model model = Model::create(other, 9);
  const auto drawn = model.read_matching(Archive::open(folder / "donor.safetensors"), 9);
  CHECK(drawn == std::vector<std::string>{"layer_TAG.6.weight", "layer_TAG.6.bias"});
  CHECK(model.parameters().find("gru_1.weight_ih_l0")->parameter->value().to_vector() ==
        donor.parameters().find("gru_1.weight_ih_l0")->parameter->value().to_vector());
}

TEST_CASE("model: class counts and names must agree", "[model]") {
  ModelInfo info = small_info();
  info.labels.tag = LabelSet({"only one"});
  CHECK_THROWS_WITH(Model::create(info, 1), Catch::Contains("1 class names for 3 classes"));
  info = small_info();
  info.architecture.divisor = 3;
  CHECK_THROWS_AS(Model::create(info, 1), Error);
}

}  // namespace dcase
