#include "dcasenet/bn_stats.hpp"

#include <cmath>
#include <limits>

#include "dcasenet/session.hpp"
#include "engine/files.hpp"
#include "layers/batch_norm.hpp"
#include "tests/support/compare.hpp"

namespace dcase {
namespace {

ModelInfo small_info(BnStats mode) {
  ModelInfo info;
  info.architecture = {.version = 3, .divisor = 8, .classes_asc = 4, .classes_tag = 3, .classes_sed = 2};
  info.labels.asc = LabelSet({"forest", "market", "river", "seaside"});
  info.labels.tag = LabelSet({"Bark", "Stream", "Wind"});
  info.labels.sed = LabelSet({"dog", "knock"});
  info.bn_stats = mode;
  return info;
}

// Log-mel of another level and spread for each task.
Tensor input(Task task, std::int64_t step, const BackendPtr& backend) {
  Tensor x({2, 128, 43, 1}, backend);
  const RandomKey key{.seed = 3, .purpose = purpose_id(task_name(task)), .step = static_cast<std::uint32_t>(step)};
  const auto t = static_cast<float>(domain_of(task));
  for (std::int64_t i = 0; i < x.size(); ++i) {
    x.data()[i] = 0.4F * t + (1 + t) * (2 * uniform_float(key, static_cast<std::uint64_t>(i)) - 1);
  }
  return x;
}

// What a training does to averages, the weights standing still.
void training_passes(Model& model, int steps, bool domains) {
  model.parameters().set_trainable(false);
  for (int step = 0; step < steps; ++step) {
    for (const Task task : {Task::kAsc, Task::kSed, Task::kTag}) {
      const Pass pass{.training = true, .dropout = false, .domain = domains ? domain_of(task) : Pass::kNoDomain};
      static_cast<void>(model.network().forward(Variable(input(task, step, model.backend())), task, pass));
    }
  }
  model.refresh_averages();
}

const AverageSets& sets_of(const Model& model, const std::string& name) {
  for (const AverageSets& sets : model.parameters().averages()) {
    if (sets.common.mean->name == name + ".running_mean") return sets;
  }
  throw std::out_of_range(name);
}

std::vector<float> values(const Averages& a) {
  std::vector<float> all = a.mean->value.to_vector();
  const std::vector<float> variance = a.variance->value.to_vector();
  all.insert(all.end(), variance.begin(), variance.end());
  all.push_back(static_cast<float>(a.batches->value));
  return all;
}

std::vector<float> output(const Outputs& out, Task task) {
  return (task == Task::kAsc ? out.asc : task == Task::kTag ? out.tag : out.sed).value().to_vector();
}

// Averages of every kind in a model; the passes of three joint steps.
Model trained(BnStats mode) {
  Model model = Model::create(small_info(mode), 7);
  training_passes(model, 3, mode != BnStats::kShared);
  return model;
}

void copy_archive(const Archive& archive, ArchiveWriter& writer, const std::string& skip = "") {
  for (const TensorInfo& tensor : archive.tensors()) {
    if (tensor.name == skip) continue;
    if (tensor.dtype == DType::kI64) {
      writer.add(tensor.name, tensor.shape, archive.integers(tensor.name));
    } else {
      writer.add(tensor.name, tensor.shape, archive.floats(tensor.name));
    }
  }
}

}  // namespace

TEST_CASE("bn_stats: each pass moves its task's averages, and the mixture as a pass without domain moves the only ones",
          "[bn_stats]") {
  const Model shared = trained(BnStats::kShared);
  const Model model = trained(BnStats::kPerTask);
  for (std::size_t i = 0; i < model.parameters().averages().size(); ++i) {
    const AverageSets& sets = model.parameters().averages()[i];
    INFO(sets.common.mean->name);
    CHECK(values(sets.mixture) == values(shared.parameters().averages()[i].common));
  }
  const AverageSets& trunk = sets_of(model, "conv_block1.bn1");
  for (const Averages& own : trunk.domains) CHECK(own.batches->value == 3);
  CHECK(trunk.mixture.batches->value == 9);
  CHECK(values(trunk.domains[0]) != values(trunk.domains[1]));
  const AverageSets& head = sets_of(model, "layer_ASC.0.bn1");
  CHECK(head.domains[static_cast<std::size_t>(domain_of(Task::kAsc))].batches->value == 3);
  CHECK(head.domains[static_cast<std::size_t>(domain_of(Task::kTag))].batches->value == 0);
  CHECK(averaged_batches(model.parameters(), Task::kTag) == 3);
  CHECK(averaged_batches(shared.parameters(), Task::kTag) == 0);
}

TEST_CASE("bn_stats: pooled averages are the moments of a population to which tasks contribute equally", "[bn_stats]") {
  const Model model = trained(BnStats::kPooled);
  const AverageSets& sets = sets_of(model, "conv_block2.bn1");
  const auto at = [](const Averages& a, std::int64_t c) {
    return std::pair{static_cast<double>(a.mean->value.data()[c]), static_cast<double>(a.variance->value.data()[c])};
  };
  for (std::int64_t c = 0; c < sets.common.mean->value.size(); ++c) {
    // By raw moments: E[x] and E[x^2] - E[x]^2.
    double first = 0;
    double second = 0;
    for (const Averages& own : sets.domains) {
      const auto [mean, variance] = at(own, c);
      first += mean / 3;
      second += (variance + mean * mean) / 3;
    }
    const auto [mean, variance] = at(sets.common, c);
    CHECK(mean == Approx(first).margin(1e-6));
    CHECK(variance == Approx(second - first * first).epsilon(1e-5));
  }
  CHECK(sets.common.batches->value == 9);
  // One task alone passes through the scene head; the layer has that task's.
  const AverageSets& head = sets_of(model, "layer_ASC.0.bn1");
  CHECK(values(head.common) == values(head.domains[0]));
}

TEST_CASE("bn_stats: a task's evaluation per task is that of a model whose only averages are the task's",
          "[bn_stats]") {
  const Model model = trained(BnStats::kPerTask);
  for (const Task task : kAllTasks) {
    Model single = trained(BnStats::kPerTask);
    for (const AverageSets& sets : single.parameters().averages()) {
      const Averages& own = sets.domains[static_cast<std::size_t>(domain_of(task))];
      if (own.batches->value == 0) continue;
      sets.common.mean->value.copy_from(own.mean->value);
      sets.common.variance->value.copy_from(own.variance->value);
    }
    single.info().bn_stats = BnStats::kShared;
    const Variable x(input(task, 9, model.backend()));
    const std::vector<float> expected = output(single.network().forward(x, task, Pass{}), task);
    CHECK(output(model.evaluate(x, task), task) == expected);
    CHECK(output(model.network().forward(x, task, Pass{}), task) != expected);  // the pooled ones differ
  }
}

TEST_CASE("bn_stats: a call for three tasks gives each what it gets alone; per task, by a trunk of its own",
          "[bn_stats]") {
  for (const auto& [word, mode] : kBnStatsWords) {
    INFO(word);
    const auto model = std::make_shared<const Model>(trained(mode));
    const Tensor log_mel = input(Task::kSed, 9, model->backend());
    const Outputs all = model->evaluate(Variable(log_mel), TaskSet::all());
    const Outputs one_trunk = model->network().forward(Variable(log_mel), TaskSet::all(), Pass{});
    const NetworkOutputs session =
        Session(model).run_log_mel({log_mel.data(), {log_mel.dim(0), log_mel.dim(1), log_mel.dim(2)}});
    for (const Task task : kAllTasks) {
      CHECK(output(all, task) == output(model->evaluate(Variable(log_mel), task), task));
      CHECK((output(all, task) == output(one_trunk, task)) == (mode != BnStats::kPerTask));
      const Tensor& out = task == Task::kAsc ? session.asc : task == Task::kTag ? session.tag : session.sed;
      CHECK(out.to_vector() == output(all, task));
    }
  }
}

TEST_CASE("bn_stats: a task without a batch is evaluated with the pooled averages of the others", "[bn_stats]") {
  Model model = trained(BnStats::kPerTask);
  forget_averages(model.parameters(), Task::kTag);
  model.refresh_averages();
  CHECK(averaged_batches(model.parameters(), Task::kTag) == 0);
  const AverageSets& sets = sets_of(model, "conv_block1.bn2");
  const float a = sets.domains[0].mean->value.data()[1];
  const float b = sets.domains[static_cast<std::size_t>(domain_of(Task::kSed))].mean->value.data()[1];
  CHECK(sets.common.mean->value.data()[1] == Approx((a + b) / 2).margin(1e-6));
  const Variable x(input(Task::kTag, 9, model.backend()));
  CHECK(output(model.evaluate(x, Task::kTag), Task::kTag) ==
        output(model.network().forward(x, Task::kTag, Pass{}), Task::kTag));
}

TEST_CASE("bn_stats: a file keeps all averages, and its released names alone are the pooled model", "[bn_stats]") {
  const test::TemporaryFolder folder;
  const Model model = trained(BnStats::kPerTask);
  model.save(folder / "m.safetensors");
  const Model back = Model::load(folder / "m.safetensors");
  CHECK(back.info().bn_stats == BnStats::kPerTask);
  CHECK(back.parameters().flat_buffers().to_vector() == model.parameters().flat_buffers().to_vector());
  back.save(folder / "again.safetensors");
  CHECK(read_file(folder / "m.safetensors") == read_file(folder / "again.safetensors"));

  const Archive archive = Archive::open(folder / "m.safetensors");
  CHECK(archive.contains("averages.sed.conv_block4_2.bn2.running_var"));
  CHECK(archive.contains("averages.shared.layer_ASC.0.downsample.1.num_batches_tracked"));
  ArchiveWriter plain;  // what a program makes of it that knows the released names alone
  for (const StateEntry& entry : model.parameters().entries()) {
    if (entry.counter == nullptr) plain.add(entry.name(), entry.shape(), archive.floats(entry.name()));
  }
  plain.write(folder / "plain.safetensors");
  const Model only = Model::load(folder / "plain.safetensors");
  CHECK(only.info().bn_stats == BnStats::kShared);
  Model pooled = Model::load(archive);
  pooled.set_bn_stats(BnStats::kPooled);
  const Variable x(input(Task::kAsc, 9, model.backend()));
  CHECK(output(only.evaluate(x, Task::kAsc), Task::kAsc) == output(pooled.evaluate(x, Task::kAsc), Task::kAsc));
}

TEST_CASE("bn_stats: shared models and their files are as if there were no other averages", "[bn_stats]") {
  const test::TemporaryFolder folder;
  trained(BnStats::kShared).save(folder / "m.safetensors");
  const Archive archive = Archive::open(folder / "m.safetensors");
  CHECK_FALSE(archive.metadata().contains("dcasenet.bn_stats"));
  CHECK(archive.tensors().size() == Model::load(archive).parameters().entries().size());
  // To averages of single tasks and back: the same model.
  Model model = Model::load(archive);
  model.set_bn_stats(BnStats::kPerTask);
  CHECK(averaged_batches(model.parameters(), Task::kAsc) == 0);
  const Variable x(input(Task::kTag, 9, model.backend()));
  CHECK(output(model.evaluate(x, Task::kTag), Task::kTag) ==
        output(Model::load(archive).evaluate(x, Task::kTag), Task::kTag));
  model.set_bn_stats(BnStats::kShared);
  model.save(folder / "again.safetensors");
  CHECK(read_file(folder / "m.safetensors") == read_file(folder / "again.safetensors"));
}

TEST_CASE("bn_stats: starting from a model of another mode", "[bn_stats]") {
  const test::TemporaryFolder folder;
  const Model donor = trained(BnStats::kPerTask);
  donor.save(folder / "per-task.safetensors");
  trained(BnStats::kShared).save(folder / "shared.safetensors");
  const auto started = [&](BnStats mode, const char* from) {
    Model model = Model::create(small_info(mode), 9);
    CHECK(model.read_matching(Archive::open(folder / from), 9).drawn.empty());
    return model;
  };
  const auto trunk = [](const Model& model) -> const AverageSets& { return sets_of(model, "conv_block3.bn1"); };
  const AverageSets& own = trunk(donor);

  const Model same = started(BnStats::kPooled, "per-task.safetensors");
  CHECK(same.parameters().flat_buffers().to_vector() == donor.parameters().flat_buffers().to_vector());
  // One set: the pooled ones.
  CHECK(values(trunk(started(BnStats::kShared, "per-task.safetensors")).common) == values(own.common));
  // Sets for each task: they begin at the one there is, and count from nothing.
  const Model split = started(BnStats::kPerTask, "shared.safetensors");
  CHECK(values(trunk(split).mixture) == values(trunk(split).common));
  CHECK(trunk(split).domains[1].mean->value.to_vector() == trunk(split).common.mean->value.to_vector());
  CHECK(trunk(split).domains[1].batches->value == 0);
}

TEST_CASE("bn_stats: files whose averages and metadata disagree", "[bn_stats]") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "m.safetensors";
  trained(BnStats::kPerTask).save(path);
  trained(BnStats::kShared).save(folder / "shared.safetensors");
  const Archive whole = Archive::open(path);
  const Archive without = Archive::open(folder / "shared.safetensors");
  const std::string other = folder / "other.safetensors";
  const auto write = [&](const Archive& from, const std::string& mode, const std::string& skip = "",
                         const std::function<void(ArchiveWriter&)>& extra = {}) {
    ArchiveWriter writer;
    copy_archive(from, writer, skip);
    if (!mode.empty()) writer.metadata("dcasenet.bn_stats", mode);
    if (extra) extra(writer);
    writer.write(other);
  };
  write(whole, "");  // written anew by a program that drops metadata
  CHECK(Model::load(other).info().bn_stats == BnStats::kPooled);
  write(whole, "shared");
  CHECK_THROWS_WITH(Model::load(other), Catch::Contains("averages.asc.") && Catch::Contains("no part of"));
  write(without, "per-task");
  CHECK_THROWS_WITH(Model::load(other), Catch::Contains("averages.asc.conv_block1.bn1.running_mean is missing"));
  const std::string count = "averages.tag.conv_block1.bn1.num_batches_tracked";
  write(whole, "pooled", count);
  CHECK_THROWS_WITH(Model::load(other), Catch::Contains(count + " is missing"));
  for (const std::int64_t hostile : {std::int64_t{-1}, std::numeric_limits<std::int64_t>::max()}) {
    write(whole, "pooled", count, [&](ArchiveWriter& w) { w.add(count, {}, std::vector<std::int64_t>{hostile}); });
    CHECK_THROWS_WITH(Model::load(other), Catch::Contains("is no count"));
  }
  write(whole, "pooled", count, [&](ArchiveWriter& w) { w.add(count, {0}, std::vector<std::int64_t>{}); });
  CHECK_THROWS_WITH(Model::load(other), Catch::Contains("has shape"));
  write(whole, "pooled", count, [&](ArchiveWriter& w) { w.add(count, {}, std::vector<float>{1}); });
  CHECK_THROWS_AS(Model::load(other), Error);
  write(whole, "everything");
  CHECK_THROWS_WITH(Model::load(other), Catch::Contains("shared, pooled and per-task are known"));
  write(whole, "per-task", "", [](ArchiveWriter& w) { w.add("averages.dog.bn", {1}, std::vector<float>{1}); });
  CHECK_THROWS_WITH(Model::load(other), Catch::Contains("averages.dog.bn"));
}

TEST_CASE(
    "bn_stats: a model reduced to one set computes for a task what its own averages do, and is the state_dict alone",
    "[bn_stats]") {
  const Model whole = trained(BnStats::kPerTask);
  const Model pooled = [] {
    Model model = trained(BnStats::kPooled);
    model.drop_task_averages();
    return model;
  }();
  for (const Task task : kAllTasks) {
    Model single = trained(BnStats::kPerTask);
    single.drop_task_averages(task);
    CHECK(single.info().bn_stats == BnStats::kShared);
    const Variable x(input(task, 9, single.backend()));
    CHECK(output(single.evaluate(x, task), task) == output(whole.evaluate(x, task), task));
    CHECK(output(pooled.evaluate(x, task), task) != output(whole.evaluate(x, task), task));
    ArchiveWriter writer;
    single.write(writer);
    const Archive archive = writer.in_memory("single");
    for (const TensorInfo& tensor : archive.tensors()) {
      CHECK_FALSE(tensor.name.starts_with("averages."));
    }
    CHECK_THROWS_WITH(single.drop_task_averages(), Catch::Contains("no batch-norm averages of single tasks"));
  }
  Model fresh = Model::create(small_info(BnStats::kPerTask), 7);
  CHECK_THROWS_WITH(fresh.drop_task_averages(Task::kTag), Catch::Contains("no batch of tag"));
}

TEST_CASE("batch norm: cumulative averages are means over all batches and leave the mixture alone", "[bn_stats]") {
  ParameterStore store(Backend::cpu());
  const BatchNorm bn{Scope(store, "bn"), 2};
  store.allocate();
  store.initialise(1);
  const std::vector<std::vector<float>> batches = {{1, 10, 3, 30, 8, 20}, {5, 0, 5, 60, 2, 0}, {-1, 7, 0, 7, 1, 7}};
  for (const auto& batch : batches) {
    const Tensor x = Tensor::from({1, 1, 3, 2}, batch, store.backend());
    static_cast<void>(bn.forward(Variable(x), Pass{.training = true, .domain = 2, .cumulative = true}, false));
  }
  const AverageSets& sets = store.averages()[0];
  for (std::size_t c = 0; c < 2; ++c) {
    double mean = 0;
    double variance = 0;
    for (const auto& b : batches) {
      const double m = (static_cast<double>(b[c]) + static_cast<double>(b[c + 2]) + static_cast<double>(b[c + 4])) / 3;
      mean += m / 3;
      for (const std::size_t i : {c, c + 2, c + 4}) variance += std::pow(static_cast<double>(b[i]) - m, 2) / 2 / 3;
    }
    CHECK(sets.domains[2].mean->value.data()[c] == Approx(mean));
    CHECK(sets.domains[2].variance->value.data()[c] == Approx(variance));
  }
  CHECK(sets.domains[2].batches->value == 3);
  CHECK(sets.mixture.batches->value == 0);
  CHECK(sets.common.batches->value == 0);
}

}  // namespace dcase
