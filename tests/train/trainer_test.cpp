#include "train/trainer.hpp"

#include <fstream>
#include <sstream>

#include "tests/train/training_fixture.hpp"
#include "train/data/prefetcher.hpp"
#include "train/estimate.hpp"
#include "train/loss.hpp"

namespace dcase {
namespace {

TrainerOptions options(const std::string& folder, std::int64_t steps) {
  TrainerOptions o{.run_folder = folder, .seed = 1, .steps = steps};
  o.log_every = 2;
  o.evaluation.decisions.thresholds = {0.5};
  o.config = nlohmann::json::object();
  return o;
}

std::string text_of(const std::string& path) { return read_file(path); }

}  // namespace

TEST_CASE("trainer: three tasks are learned together", "[trainer]") {
  const int version = GENERATE(1, 2, 3);
  INFO("v" << version);
  const test::TemporaryFolder folder;
  const auto tasks = test::plans(test::write_manifest(folder.path()), 4, 120);
  const auto model = test::model_for(tasks, 1, BnStats::kShared, version);
  Trainer trainer(model, tasks, options(folder.path(), 30));
  std::vector<double> losses;
  std::vector<Evaluation> last;
  const TrainOutcome outcome =
      trainer.run({.step = [&](const StepReport& r) { losses.push_back(r.loss); },
                   .evaluation = [&](std::int64_t, const std::vector<Evaluation>& e) { last = e; },
                   .evaluation_progress = {},
                   .stop = {}});
  CHECK(outcome == TrainOutcome::kFinished);
  REQUIRE(losses.size() == 30);
  CHECK(losses.back() < 0.5 * losses.front());
  REQUIRE(last.size() == 3);
  CHECK(last[0].asc->overall.accuracy == 100);
  for (const char* name : {"last", "best_asc", "best_tag", "best_sed"}) {
    CHECK_NOTHROW(Model::load(folder / (std::string(name) + ".safetensors")));
  }
}

TEST_CASE("trainer: the model's memory does not grow after the first step", "[trainer]") {
  const test::TemporaryFolder folder;
  const auto tasks = test::plans(test::write_manifest(folder.path()), 2, 60);
  const auto model = test::model_for(tasks);
  Trainer trainer(model, tasks, options(folder.path(), 6));
  std::vector<std::uint64_t> growths;
  static_cast<void>(
      trainer.run({.step = [&](const StepReport&) { growths.push_back(model->backend()->memory().growths); },
                   .evaluation = {},
                   .evaluation_progress = {},
                   .stop = {}}));
  REQUIRE(growths.size() == 6);
  for (const std::uint64_t g : growths) CHECK(g == growths.front());
}

TEST_CASE("trainer: stopped and resumed ends in the bits of an uninterrupted run", "[trainer]") {
  const int version = GENERATE(1, 2, 3);
  const test::TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  const BnStats bn_stats = GENERATE(BnStats::kShared, BnStats::kPooled, BnStats::kPerTask);
  const auto train = [&](const std::string& run, std::int64_t stop_after) {
    std::filesystem::create_directories(folder / run);
    const auto tasks = test::plans(manifest, 3, 60, 0.3);
    const auto model = test::model_for(tasks, 1, bn_stats, version);
    TrainerOptions o = options(folder / run, 9);
    o.evaluate_every = 4;
    o.restart_steps = 6;
    Trainer trainer(model, tasks, o);
    const std::string last = trainer.last_path();
    if (std::filesystem::exists(last)) trainer.resume(Archive::open(last));
    const TrainOutcome outcome = trainer.run({.step = {}, .evaluation = {}, .evaluation_progress = {}, .stop = [&] {
                                                return stop_after > 0 && trainer.state().step >= stop_after;
                                              }});
    CHECK(outcome == (stop_after > 0 ? TrainOutcome::kStopped : TrainOutcome::kFinished));
    return test::state_of(*model);
  };
  const auto whole = train("whole", 0);
  static_cast<void>(train("parts", 2));
  static_cast<void>(train("parts", 5));
  CHECK(train("parts", 0) == whole);
  CHECK(text_of(folder / "parts/metrics.csv") == text_of(folder / "whole/metrics.csv"));
  // Optimiser, best results and weights: everything but the run's own history.
  for (const char* name : {"last", "best_asc"}) {
    const Archive a = Archive::open(folder / (concat("whole/", name, ".safetensors")));
    const Archive b = Archive::open(folder / (concat("parts/", name, ".safetensors")));
    REQUIRE(a.names() == b.names());
    for (const std::string& tensor : a.names()) CHECK(a.bytes(tensor) == b.bytes(tensor));
  }
  const auto history = [&](const std::string& run) {
    std::map<std::int64_t, std::map<std::string, double>> rows;
    for (const Validation& v : read_train_state(Archive::open(folder / (run + "/last.safetensors"))).history) {
      rows[v.step] = v.values;
    }
    return rows;
  };
  CHECK(history("parts") == history("whole"));
  REQUIRE(history("whole").size() == 3);  // steps 4, 8 and the end
  CHECK(history("whole").begin()->first == 4);
  CHECK(history("whole").at(9).contains("valid_asc_accuracy"));
}

TEST_CASE("trainer: frozen parts keep every bit while the others learn, also after a resume", "[trainer]") {
  const test::TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  const auto state_by_name = [](const Model& model) {
    std::map<std::string, std::vector<float>> state;
    for (const StateEntry& e : model.parameters().entries()) {
      if (e.parameter != nullptr) state[e.name()] = e.parameter->value().to_vector();
      if (e.buffer != nullptr) state[e.name()] = e.buffer->value.to_vector();
      if (e.counter != nullptr) state[e.name()] = {static_cast<float>(e.counter->value)};
    }
    return state;
  };
  const auto train = [&](const std::string& run, std::int64_t steps) {
    std::filesystem::create_directories(folder / run);
    const auto tasks = test::plans(manifest, 2, 60);
    const auto model = test::model_for(tasks);
    model->freeze({"conv_block1", "conv_block2", "layer_ASC.1", "gru_1"});
    TrainerOptions o = options(folder / run, steps);
    o.evaluate_every = 2;  // sets all parameters to constants and back
    o.optimizer.weight_decay = 0.01;
    Trainer trainer(model, tasks, o);
    if (std::filesystem::exists(trainer.last_path())) trainer.resume(Archive::open(trainer.last_path()));
    static_cast<void>(trainer.run());
    return state_by_name(*model);
  };
  const auto before = state_by_name(*test::model_for(test::plans(manifest, 2, 60)));
  const auto after = train("whole", 4);
  for (const auto& [name, values] : before) {
    const bool frozen = name.starts_with("conv_block1.") || name.starts_with("conv_block2.") ||
                        name.starts_with("layer_ASC.1.") || name.starts_with("gru_1.");
    INFO(name);
    CHECK((after.at(name) == values) == frozen);
  }
  static_cast<void>(train("parts", 2));
  CHECK(train("parts", 4) == after);
}

TEST_CASE("trainer: a task of which nothing is trained is refused", "[trainer]") {
  const test::TemporaryFolder folder;
  const auto tasks = test::plans(test::write_manifest(folder.path()), 2, 60);
  const auto model = test::model_for(tasks);
  model->freeze({"conv_block1", "conv_block2", "conv_block3", "conv_block4_1", "conv_block4_2", "gru_2", "event_fc"});
  Trainer trainer(model, tasks, options(folder.path(), 1));
  CHECK_THROWS_WITH(trainer.run(), Catch::Contains("train.freeze") && Catch::Contains("sed loss"));
}

TEST_CASE("trainer: batch-norm statistics change no weight, and every mode evaluates as its file does", "[trainer]") {
  const test::TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  std::vector<std::vector<float>> weights;
  std::vector<std::vector<float>> mixtures;
  for (const auto& [word, mode] : kBnStatsWords) {
    INFO(word);
    std::filesystem::create_directories(folder / word);
    const auto tasks = test::plans(manifest, 2, 60);
    const auto model = test::model_for(tasks, 1, mode);
    Trainer trainer(model, tasks, options(folder / word, 4));
    std::vector<Evaluation> last;
    static_cast<void>(trainer.run({.step = {},
                                   .evaluation = [&](std::int64_t, const std::vector<Evaluation>& e) { last = e; },
                                   .evaluation_progress = {},
                                   .stop = {}}));
    weights.push_back(model->parameters().flat_values().to_vector());
    auto loaded = std::make_shared<Model>(Model::load(trainer.last_path()));
    CHECK(loaded->info().bn_stats == mode);
    const Evaluation again =
        evaluate(Session(loaded), tasks[2].source, {.split = Split::kValid, .decisions = {.thresholds = {0.5}}});
    REQUIRE(last.size() == 3);
    CHECK(again.tag->lwlrap == last[2].tag->lwlrap);
    loaded->set_bn_stats(BnStats::kShared);
    std::vector<float> mixture;
    for (const AverageSets& sets : loaded->parameters().averages()) {
      const std::vector<float> mean = sets.common.mean->value.to_vector();
      mixture.insert(mixture.end(), mean.begin(), mean.end());
    }
    mixtures.push_back(mixture);
  }
  for (std::size_t i : {1U, 2U}) {
    CHECK(weights[i] == weights[0]);
    CHECK(mixtures[i] == mixtures[0]);
  }
}

TEST_CASE("trainer: fine-tuning one task evaluates with that task's averages alone", "[trainer]") {
  const test::TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  const auto tasks = test::plans(manifest, 2, 60);
  const auto joint = test::model_for(tasks, 1, BnStats::kPerTask);
  static_cast<void>(Trainer(joint, tasks, options(folder.path(), 2)).run());
  const std::string last = folder / "last.safetensors";
  for (const BnStats mode : {BnStats::kPooled, BnStats::kPerTask}) {
    const auto tuned = test::model_for(tasks, 2, mode);
    CHECK(tuned->read_matching(Archive::open(last), 2).drawn.empty());
    const std::vector<TaskPlan> sed = {tasks[1]};
    REQUIRE(sed[0].source.task == Task::kSed);
    static_cast<void>(Trainer(tuned, sed, options(folder / "", 2)).run());
    CHECK(averaged_batches(tuned->parameters(), Task::kSed) == 4);
    CHECK(averaged_batches(tuned->parameters(), Task::kAsc) == 0);
    CHECK(averaged_batches(tuned->parameters(), Task::kTag) == 0);
    const AverageSets& trunk = tuned->parameters().averages()[0];
    const Averages& own = trunk.domains[static_cast<std::size_t>(domain_of(Task::kSed))];
    CHECK(trunk.common.mean->value.to_vector() == own.mean->value.to_vector());
    CHECK(trunk.common.variance->value.to_vector() == own.variance->value.to_vector());
    std::filesystem::remove(folder / "best_sed.safetensors");
    joint->save(last);
  }
}

TEST_CASE("trainer: a run cannot go on with or without averages of single tasks that it began otherwise", "[trainer]") {
  const test::TemporaryFolder folder;
  const auto tasks = test::plans(test::write_manifest(folder.path()), 2, 60);
  Trainer first(test::model_for(tasks), tasks, options(folder.path(), 1));
  static_cast<void>(first.run());
  Trainer other(test::model_for(tasks, 1, BnStats::kPooled), tasks, options(folder.path(), 2));
  CHECK_THROWS_WITH(other.resume(Archive::open(first.last_path())),
                    Catch::Contains("has shared batch-norm statistics, not pooled"));
}

TEST_CASE("trainer: two runs of one seed are equal, another seed is not", "[trainer]") {
  const test::TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  const auto train = [&](const std::string& run, std::uint64_t seed) {
    std::filesystem::create_directories(folder / run);
    auto tasks = test::plans(manifest, 2, 60);
    for (TaskPlan& plan : tasks) plan.batch.seed = seed;
    const auto model = test::model_for(tasks, seed);
    TrainerOptions o = options(folder / run, 3);
    o.seed = seed;
    static_cast<void>(Trainer(model, tasks, o).run());
    return test::state_of(*model);
  };
  const auto first = train("a", 1);
  CHECK(train("b", 1) == first);
  CHECK(train("c", 2) != first);
}

TEST_CASE("trainer: a loss that is no number ends the run and keeps the checkpoint", "[trainer]") {
  const test::TemporaryFolder folder;
  const auto tasks = test::plans(test::write_manifest(folder.path()), 2, 60);
  const auto model = test::model_for(tasks);
  TrainerOptions o = options(folder.path(), 5);
  o.checkpoint_every = 1;
  Trainer trainer(model, tasks, o);
  std::string kept;
  const auto poison = [&](const StepReport& r) {
    if (r.step != 3) return;
    kept = text_of(trainer.last_path());  // of step 2
    model->parameters().find("code_ASC.bias")->parameter->value().fill(std::numeric_limits<float>::quiet_NaN());
  };
  o.checkpoint_every = 2;
  Trainer second(model, tasks, o);
  try {
    static_cast<void>(second.run(
        {.step = [&](const StepReport& r) { poison(r); }, .evaluation = {}, .evaluation_progress = {}, .stop = {}}));
    FAIL("the loss is NaN");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kNumeric);
    CHECK_THAT(error.what(), Catch::Contains("asc loss is nan in step 4"));
  }
  CHECK(text_of(second.last_path()) == kept);
}

TEST_CASE("trainer: a checkpoint of another run is refused", "[trainer]") {
  const test::TemporaryFolder folder;
  const auto tasks = test::plans(test::write_manifest(folder.path()), 2, 60);
  const auto model = test::model_for(tasks);
  model->save(folder / "plain.safetensors");
  Trainer trainer(model, tasks, options(folder.path(), 1));
  CHECK_THROWS_WITH(trainer.resume(Archive::open(folder / "plain.safetensors")),
                    Catch::Contains("without training state"));
  static_cast<void>(trainer.run());
  TrainerOptions sgd = options(folder.path(), 2);
  sgd.optimizer.kind = OptimizerOptions::Kind::kSgd;
  sgd.optimizer.momentum = 0.9;
  Trainer other(model, tasks, sgd);
  CHECK_THROWS_WITH(other.resume(Archive::open(trainer.last_path())), Catch::Contains("train.sgd_momentum"));
}

TEST_CASE("optimizer: parameters without a gradient keep values and moments", "[optimizer]") {
  ParameterStore store(Backend::cpu());
  Parameter* a = store.parameter("a", {3}, Initializer::constant(1));
  Parameter* b = store.parameter("b", {2}, Initializer::constant(1));
  Parameter* c = store.parameter("c", {4}, Initializer::constant(1));
  store.allocate();
  store.initialise(1);
  Optimizer optimizer(store, {});
  for (Parameter* p : {a, c}) {
    Tensor total({1}, store.backend());
    backward(record("ones", total, {p->variable}, [](Grads& g) {
      const Gradient dx = g.in(0);
      for (std::int64_t i = 0; i < dx.view.size(); ++i) dx.view[i] = 2;
    }));
  }
  CHECK(optimizer.step(0.1) == Approx(std::sqrt(7 * 4.0)));
  CHECK(a->value().to_vector() == c->value().slice(0, {3}).to_vector());
  CHECK(a->value().data()[0] == Approx(0.9));
  CHECK(b->value().to_vector() == std::vector<float>{1, 1});
  CHECK(optimizer.state()[0].second.data()[3] == 0);
  CHECK_FALSE(a->leaf.grad().present());
}

TEST_CASE("optimizer: clipping bounds the step of sgd, and a broken gradient names its parameter", "[optimizer]") {
  ParameterStore store(Backend::cpu());
  Parameter* p = store.parameter("layer.weight", {4}, Initializer::constant(0));
  store.allocate();
  store.initialise(1);
  Optimizer optimizer(store, {.kind = OptimizerOptions::Kind::kSgd, .clip_norm = 1});
  const auto give = [&](float value) {
    Tensor total({1}, store.backend());
    backward(record("g", total, {p->variable}, [value](Grads& g) {
      const Gradient dx = g.in(0);
      for (std::int64_t i = 0; i < 4; ++i) dx.view[i] = value;
    }));
  };
  give(10);
  CHECK(optimizer.step(1) == Approx(20));
  CHECK(p->value().data()[0] == Approx(-0.5));
  give(std::numeric_limits<float>::infinity());
  CHECK_THROWS_WITH(optimizer.step(1), Catch::Contains("layer.weight is inf"));
  CHECK(p->value().data()[0] == Approx(-0.5));
}

TEST_CASE("estimate: steps on made-up batches tell time and memory and leave the weights", "[estimate]") {
  ModelInfo info;
  info.architecture.divisor = 8;
  for (const Task task : kAllTasks) info.labels[task] = builtin_labels(task);
  Model model = Model::create(info, 1);
  const std::vector<float> weights = model.parameters().flat_values().to_vector();
  const std::vector<BatchShape> small = {{.task = Task::kAsc, .batch_size = 2, .crop_frames = 50},
                                         {.task = Task::kSed, .batch_size = 1, .crop_frames = 100}};
  const StepEstimate e = estimate_step(model, small, {}, {.steps = 2});
  CHECK(e.timed == 2);
  CHECK(e.seconds > 0);
  CHECK(e.batch_bytes == 4 * (2 * 128 * 50 + 2 * 10 + 128 * 100 + 20 * 14));
  // Values, gradients and two moments at least.
  CHECK(e.peak_bytes > 4 * sizeof(float) * weights.size());
  CHECK(model.parameters().flat_values().to_vector() == weights);
  CHECK(estimate_step(model, small, {}, {.steps = 50, .enough_seconds = 0}).timed == 1);
  std::vector<BatchShape> larger = small;
  larger[0].batch_size = 8;
  CHECK(estimate_step(model, larger, {}, {.steps = 1}).peak_bytes > e.peak_bytes);
  CHECK_THROWS_AS(estimate_step(model, {}, {}), Error);
  try {
    static_cast<void>(estimate_step(model, small, {}, {.stop = [] { return true; }}));
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kInterrupted);
  }
}

TEST_CASE("trainer: a run that fails says so in its log", "[trainer]") {
  const test::TemporaryFolder folder;
  const auto tasks = test::plans(test::write_manifest(folder.path()), 2, 60);
  const auto model = test::model_for(tasks);
  Trainer trainer(model, tasks, options(folder.path(), 4));
  CHECK_THROWS_AS(trainer.run({.step = {},
                               .evaluation = {},
                               .evaluation_progress = {},
                               .stop = [&]() -> bool { fail(ErrorKind::kNumeric, "no number"); }}),
                  Error);
  CHECK_THAT(text_of(folder / "log.jsonl"), Catch::Contains(R"("event":"failed","error":"no number")"));
}

TEST_CASE("run log: a resumed run drops later and damaged lines", "[run_log]") {
  const test::TemporaryFolder folder;
  {
    RunLog log(folder.path(), {"loss"}, 0);
    log.metrics(10, {{"loss", 1.5}});
    log.metrics(20, {{"loss", 1.25}});
    log.event(20, "evaluation", {{"f1", 0.5}});
  }
  std::ofstream(folder / "metrics.csv", std::ios::app) << "30,0.";
  RunLog log(folder.path(), {"loss"}, 10);
  log.metrics(11, {});
  CHECK(text_of(folder / "metrics.csv") == "step,loss\n10,1.5\n11,\n");
  CHECK(text_of(folder / "log.jsonl").empty());
  CHECK_THROWS_AS(RunLog(folder / "missing", {"loss"}, 0), Error);
}

}  // namespace dcase
