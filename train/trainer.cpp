#include "train/trainer.hpp"

#include <omp.h>

#include <algorithm>

#include "train/data/prefetcher.hpp"
#include "train/schedule.hpp"

namespace dcase {
namespace {

std::vector<std::string> columns(const std::vector<TaskPlan>& tasks) {
  std::vector<std::string> names = {"epoch", "lr", "loss"};
  for (const TaskPlan& t : tasks) names.push_back(concat("loss_", task_name(t.source.task)));
  names.emplace_back("gradient_norm");
  for (const TaskPlan& t : tasks) {
    switch (t.source.task) {
      case Task::kAsc:
        names.emplace_back("valid_asc_accuracy");
        break;
      case Task::kTag:
        names.emplace_back("valid_tag_lwlrap");
        break;
      case Task::kSed:
        names.insert(names.end(), {"valid_sed_f1", "valid_sed_er"});
        break;
    }
  }
  return names;
}

std::map<std::string, double> scores(const std::vector<Evaluation>& evaluations) {
  std::map<std::string, double> values;
  for (const Evaluation& e : evaluations) {
    if (e.asc) values["valid_asc_accuracy"] = e.asc->overall.accuracy / 100;
    if (e.tag) values["valid_tag_lwlrap"] = e.tag->lwlrap;
    if (e.segments) {
      values["valid_sed_f1"] = e.segments->scores.f1;
      values["valid_sed_er"] = e.segments->scores.error_rate;
    }
  }
  return values;
}

// For those who look at the folder later. Where even that cannot be written, the first error is the one to tell.
void note_failure(RunLog& log, std::int64_t step, const Error& failure) {
  try {
    log.event(step, "failed", {{"error", failure.what()}});
  } catch (const Error&) {
    return;
  }
}

/// Frozen while it lives: evaluation builds no graph.
class Frozen {
 public:
  explicit Frozen(ParameterStore& store) : store_(store) { store_.set_trainable(false); }
  ~Frozen() { store_.set_trainable(true); }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;

 private:
  ParameterStore& store_;
};

}  // namespace

Trainer::Trainer(std::shared_ptr<Model> model, std::vector<TaskPlan> tasks, TrainerOptions options)
    : model_(std::move(model)),
      tasks_(std::move(tasks)),
      options_(std::move(options)),
      optimizer_(model_->parameters(), options_.optimizer) {
  DCASE_CHECK(!tasks_.empty(), "trainer: no task");
  // Batches have memory of their own, so that how far the loader is ahead does not show in the model's arena, and on
  // CUDA a stream of their own, so that the next step's front end runs beside this step.
  const BackendPtr loader = Backend::on(model_->backend()->device());
  const MelTables tables(model_->info().front_end);
  for (const TaskPlan& plan : tasks_) {
    batchers_.push_back(std::make_shared<const Batcher>(plan.source, plan.batch, tables, loader));
  }
  // The weights move away from under averages that no batch of this run will move.
  for (const Task task : kAllTasks) {
    const auto trained = [task](const TaskPlan& plan) { return plan.source.task == task; };
    if (std::none_of(tasks_.begin(), tasks_.end(), trained)) forget_averages(model_->parameters(), task);
  }
  state_.config = options_.config;
  state_.device = model_->backend()->name();
  state_.threads = omp_get_max_threads();
  options_.evaluation.split = Split::kValid;
}

std::string Trainer::best_path(Task task) const {
  return concat(options_.run_folder, "/best_", task_name(task), ".safetensors");
}

void Trainer::resume(const Archive& checkpoint) {
  TrainState state = read_train_state(checkpoint);
  restore_checkpoint(checkpoint, *model_, optimizer_);
  state.config = options_.config;
  state.device = state_.device;
  state.threads = state_.threads;
  state_ = std::move(state);
}

double Trainer::learning_rate(std::int64_t step) const {
  if (options_.restart_steps <= 0) return options_.learning_rate;
  return cosine_warm_restarts(options_.learning_rate, options_.minimum_learning_rate, options_.restart_steps, step);
}

TrainOutcome Trainer::run(const TrainerHooks& hooks) {
  model_->parameters().set_trainable(true);
  log_.emplace(options_.run_folder, columns(tasks_), state_.step);
  log_->event(state_.step, state_.step == 0 ? "start" : "resume",
              {{"device", state_.device}, {"threads", state_.threads}});
  try {
    return run_steps(hooks);
  } catch (const Error& error) {
    note_failure(*log_, state_.step, error);
    throw;
  }
}

TrainOutcome Trainer::run_steps(const TrainerHooks& hooks) {
  Prefetcher prefetcher(batchers_, state_.step, options_.steps);
  const auto due = [&](std::int64_t every) { return every > 0 && state_.step % every == 0; };
  while (state_.step < options_.steps) {
    const StepReport report = train_step(prefetcher.next());
    log_step(report);
    if (hooks.step) hooks.step(report);
    if (due(options_.evaluate_every)) evaluate_all(hooks);
    const bool stop = hooks.stop && hooks.stop();
    if (stop || due(options_.checkpoint_every)) save_last();
    if (stop && state_.step < options_.steps) {
      log_->event(state_.step, "stopped");
      return TrainOutcome::kStopped;
    }
  }
  if (state_.evaluated_step != state_.step) evaluate_all(hooks);
  save_last();
  log_->event(state_.step, "finished");
  return TrainOutcome::kFinished;
}

StepReport Trainer::train_step(const std::vector<Batch>& batches) {
  std::vector<double> weights;
  for (const TaskPlan& plan : tasks_) weights.push_back(plan.loss_weight);
  StepReport report = joint_step(*model_, optimizer_, batches, weights,
                                 {.seed = options_.seed,
                                  .step = state_.step,
                                  .learning_rate = learning_rate(state_.step),
                                  .dropout = options_.dropout});
  ++state_.step;
  return report;
}

void Trainer::log_step(const StepReport& report) {
  state_.window["loss"] += report.loss;
  state_.window["gradient_norm"] += report.gradient_norm;
  for (const auto& [task, loss] : report.losses) state_.window["loss_" + task] += loss;
  ++state_.window_steps;
  const bool end = state_.step == options_.steps;
  if (!end && (options_.log_every <= 0 || state_.step % options_.log_every != 0)) return;
  std::map<std::string, double> values;
  for (const auto& [column, sum] : state_.window) values[column] = sum / static_cast<double>(state_.window_steps);
  const std::int64_t epoch = (state_.step - 1) / std::max<std::int64_t>(options_.epoch_steps, 1);
  values["epoch"] = static_cast<double>(epoch);
  values["lr"] = report.learning_rate;
  log_->metrics(state_.step, values);
  state_.window.clear();
  state_.window_steps = 0;
}

void Trainer::evaluate_all(const TrainerHooks& hooks) {
  state_.evaluated_step = state_.step;
  model_->refresh_averages();
  std::vector<Evaluation> evaluations;
  {
    const Frozen frozen(model_->parameters());
    const Session session(model_);
    std::int64_t total = 0;
    for (const TaskPlan& plan : tasks_) {
      total += static_cast<std::int64_t>(plan.source.dataset->indices(Split::kValid, plan.source.task).size());
    }
    std::int64_t before = 0;
    for (const TaskPlan& plan : tasks_) {
      EvaluateOptions options = options_.evaluation;
      options.progress = [&](std::int64_t done, std::int64_t) {
        if (hooks.evaluation_progress) hooks.evaluation_progress(before + done, total);
      };
      evaluations.push_back(evaluate(session, plan.source, options));
      before += evaluations.back().items;
    }
  }
  std::map<std::string, double> values = scores(evaluations);
  log_->metrics(state_.step, values);
  log_->event(state_.step, "evaluation", nlohmann::ordered_json(values));
  std::erase_if(values, [](const auto& value) { return !std::isfinite(value.second); });
  state_.history.push_back({.step = state_.step, .values = std::move(values)});
  for (const Evaluation& e : evaluations) {
    const double value = e.selection_value();
    const auto it = state_.best.find(task_name(e.task));
    if (it != state_.best.end() && value <= it->second.value) continue;
    state_.best[task_name(e.task)] = {.value = value, .step = state_.step};
    save_checkpoint(best_path(e.task), *model_, optimizer_, state_);
  }
  if (hooks.evaluation) hooks.evaluation(state_.step, evaluations);
}

void Trainer::save_last() {
  model_->refresh_averages();
  save_checkpoint(last_path(), *model_, optimizer_, state_);
}

}  // namespace dcase
