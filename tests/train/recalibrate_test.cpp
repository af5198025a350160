#include "train/recalibrate.hpp"

#include "tests/train/training_fixture.hpp"

namespace dcase {
namespace {

// The output of the first convolution is all that its batch norm sees; averages of it by hand.
std::vector<double> first_layer_means(const Model& model, const TaskPlan& plan, std::int64_t batches,
                                      std::vector<double>& variances) {
  const Tensor w = model.parameters().find("conv_block1.conv1.weight")->parameter->value();
  const std::int64_t C = w.dim(0);
  std::vector<double> means(static_cast<std::size_t>(C));
  variances.assign(means.size(), 0);
  const Batcher batcher(plan.source, plan.batch, MelTables(model.info().front_end), model.backend());
  for (std::int64_t b = 0; b < batches; ++b) {
    const Tensor x = batcher.make(b).x;  // [N,M,T,1]
    const std::int64_t N = x.dim(0), M = x.dim(1), T = x.dim(2);
    for (std::int64_t c = 0; c < C; ++c) {
      double sum = 0;
      double squares = 0;
      for (std::int64_t n = 0; n < N; ++n) {
        for (std::int64_t m = 0; m < M; ++m) {
          for (std::int64_t t = 0; t < T; ++t) {
            double z = 0;
            for (std::int64_t i = -1; i <= 1; ++i) {
              for (std::int64_t j = -1; j <= 1; ++j) {
                if (m + i < 0 || m + i >= M || t + j < 0 || t + j >= T) continue;
                z += static_cast<double>(w.data()[c * 9 + (i + 1) * 3 + j + 1]) *
                     static_cast<double>(x.data()[(n * M + m + i) * T + t + j]);
              }
            }
            sum += z;
            squares += z * z;
          }
        }
      }
      const auto count = static_cast<double>(N * M * T);
      const double mean = sum / count;
      means[static_cast<std::size_t>(c)] += mean / static_cast<double>(batches);
      variances[static_cast<std::size_t>(c)] +=
          (squares / count - mean * mean) * count / (count - 1) / static_cast<double>(batches);
    }
  }
  return means;
}

}  // namespace

TEST_CASE("recalibrate: a layer gets the means over the batches of each task", "[recalibrate]") {
  const test::TemporaryFolder folder;
  const auto tasks = test::plans(test::write_manifest(folder.path()), 2, 60);
  const auto model = test::model_for(tasks);
  const std::vector<float> weights = model->parameters().flat_values().to_vector();
  std::int64_t calls = 0;
  recalibrate(*model, tasks,
              {.mode = BnStats::kPerTask, .batches = 3, .progress = [&](std::int64_t, std::int64_t total) {
                 CHECK(total == 9);
                 ++calls;
               }});
  CHECK(calls == 9);
  CHECK(model->parameters().flat_values().to_vector() == weights);
  CHECK(model->info().bn_stats == BnStats::kPerTask);
  const AverageSets& sets = model->parameters().averages()[0];
  for (const TaskPlan& plan : tasks) {
    std::vector<double> variances;
    const std::vector<double> means = first_layer_means(*model, plan, 3, variances);
    const Averages& own = sets.domains[static_cast<std::size_t>(domain_of(plan.source.task))];
    CHECK(own.batches->value == 3);
    for (std::size_t c = 0; c < means.size(); ++c) {
      CHECK(static_cast<double>(own.mean->value.data()[c]) == Approx(means[c]).margin(1e-5));
      CHECK(static_cast<double>(own.variance->value.data()[c]) == Approx(variances[c]).epsilon(1e-4));
    }
  }
}

TEST_CASE("recalibrate: twice is once, and a task without data keeps its averages", "[recalibrate]") {
  const test::TemporaryFolder folder;
  const auto tasks = test::plans(test::write_manifest(folder.path()), 2, 60, 0.5);
  const auto model = test::model_for(tasks);
  recalibrate(*model, tasks, {.mode = BnStats::kPooled, .batches = 2, .progress = {}});
  const std::vector<float> first = model->parameters().flat_buffers().to_vector();
  CHECK(averaged_batches(model->parameters(), Task::kSed) == 2);
  recalibrate(*model, {tasks[1]}, {.mode = BnStats::kPooled, .batches = 2, .progress = {}});
  CHECK(model->parameters().flat_buffers().to_vector() == first);
  CHECK_THROWS_AS(recalibrate(*model, tasks, {.mode = BnStats::kShared}), Error);
  CHECK_THROWS_AS(recalibrate(*model, tasks, {.batches = 0}), Error);
}

}  // namespace dcase
