#include "train/cli/dry_run.hpp"

#include <fmt/format.h>

#include "train/estimate.hpp"
#include "train/report/table.hpp"
#include "train/report/text.hpp"

namespace dcase::cli {
namespace {

std::string size_text(std::size_t bytes) {
  const double mebibytes = static_cast<double>(bytes) / (1 << 20);
  return mebibytes < 1024 ? fmt::format("{:.0f} MiB", mebibytes) : fmt::format("{:.2f} GiB", mebibytes / 1024);
}

std::string items_table(const std::vector<TaskPlan>& plans) {
  Table table({{.title = "task", .align = Table::Align::kLeft},
               {.title = "train"},
               {.title = "valid"},
               {.title = "test"},
               {.title = "batch"},
               {.title = "seconds"},
               {.title = "set", .align = Table::Align::kLeft}},
              2);
  for (const TaskPlan& plan : plans) {
    const Dataset& set = *plan.source.dataset;
    std::vector<std::string> cells = {task_name(plan.source.task)};
    for (const Split split : {Split::kTrain, Split::kValid, Split::kTest}) {
      cells.push_back(std::to_string(set.indices(split, plan.source.task).size()));
    }
    cells.push_back(std::to_string(plan.batch.batch_size));
    cells.push_back(fmt::format("{:g}", static_cast<double>(plan.batch.crop_frames) / 50));
    cells.push_back(set.name + ", " + set.root);
    table.add(std::move(cells));
  }
  return table.text();
}

std::string every(const char* what, std::int64_t steps) {
  return steps > 0 ? fmt::format(", {} every {}", what, steps) : fmt::format(", {} at the end", what);
}

}  // namespace

std::string dry_run_report(const TrainConfig& config, const std::vector<TaskPlan>& plans, Model& model,
                           const TrainerOptions& options, const InterruptScope& interrupt) {
  std::string text = "Recordings by part, examples in a step and their length:\n" + items_table(plans);
  if (!config.preset.empty()) {
    std::string changes;
    for (const std::string& change : preset_changes(config)) changes += (changes.empty() ? "" : ", ") + change;
    text += fmt::format("Preset: {}{}\n", config.preset, changes.empty() ? "" : "; not as in the paper: " + changes);
  }
  std::vector<BatchShape> shapes;
  for (const TaskPlan& plan : plans) {
    shapes.push_back(
        {.task = plan.source.task, .batch_size = plan.batch.batch_size, .crop_frames = plan.batch.crop_frames});
    if (plan.source.dataset->indices(Split::kTrain, plan.source.task).empty()) {
      fail(ErrorKind::kData, plan.source.dataset->root, ": nothing to train ", task_name(plan.source.task), " on");
    }
  }
  const StepEstimate e = estimate_step(model, shapes, options, {.stop = [&] { return interrupt.requested(); }});
  constexpr std::size_t kLoaded = 3;  // Prefetcher: two steps ready, one in the making
  text += fmt::format("Network: DcaseNet v{} width {}, {} parameters, {} batch-norm statistics\n", config.model.version,
                      config.model.width, model.parameters().parameter_count(), bn_stats_name(model.info().bn_stats));
  text +=
      fmt::format("Steps: {} ({:g} epochs of {}){}{}\n", options.steps,
                  static_cast<double>(options.steps) / static_cast<double>(options.epoch_steps), options.epoch_steps,
                  every("validation", options.evaluate_every), every("checkpoint", options.checkpoint_every));
  text += fmt::format("Memory: {} for model, optimiser and a step, {} for batches ahead of it; on {}\n",
                      size_text(e.peak_bytes), size_text(kLoaded * e.batch_bytes), model.backend()->name());
  text += fmt::format(
      "Time: {:.3g} s a step, {} in all (median of {} steps on made-up batches; reading audio, the front end and "
      "validation are not in it)\n",
      e.seconds, duration_text(e.seconds * static_cast<double>(options.steps)), e.timed);
  return text + "Nothing was started or written.\n";
}

}  // namespace dcase::cli
