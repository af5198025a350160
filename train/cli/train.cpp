/// dcasenet train: joint training from a configuration, with checkpoints, validation and exact resumption.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "dcasenet/weights/weights.hpp"
#include "engine/files.hpp"
#include "train/cli/app.hpp"
#include "train/cli/dry_run.hpp"
#include "train/cli/evaluation_report.hpp"
#include "train/cli/exit_codes.hpp"
#include "train/cli/interrupt.hpp"
#include "train/cli/task_plans.hpp"
#include "train/cli/verbs.hpp"
#include "train/report/table.hpp"
#include "train/report/text.hpp"

namespace dcase::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string config;
  std::string preset;
  std::string run;
  std::vector<std::string> set;
  std::string init;
  std::string bn_stats;
  bool resume = false;
  bool help_config = false;
  bool list_presets = false;
  bool dry_run = false;
};

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
  info.bn_stats = config.model.bn_stats;
  for (const Task task : kAllTasks) info.labels[task] = builtin_labels(task);
  for (const TaskPlan& plan : plans) info.labels[plan.source.task] = plan.source.dataset->labels[plan.source.task];
  info.architecture.classes_asc = info.labels.asc.size();
  info.architecture.classes_tag = info.labels.tag.size();
  info.architecture.classes_sed = info.labels.sed.size();
  return info;
}

/// "river, seaside and 8 more"
std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 6;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) text += (i == 0 ? "" : ", ") + printable(names[i]);
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  return text;
}

// Starts from another model, and says what of it.
void take_over(Model& model, const TrainConfig& config, Console& console) {
  const Transfer transfer = model.read_matching(open_weights(config.init).archive, config.train.seed);
  if (transfer.taken == 0) fail(ErrorKind::kData, config.init, ": no tensor of it fits this network");
  console.info(fmt::format("init: {} tensors taken from {}", transfer.taken, config.init));
  for (const std::string& name : transfer.drawn) console.info("init: drawn afresh: " + name);
  for (const Transfer::Head& head : transfer.heads) {
    console.info(fmt::format("init: {}: the file has other {} classes; weights kept for {}{}{}", head_of(head.task),
                             task_name(head.task), some_of(head.kept), head.drawn.empty() ? "" : "; drawn afresh for ",
                             some_of(head.drawn)));
  }
}

// Leaves parts as they are, and says how much.
void freeze(Model& model, const TrainConfig& config, Console& console) {
  if (config.train.freeze.empty()) return;
  try {
    model.freeze(config.train.freeze);
  } catch (const Error& error) {
    fail(error.kind(), "train.freeze: ", error.what());
  }
  std::int64_t frozen = 0;
  for (const Parameter& p : model.parameters().parameters()) frozen += p.frozen ? p.value().size() : 0;
  const std::int64_t all = model.parameters().parameter_count();
  if (frozen == all) fail(ErrorKind::kUsage, "train.freeze: nothing is left to train");
  console.info(fmt::format("frozen: {} of {} parameters", frozen, all));
}

// `start`: of a run, from another model where the configuration says so; a resumed run reads its checkpoint instead.
std::shared_ptr<Model> make_model(const TrainConfig& config, const std::vector<TaskPlan>& plans, bool start,
                                  Environment& environment) {
  auto model =
      std::make_shared<Model>(Model::create(model_info(config, plans), config.train.seed, environment.backend()));
  if (start && !config.init.empty()) take_over(*model, config, environment.console);
  freeze(*model, config, environment.console);
  return model;
}

// Runs from before there was a choice do not name it: they go on as they began, whatever the default.
nlohmann::json with_bn_stats(nlohmann::json config, const Archive& checkpoint) {
  const nlohmann::json::json_pointer key("/model/bn_stats");
  if (config.is_object() && config.contains("model") && config["model"].is_object() && !config.contains(key)) {
    config[key] = bn_stats_name(read_model_info(checkpoint).bn_stats);
  }
  return config;
}

void check_same_data(const Archive& checkpoint, const Model& model) {
  if (!(read_model_info(checkpoint).labels == model.info().labels)) {
    fail(ErrorKind::kData, checkpoint.path(), ": its classes are not those of the data sets any more; start a new run");
  }
}

// A fine-tuning of the paper starts from the joint model that its name says.
void check_start(const TrainConfig& config, Console& console) {
  if (config.preset.empty()) return;
  const Preset& preset = find_preset(config.preset);
  if (preset.kind != Preset::Kind::kTune) return;
  if (config.init.empty()) {
    fail(ErrorKind::kUsage, config.preset, " starts from a joint model: train ", preset.init_name(),
         ", then give its best or last model with --init");
  }
  const nlohmann::json from = run_config(open_weights(config.init).archive.metadata());
  const std::string origin = from.is_object() ? from.value("preset", nlohmann::json()).dump() : "null";
  if (origin != "\"" + preset.init_name() + "\"") {
    console.warn(fmt::format("{}: not from a run of {}, as its metadata say: the row is another one", config.init,
                             preset.init_name()));
  }
}

std::string preset_list() {
  Table table({{.title = "preset", .align = Table::Align::kLeft},
               {.title = "network"},
               {.title = "mix-up"},
               {.title = "asc"},
               {.title = "tag"},
               {.title = "sed"},
               {.title = "starts from", .align = Table::Align::kLeft}});
  for (const Preset& p : presets()) {
    std::vector<std::string> cells = {p.name(), fmt::format("v{}", p.version), p.mixup ? "yes" : "no"};
    for (const Task task : kAllTasks) {
      cells.push_back(p.tasks.has(task) ? std::to_string(batch_size(p.batches, task)) : "-");
    }
    cells.emplace_back(p.kind == Preset::Kind::kTune ? p.init_name() : "drawn weights");
    table.add(std::move(cells));
  }
  return "The rows of the paper's Tables 2 and 3 (numbers: examples of the task in a step):\n" + table.text();
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

TrainConfig new_configuration(const Options& options, Console& console) {
  TrainConfig config = load_config(options.config, options.set, options.preset);
  if (!options.init.empty()) config.init = options.init;
  check_start(config, console);
  return config;
}

int dry_run(const Options& options, Environment& environment) {
  const InterruptScope interrupt;
  const TrainConfig config = new_configuration(options, environment.console);
  const std::vector<TaskPlan> plans = list_tasks(config, environment);
  const std::shared_ptr<Model> model = make_model(config, plans, true, environment);
  const std::string text = dry_run_report(config, plans, *model, trainer_options(config, options.run), interrupt);
  std::cout << text;
  return kExitOk;
}

int train(Options options, Environment& environment) {
  if (options.help_config) {
    std::cout << config_help();
    return kExitOk;
  }
  if (options.list_presets) {
    std::cout << preset_list();
    return kExitOk;
  }
  if (!options.bn_stats.empty()) options.set.push_back("model.bn_stats=" + options.bn_stats);
  if (options.dry_run && !options.resume) return dry_run(options, environment);
  if (options.dry_run) fail(ErrorKind::kUsage, "--dry-run is for a new run; leave --resume away");
  if (options.run.empty()) fail(ErrorKind::kUsage, "--run FOLDER is needed: where checkpoints and logs go");
  const InterruptScope interrupt;
  Console& console = environment.console;
  const std::string last = options.run + "/last.safetensors";
  std::optional<Archive> checkpoint;
  TrainConfig config;
  if (options.resume) {
    if (!fs::exists(last)) fail(ErrorKind::kIo, last, ": no checkpoint to resume from; leave --resume away to start");
    if (!options.config.empty() || !options.init.empty() || !options.preset.empty()) {
      fail(ErrorKind::kUsage, "--resume takes the configuration of the run; leave --config, --preset and --init away");
    }
    checkpoint = Archive::open(last);
    const TrainState state = read_train_state(*checkpoint);
    config = with_overrides(config_from_json(with_bn_stats(state.config, *checkpoint), last), options.set);
    const std::string device = environment.backend()->name();
    if (state.threads != environment.threads || state.device != device) {
      console.warn(fmt::format("the run was on {} with {} threads, this is {} with {}: results may differ in rounding",
                               state.device, state.threads, device, environment.threads));
    }
  } else {
    if (fs::exists(last)) {
      fail(ErrorKind::kUsage, options.run, ": holds a run already; go on with --resume, or name another folder");
    }
    config = new_configuration(options, console);
  }

  const std::vector<TaskPlan> plans = open_tasks(config, environment);
  const std::shared_ptr<Model> model = make_model(config, plans, !checkpoint, environment);
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
  verb.add_option("-p,--preset", options->preset, "experiment of the paper, below --config and --set (--list-presets)");
  verb.add_option("-s,--set", options->set, "KEY=VALUE over the file, as in --set train.lr=5e-4; several allowed");
  verb.add_option("-r,--run", options->run,
                  "folder for checkpoints (last, best_TASK), metrics.csv, log.jsonl, config.json");
  verb.add_option("--init", options->init,
                  "model to start from: tensors of equal name and shape are taken, rows of heads by class");
  verb.add_option("--bn-stats", options->bn_stats,
                  "shared, pooled or per-task: averages that batch norm evaluates with (model.bn_stats)");
  verb.add_flag("--resume", options->resume, "goes on from last.safetensors of the run folder, bit for bit");
  verb.add_flag(
      "--dry-run", options->dry_run,
      "shows data, steps, memory and time, which a few steps on made-up batches tell; starts and writes nothing");
  verb.add_flag("--list-presets", options->list_presets, "lists the experiments of the paper");
  verb.add_flag("--help-config", options->help_config, "lists every key of the configuration");
}

}  // namespace dcase::cli
