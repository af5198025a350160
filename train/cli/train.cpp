/// dcasenet train: joint training from a configuration, with checkpoints, validation and exact resumption.

#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "dcasenet/weights/weights.hpp"
#include "engine/files.hpp"
#include "train/cli/app.hpp"
#include "train/cli/evaluation_report.hpp"
#include "train/cli/exit_codes.hpp"
#include "train/cli/interrupt.hpp"
#include "train/cli/sources.hpp"
#include "train/cli/verbs.hpp"
#include "train/config/config.hpp"
#include "train/trainer.hpp"

namespace dcase::cli {
namespace {

namespace fs = std::filesystem;

// The order of the reference trainer, which fixes in which order batch-norm averages move.
constexpr Task kTrainingOrder[] = {Task::kAsc, Task::kSed, Task::kTag};

struct Options {
  std::string config;
  std::string run;
  std::vector<std::string> set;
  std::string init;
  bool resume = false;
  bool help_config = false;
};

DataRequest data_request(const TrainConfig& config, Task task) {
  const TaskConfig& t = config.task(task);
  return {.root = t.root, .layout = t.layout, .labels = {}, .reader = config.data.reader, .seed = config.train.seed};
}

std::vector<TaskPlan> open_tasks(const TrainConfig& config, Environment& environment) {
  std::vector<TaskPlan> plans;
  for (const Task task : kTrainingOrder) {
    const TaskConfig& t = config.task(task);
    if (t.root.empty()) continue;
    const SourceOptions source{.request = data_request(config, task),
                               .cache_folder = config.data.cache,
                               .cache = {.float32 = config.data.float32_cache,
                                         .on_bad_file = config.data.on_bad_file,
                                         .threads = environment.threads}};
    TaskSource opened = open_source(task, source, environment.console);
    plans.push_back({.source = std::move(opened),
                     .batch = {.batch_size = t.batch_size,
                               .crop_frames = t.crop_frames,
                               .seed = config.train.seed,
                               .mixup_alpha = config.train.mixup_alpha,
                               .mixup_from_step = config.train.mixup_from_step},
                     .loss_weight = t.loss_weight});
  }
  if (plans.empty()) {
    fail(ErrorKind::kUsage,
         "nothing to train: set data.asc.root, data.tag.root or data.sed.root (see train --help-config)");
  }
  return plans;
}

TrainerOptions trainer_options(const TrainConfig& c, const std::string& run) {
  TrainerOptions o{
      .run_folder = run,
      .seed = c.train.seed,
      .steps = c.train.steps,
      .epoch_steps = c.train.epoch_steps,
      .log_every = c.train.log_every,
      .checkpoint_every = c.train.checkpoint_every,
      .evaluate_every = c.train.eval_every,
      .learning_rate = c.train.lr,
      .minimum_learning_rate = c.train.lr_min,
      .restart_steps = c.train.restart_steps,
      .dropout = c.train.dropout,
      .optimizer = {.kind = c.train.optimizer == "sgd" ? OptimizerOptions::Kind::kSgd : OptimizerOptions::Kind::kAdam,
                    .amsgrad = c.train.amsgrad,
                    .momentum = c.train.momentum,
                    .nesterov = c.train.nesterov,
                    .weight_decay = c.train.weight_decay,
                    .clip_norm = c.train.grad_clip},
      .evaluation = {},
      .config = to_json(c)};
  o.evaluation.decisions.thresholds = {c.eval.threshold};
  return o;
}

// Classes of the trained tasks come from the data; a task without data keeps the built-in list.
ModelInfo model_info(const TrainConfig& config, const std::vector<TaskPlan>& plans) {
  ModelInfo info;
  info.architecture.version = static_cast<int>(config.model.version);
  info.architecture.divisor = config.width_divisor();
  for (const Task task : kAllTasks) info.labels[task] = builtin_labels(task);
  for (const TaskPlan& plan : plans) info.labels[plan.source.task] = plan.source.dataset->labels[plan.source.task];
  info.architecture.classes_asc = info.labels.asc.size();
  info.architecture.classes_tag = info.labels.tag.size();
  info.architecture.classes_sed = info.labels.sed.size();
  return info;
}

std::shared_ptr<Model> make_model(const TrainConfig& config, const std::vector<TaskPlan>& plans,
                                  Environment& environment) {
  Console& console = environment.console;
  auto model =
      std::make_shared<Model>(Model::create(model_info(config, plans), config.train.seed, environment.backend()));
  if (config.init.empty()) return model;
  const std::vector<std::string> drawn = model->read_matching(open_weights(config.init).archive, config.train.seed);
  const std::size_t all = model->parameters().entries().size();
  console.info(fmt::format("init: {} of {} tensors taken from {}", all - drawn.size(), all, config.init));
  for (const std::string& name : drawn) console.info("init: drawn afresh: " + name);
  if (drawn.size() == all) fail(ErrorKind::kData, config.init, ": no tensor of it fits this network");
  return model;
}

void check_same_data(const Archive& checkpoint, const Model& model) {
  if (!(read_model_info(checkpoint).labels == model.info().labels)) {
    fail(ErrorKind::kData, checkpoint.path(), ": its classes are not those of the data sets any more; start a new run");
  }
}

/// Everything that `train` shows while it works.
class Display {
 public:
  Display(Console& console, std::int64_t steps, std::int64_t first)
      : console_(console), bar_(console, "train", steps, first) {}

  void step(const StepReport& report) {
    std::string note = fmt::format("loss {:.3f}", report.loss);
    for (const auto& [task, loss] : report.losses) note += fmt::format("  {} {:.3f}", task, loss);
    bar_.advance(1, note);
  }
  void evaluation(std::int64_t step, const std::vector<Evaluation>& evaluations) {
    for (const Evaluation& e : evaluations) console_.info(fmt::format("step {}: valid {}", step, evaluation_line(e)));
  }

 private:
  Console& console_;
  Progress bar_;
};

int train(const Options& options, Environment& environment) {
  if (options.help_config) {
    std::cout << config_help();
    return kExitOk;
  }
  if (options.run.empty()) fail(ErrorKind::kUsage, "--run FOLDER is needed: where checkpoints and logs go");
  const InterruptScope interrupt;
  Console& console = environment.console;
  const std::string last = options.run + "/last.safetensors";
  std::optional<Archive> checkpoint;
  TrainConfig config;
  if (options.resume) {
    if (!fs::exists(last)) fail(ErrorKind::kIo, last, ": no checkpoint to resume from; leave --resume away to start");
    if (!options.config.empty() || !options.init.empty()) {
      fail(ErrorKind::kUsage, "--resume takes the configuration of the run; leave --config and --init away");
    }
    checkpoint = Archive::open(last);
    const TrainState state = read_train_state(*checkpoint);
    nlohmann::json resolved = state.config;
    config = with_overrides(config_from_json(resolved, last), options.set);
    const std::string device = environment.backend()->name();
    if (state.threads != environment.threads || state.device != device) {
      console.warn(fmt::format("the run was on {} with {} threads, this is {} with {}: results may differ in rounding",
                               state.device, state.threads, device, environment.threads));
    }
  } else {
    if (fs::exists(last)) {
      fail(ErrorKind::kUsage, options.run, ": holds a run already; go on with --resume, or name another folder");
    }
    config = load_config(options.config, options.set);
    if (!options.init.empty()) config.init = options.init;
  }

  const std::vector<TaskPlan> plans = open_tasks(config, environment);
  std::shared_ptr<Model> model = make_model(config, plans, environment);
  std::error_code error;
  fs::create_directories(options.run, error);
  if (error) fail(ErrorKind::kIo, options.run, ": cannot be created: ", error.message());
  atomic_write(options.run + "/config.json", to_json(config).dump(2) + "\n");

  Trainer trainer(model, plans, trainer_options(config, options.run));
  if (checkpoint) {
    check_same_data(*checkpoint, *model);
    trainer.resume(*checkpoint);
  }
  const std::int64_t first = trainer.state().step;
  console.info(fmt::format("DcaseNet v{} width {}: {} parameters; steps {} to {} on {}, {} threads",
                           config.model.version, config.model.width, model->parameters().parameter_count(), first + 1,
                           config.train.steps, environment.backend()->name(), environment.threads));
  TrainOutcome outcome = TrainOutcome::kFinished;
  {
    Display display(console, config.train.steps, first);
    outcome = trainer.run(
        {.step = [&](const StepReport& r) { display.step(r); },
         .evaluation = [&](std::int64_t step, const std::vector<Evaluation>& e) { display.evaluation(step, e); },
         .evaluation_progress = {},
         .stop = [&] { return interrupt.requested(); }});
  }
  if (outcome == TrainOutcome::kStopped) {
    console.info(fmt::format("stopped after step {}; go on with: dcasenet train --run {} --resume",
                             trainer.state().step, options.run));
    return kExitInterrupted;
  }
  console.info(fmt::format("finished: {}", trainer.last_path()));
  for (const auto& [task, best] : trainer.state().best) {
    console.info(fmt::format("best {} on validation: {:.3f} at step {} (best_{}.safetensors)", task, best.value,
                             best.step, task));
  }
  return kExitOk;
}

}  // namespace

void add_train(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& verb = program.add("train", "trains a network on one or more tasks",
                               [options](Environment& e) { return train(*options, e); });
  verb.add_option("-c,--config", options->config, "JSON file (comments allowed); without it the defaults");
  verb.add_option("-s,--set", options->set, "KEY=VALUE over the file, as in --set train.lr=5e-4; several allowed");
  verb.add_option("-r,--run", options->run,
                  "folder for checkpoints (last, best_TASK), metrics.csv, log.jsonl, config.json");
  verb.add_option("--init", options->init, "model to start from: tensors of equal name and shape are taken");
  verb.add_flag("--resume", options->resume, "goes on from last.safetensors of the run folder, bit for bit");
  verb.add_flag("--help-config", options->help_config, "lists every key of the configuration");
}

}  // namespace dcase::cli
