/// Files that PyTorch 1.13 wrote (tests/peers/write_pt.py), and files for it.

#include <set>

#include "dcasenet/model.hpp"
#include "dcasenet/weights/class_order.hpp"
#include "dcasenet/weights/weights.hpp"
#include "engine/files.hpp"
#include "tests/support/test.hpp"

namespace dcase {
namespace {

std::string pt(const std::string& name) { return test::golden("pt/" + name + ".pt"); }

/// Every tensor under `expected` stands in the archive with type, shape and bytes, and nothing else.
void check_equal(const Archive& archive, const std::string& expected) {
  static const Archive all = Archive::open(test::golden("pt/expected.safetensors"));
  std::size_t count = 0;
  for (const TensorInfo& e : all.tensors()) {
    if (!e.name.starts_with(expected + "/")) continue;
    ++count;
    const std::string name = e.name.substr(expected.size() + 1);
    INFO(archive.path() << ": " << name);
    REQUIRE(archive.contains(name));
    CHECK(archive.info(name).dtype == e.dtype);
    CHECK(archive.info(name).shape == e.shape);
    CHECK(archive.bytes(name) == all.bytes(e.name));
  }
  CHECK(count > 0);
  CHECK(archive.tensors().size() == count);
}

std::string notes(const Weights& weights) {
  std::string all;
  for (const std::string& note : weights.notes) all += note + "\n";
  return all;
}

Model small_model() {
  ModelInfo info;
  info.architecture = {.version = 3, .divisor = 8, .classes_asc = 10, .classes_tag = 3, .classes_sed = 2};
  info.labels.asc = builtin_labels(Task::kAsc);
  info.labels.tag = LabelSet({"Bark", "Stream", "Wind"});
  info.labels.sed = LabelSet({"dog", "knöck"});
  return Model::create(info, 7);
}

}  // namespace

TEST_CASE("torch: every type and view comes back as torch sees it, from both containers", "[torch]") {
  for (const std::string name : {"types", "views", "nested"}) {
    const Weights zip = open_weights(pt(name));
    CHECK(zip.format == WeightsFormat::kTorchZip);
    check_equal(zip.archive, name);
    const Weights stream = open_weights(pt(name + "_stream"));
    CHECK(stream.format == WeightsFormat::kTorchStream);
    check_equal(stream.archive, name);
    CHECK(notes(stream) == notes(zip));
  }
  for (const std::string name : {"protocol2", "protocol3", "protocol4", "protocol5"}) {
    check_equal(open_weights(pt(name)).archive, name);
  }
}

TEST_CASE("torch: what is passed over or renamed is said", "[torch]") {
  const Weights nested = open_weights(pt("nested"));
  CHECK_THAT(notes(nested), Catch::Contains("under 'model_state_dict'") && Catch::Contains("1 other dictionaries"));
  const Weights parallel = open_weights(pt("parallel"));
  check_equal(parallel.archive, "parallel");
  CHECK(notes(parallel) == "the prefix 'module.' was removed from all names\n");
  CHECK(notes(open_weights(pt("types"))).empty());
}

TEST_CASE("torch: a file of several dictionaries needs to be told which", "[torch]") {
  CHECK_THROWS_WITH(open_weights(pt("two")), Catch::Contains("'model' (2 tensors), 'ema' (2 tensors)"));
  check_equal(open_weights(pt("two"), "ema").archive, "two");
  CHECK_THROWS_WITH(open_weights(pt("two"), "optimizer"), Catch::Contains("no dictionary of tensors is called"));
  CHECK_THROWS_WITH(open_weights(test::golden("pt/expected.safetensors"), "ema"), Catch::Contains("PyTorch"));
}

TEST_CASE("torch: a pickled module is refused by the name of its class", "[torch]") {
  CHECK_THROWS_WITH(open_weights(pt("whole_module")),
                    Catch::Contains("torch.nn.modules.linear.Linear") && Catch::Contains("nothing is executed"));
}

TEST_CASE("torch: the released names make a model, in the old container, behind DataParallel", "[torch]") {
  const Model model = Model::load(pt("v3_names_stream"));
  CHECK(model.info().architecture == Architecture{.version = 3, .divisor = 8});
  CHECK(model.info().labels.tag == builtin_labels(Task::kTag));
  // Tensor i of the file holds 1 + i/1024, counters i: each must be where its name stands.
  std::int64_t i = 0;
  for (const StateEntry& entry : model.parameters().entries()) {
    INFO(entry.name());
    if (entry.counter != nullptr) {
      CHECK(entry.counter->value == i);
    } else {
      const Tensor& t = entry.parameter != nullptr ? entry.parameter->value() : entry.buffer->value;
      const std::vector<float> values = t.to_vector();
      CHECK(std::set<float>(values.begin(), values.end()) == std::set<float>{1 + static_cast<float>(i) / 1024});
    }
    ++i;
  }
  CHECK(i == 136);
}

TEST_CASE("torch: a written file is read back with types, shapes, bytes and metadata", "[torch]") {
  const test::TemporaryFolder folder;
  for (const std::string name : {"types", "views"}) {
    write_torch(open_weights(pt(name)).archive, folder / "again.pt");
    const Weights again = open_weights(folder / "again.pt");
    CHECK(again.format == WeightsFormat::kTorchZip);
    check_equal(again.archive, name);
  }
  const Model model = small_model();
  ArchiveWriter writer;
  model.write(writer);
  const Archive archive = writer.in_memory("model");
  write_torch(archive, folder / "model.pt");
  const Weights back = open_weights(folder / "model.pt");
  CHECK(back.notes.empty());
  CHECK(back.archive.metadata() == archive.metadata());
  CHECK(back.archive.names() == archive.names());
  const Model loaded = Model::load(folder / "model.pt");
  CHECK(loaded.info().labels == model.info().labels);
  CHECK(loaded.parameters().flat_values().to_vector() == model.parameters().flat_values().to_vector());

  write_torch(archive, folder / "twice.pt");
  CHECK(read_file(folder / "twice.pt") == read_file(folder / "model.pt"));
  CHECK_THROWS_AS(write_torch(archive, folder / "nowhere/model.pt"), Error);
}

TEST_CASE("torch: scenes in another order are moved with their names", "[torch]") {
  Model model = small_model();
  const std::vector<float> weight = model.parameters().find("fc_ASC.weight")->parameter->value().to_vector();
  const std::size_t width = weight.size() / 10;
  const auto row = [&](const std::vector<float>& w, std::size_t i) {
    return std::vector<float>(w.begin() + static_cast<std::ptrdiff_t>(i * width),
                              w.begin() + static_cast<std::ptrdiff_t>((i + 1) * width));
  };
  const LabelSet& builtin = builtin_labels(Task::kAsc);
  CHECK_FALSE(set_scene_classes(model, builtin, "list"));
  CHECK(model.parameters().find("fc_ASC.weight")->parameter->value().to_vector() == weight);

  std::vector<std::string> names = builtin.names();
  std::rotate(names.begin(), names.begin() + 3, names.end());
  CHECK(set_scene_classes(model, LabelSet(names), "list"));
  CHECK(model.info().labels.asc == builtin);
  const std::vector<float> moved = model.parameters().find("fc_ASC.weight")->parameter->value().to_vector();
  for (std::size_t i = 0; i < names.size(); ++i) {
    CHECK(row(moved, static_cast<std::size_t>(builtin.find(names[i]))) == row(weight, i));
  }

  names[0] = "beach";
  CHECK_FALSE(set_scene_classes(model, LabelSet(names), "list"));
  CHECK(model.info().labels.asc.names() == names);
  CHECK(model.parameters().find("fc_ASC.weight")->parameter->value().to_vector() == moved);
  names.pop_back();
  CHECK_THROWS_WITH(set_scene_classes(model, LabelSet(names), "list"),
                    Catch::Contains("list: names 9 scenes, the model has 10"));
}

}  // namespace dcase
