#include "train/recalibrate.hpp"

#include "kernels/common/error.hpp"

namespace dcase {

void recalibrate(Model& model, const std::vector<TaskPlan>& plans, const RecalibrateOptions& options) {
  DCASE_CHECK(options.mode != BnStats::kShared, "recalibrate: shared averages are the mixture of a training");
  DCASE_CHECK(options.batches >= 1, "recalibrate: ", options.batches, " batches");
  const std::int64_t total = options.batches * std::ssize(plans);
  const MelTables tables(model.info().front_end);
  model.parameters().set_trainable(false);
  model.set_bn_stats(options.mode);
  std::int64_t done = 0;
  for (const TaskPlan& plan : plans) {
    BatchOptions batch_options = plan.batch;
    batch_options.mixup_alpha = 0;
    const Batcher batcher(plan.source, batch_options, tables, model.backend());
    const Task task = plan.source.task;
    forget_averages(model.parameters(), task);
    const Pass pass{.training = true, .random = {}, .dropout = false, .domain = domain_of(task), .cumulative = true};
    for (std::int64_t b = 0; b < options.batches; ++b) {
      static_cast<void>(model.network().forward(Variable(batcher.make(b).x), task, pass));
      if (options.progress) options.progress(++done, total);
    }
  }
  model.refresh_averages();
}

}  // namespace dcase
