#include "dcasenet/model.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "engine/files.hpp"
#include "tests/support/test.hpp"

namespace dcase {
namespace {

ModelInfo small_info(int version = 3) {
  ModelInfo info;
  info.architecture = {.version = version, .divisor = 8, .classes_asc = 4, .classes_tag = 3, .classes_sed = 2};
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

TEST_CASE("model: the full v3 has the released number of parameters, in the released order", "[model]") {
  ParameterStore store(Backend::cpu());
  static_cast<void>(make_network({}, store));
  CHECK(store.parameter_count() == 13882920);
  const auto& entries = store.entries();
  CHECK(entries.size() == 136);
  CHECK(entries[0].name() == "conv_block1.conv1.weight");
  CHECK(entries[2].name() == "conv_block1.bn1.weight");
  CHECK(entries.back().name() == "layer_TAG.6.bias");
}

TEST_CASE("model: the full v1 and v2 have as many parameters as the paper says", "[model]") {
  // 8.7 M and 8.9 M in its table 3; state_dicts in the order of their reference files.
  const auto check = [](int version, std::int64_t parameters, const char* golden) {
    ParameterStore store(Backend::cpu());
    static_cast<void>(make_network({.version = version}, store));
    CHECK(store.parameter_count() == parameters);
    std::vector<std::string> names;
    for (const StateEntry& e : store.entries()) {
      if (e.counter == nullptr) names.push_back("paramsum." + e.name());
    }
    std::vector<std::string> stored;
    for (const std::string& name : Archive::open(test::golden(golden)).names()) {
      if (name.starts_with("paramsum.")) stored.push_back(name);
    }
    CHECK(names == stored);
  };
  check(1, 8700200, "v1_full.safetensors");
  check(2, 8893736, "v2_full.safetensors");
}

TEST_CASE("model: every width of every version is there, and no other", "[model]") {
  for (const int version : {1, 2, 3}) {
    std::int64_t wider = std::numeric_limits<std::int64_t>::max();
    for (const std::int64_t divisor : {1, 2, 4, 8}) {
      ParameterStore store(Backend::cpu());
      static_cast<void>(make_network({.version = version, .divisor = divisor}, store));
      CHECK(store.parameter_count() < wider);
      wider = store.parameter_count();
    }
  }
  ParameterStore store(Backend::cpu());
  CHECK_THROWS_WITH(make_network({.version = 4}, store), Catch::Contains("v4"));
  CHECK_THROWS_WITH(make_network({.version = 1, .divisor = 16}, store), Catch::Contains("1/16"));
}

TEST_CASE("model: a task runs what it needs and its output does not depend on the others", "[model]") {
  for (const int version : {1, 2, 3}) {
    INFO("v" << version);
    Model model = Model::create(small_info(version), 7);
    model.parameters().set_trainable(false);
    std::vector<float> values(128 * 90);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i));
    const Variable x(Tensor::from({1, 128, 90, 1}, values, model.backend()));
    const Outputs all = model.network().forward(x, TaskSet::all(), Pass{});
    const Outputs asc = model.network().forward(x, Task::kAsc, Pass{});
    const Outputs sed = model.network().forward(x, Task::kSed, Pass{});
    const Outputs tag = model.network().forward(x, Task::kTag, Pass{});
    CHECK(asc.asc.value().to_vector() == all.asc.value().to_vector());
    CHECK(sed.sed.value().to_vector() == all.sed.value().to_vector());
    CHECK(tag.tag.value().to_vector() == all.tag.value().to_vector());
    CHECK(all.sed.value().shape() == Shape{1, 16, 2});  // 90 frames are two whole steps
    CHECK_FALSE(asc.sed.value().present());
    CHECK_FALSE(asc.tag.value().present());
    CHECK_FALSE(sed.asc.value().present());
    CHECK_FALSE(tag.sed.value().present());
    Taps taps;
    static_cast<void>(model.network().forward(x, Task::kAsc, Pass{}, &taps));
    CHECK(taps.contains("gru") == (version == 1));  // v1 tells scenes from what the GRU heard, the others do not
    CHECK_THROWS_WITH(
        model.network().forward(Variable(Tensor::filled({1, 128, 39, 1}, 0, model.backend())), TaskSet::all(), Pass{}),
        Catch::Contains("39 frames are too short"));
  }
}

TEST_CASE("model: dropout stands before the tags, and in v2 before the events as well", "[model]") {
  for (const int version : {1, 2, 3}) {
    INFO("v" << version);
    const Model model = Model::create(small_info(version), 7);
    const Variable x(Tensor::filled({2, 128, 80, 1}, 0.5F, model.backend()));
    const auto differs = [&](Task task) {
      const auto run = [&](std::uint64_t seed) {
        const Outputs out = model.network().forward(x, task, {.training = true, .random = {.seed = seed}});
        return (task == Task::kAsc ? out.asc : task == Task::kTag ? out.tag : out.sed).value().to_vector();
      };
      return run(1) != run(2);
    };
    CHECK(differs(Task::kTag));
    CHECK(differs(Task::kSed) == (version == 2));
    CHECK_FALSE(differs(Task::kAsc));
  }
}

TEST_CASE("model: a saved model comes back with weights, labels and metadata", "[model]") {
  const int version = GENERATE(1, 2, 3);
  const test::TemporaryFolder folder;
  Model model = Model::create(small_info(version), 7);
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
  const int version = GENERATE(1, 2, 3);
  const test::TemporaryFolder folder;
  const Model model = Model::create(small_info(version), 7);
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
  write("conv_block4_1.conv1.weight", "", "");
  CHECK_THROWS_WITH(Model::load(path), Catch::Contains("neither conv_block4_1 (v3) nor conv_block4 (v1, v2)"));
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
  CHECK_THROWS_WITH(Model::load(path), Catch::Contains("is missing; DcaseNet v2 of width 1/8 needs it"));
  write("", "", sizes("4", "8", "4"));
  CHECK_THROWS_WITH(Model::load(path), Catch::Contains("v4 is unknown"));
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
