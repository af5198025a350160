/// dcasenet model recalibrate: batch-norm averages of existing weights, from training data.

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "train/cli/interrupt.hpp"
#include "train/cli/model_verbs.hpp"
#include "train/cli/task_plans.hpp"
#include "train/data/words.hpp"
#include "train/recalibrate.hpp"

namespace dcase::cli {
namespace {

struct Options {
  std::string model, output;
  std::string asc, tag, sed;
  std::vector<std::string> set;
  std::string bn_stats = "per-task";
  std::int64_t batches = 100;
};

// Sizes and choices are those of the model's training, as far as its file tells. Its paths are not taken: the file may
// come from anywhere, and preparing audio writes.
TrainConfig configuration(const Options& o, const Model& model) {
  TrainConfig config;
  if (const nlohmann::json stored = run_config(model.info().metadata); stored.is_object()) {
    const TrainConfig trained = config_from_json(stored, o.model);
    config.train.seed = trained.train.seed;
    config.data.reader = trained.data.reader;
    config.data.reader.events_table.clear();
    config.data.reader.allow_outside = false;
    for (const Task task : kAllTasks) {
      config.task(task) = trained.task(task);
      config.task(task).root.clear();
    }
  }
  config.data.asc.root = o.asc;
  config.data.tag.root = o.tag;
  config.data.sed.root = o.sed;
  if (o.asc.empty() && o.tag.empty() && o.sed.empty()) {
    fail(ErrorKind::kUsage,
         "recalibrate needs at least one of --asc, --tag and --sed with the folder of a data set to train on");
  }
  return with_overrides(std::move(config), o.set);
}

int recalibrate_model(const Options& o, Environment& environment) {
  const InterruptScope interrupt;
  RecalibrateOptions options{
      .mode = value_of(kBnStatsWords, o.bn_stats, "--bn-stats"), .batches = o.batches, .progress = {}};
  if (options.mode == BnStats::kShared) {
    fail(ErrorKind::kUsage, "--bn-stats takes pooled or per-task: shared averages are the mixture of a training");
  }
  Model model = Model::load(o.model, environment.backend());
  const std::vector<TaskPlan> plans = open_tasks(configuration(o, model), environment);
  {
    Progress bar(environment.console, "recalibrate", o.batches * std::ssize(plans));
    options.progress = [&](std::int64_t, std::int64_t) {
      interrupt.check();
      bar.advance(1);
    };
    recalibrate(model, plans, options);
  }
  drop_train_state(model.info().metadata);
  model.save(o.output);
  environment.console.info(
      fmt::format("{}: {} averages over {} batches of each task", o.output, o.bn_stats, o.batches));
  return kExitOk;
}

}  // namespace

void add_model_recalibrate(Program& program, CLI::App& model) {
  auto o = std::make_shared<Options>();
  CLI::App& verb = program.add(model, "recalibrate", "batch-norm averages of a model anew, from training data",
                               [o](Environment& e) { return recalibrate_model(*o, e); });
  verb.add_option("MODEL", o->model, "model or checkpoint (.safetensors)")->required();
  verb.add_option("--asc", o->asc, "data set of scenes (folder or manifest)");
  verb.add_option("--tag", o->tag, "data set of tags");
  verb.add_option("--sed", o->sed, "data set of sound events");
  verb.add_option("--bn-stats", o->bn_stats, "pooled: one set, tasks weigh the same; per-task: a set for each")
      ->capture_default_str();
  verb.add_option("--batches", o->batches, "training batches of each task")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000'000}))
      ->capture_default_str();
  verb.add_option("-s,--set", o->set, "KEY=VALUE over the model's training configuration, as data.sed.batch_size=4");
  verb.add_option("-o,--output", o->output, "model to write")->required();
}

}  // namespace dcase::cli
