#include "train/cli/averages.hpp"

#include <CLI/CLI.hpp>

namespace dcase::cli {

void add_averages_option(CLI::App& verb, std::string& averages) {
  verb.add_option("--averages", averages,
                  "of a model with batch-norm averages per task, one set and no more: pooled, shared (the mixture of "
                  "training), asc, tag or sed")
      ->check(CLI::IsMember({"pooled", "shared", "asc", "tag", "sed"}));
}

void need_task_averages(const Model& model, const std::string& option, const std::string& file) {
  if (model.info().bn_stats != BnStats::kShared) return;
  fail(ErrorKind::kUsage, option, ": ", file,
       " has no averages of single tasks; dcasenet model recalibrate makes them from training data");
}

void keep_averages(Model& model, const std::string& averages, const std::string& file) {
  if (averages.empty()) return;
  if (averages == "shared") {
    model.set_bn_stats(BnStats::kShared);
    return;
  }
  need_task_averages(model, "--averages " + averages, file);
  if (averages == "pooled") {
    model.drop_task_averages();
  } else {
    const Task task = parse_task(averages);
    if (averaged_batches(model.parameters(), task) == 0) {
      fail(ErrorKind::kUsage, "--averages ", averages, ": ", file, " was never trained on that task");
    }
    model.drop_task_averages(task);
  }
}

}  // namespace dcase::cli
