#include "train/data/batcher.hpp"

#include <algorithm>
#include <map>

#include "tests/train/training_fixture.hpp"
#include "train/data/prefetcher.hpp"

namespace dcase {
namespace {

Batcher make_batcher(const TaskPlan& plan) { return Batcher(plan.source, plan.batch, MelTables(), Backend::cpu()); }

}  // namespace

TEST_CASE("batcher: a batch is a function of its number", "[batcher]") {
  const test::TemporaryFolder folder;
  for (const TaskPlan& plan : test::plans(test::write_manifest(folder.path()), 3, 60, 0.3)) {
    INFO(task_name(plan.source.task));
    const Batcher batcher = make_batcher(plan);
    const Batch late = batcher.make(7);
    static_cast<void>(batcher.make(0));
    const Batch again = make_batcher(plan).make(7);
    CHECK(late.x.to_vector() == again.x.to_vector());
    CHECK(late.target.to_vector() == again.target.to_vector());
    CHECK(late.x.to_vector() != batcher.make(8).x.to_vector());
    CHECK(late.x.shape() == Shape{3, 128, 60, 1});
  }
}

TEST_CASE("batcher: each pass over the data takes every example once", "[batcher]") {
  const test::TemporaryFolder folder;
  const auto plans = test::plans(test::write_manifest(folder.path()), 4, 60);
  const Batcher batcher = make_batcher(plans[0]);
  REQUIRE(batcher.example_count() == 6);
  // Three steps of four are two passes of six examples: each scene is drawn six times.
  std::vector<double> sums(2);
  for (std::int64_t step = 0; step < 3; ++step) {
    const Batch batch = batcher.make(step);
    for (std::int64_t i = 0; i < batch.target.size(); ++i)
      sums[static_cast<std::size_t>(i % 2)] += static_cast<double>(batch.target.data()[i]);
  }
  CHECK(sums == std::vector<double>{6, 6});
}

TEST_CASE("batcher: features are normalised, events cover their frames", "[batcher]") {
  const test::TemporaryFolder folder;
  const auto plans = test::plans(test::write_manifest(folder.path()), 2, 60);
  const Batch asc = make_batcher(plans[0]).make(0);
  double sum = 0;
  for (std::int64_t i = 0; i < 60; ++i) sum += static_cast<double>(asc.x.data()[i]);
  CHECK(sum / 60 == Approx(0).margin(1e-4));
  const Batch sed = make_batcher(plans[1]).make(0);
  CHECK(sed.target.shape() == Shape{2, 12, 2});
  for (std::int64_t t = 0; t < 12; ++t) {
    CHECK(sed.target.data()[t * 2] + sed.target.data()[t * 2 + 1] == 1);  // one tone sounds all the time
  }
}

TEST_CASE("batcher: sound-event crops are the frames of the whole recording", "[batcher]") {
  const test::TemporaryFolder folder;
  const auto plans = test::plans(test::write_manifest(folder.path()), 1, 40);
  const TaskPlan& plan = plans[1];
  const Batch batch = make_batcher(plan).make(3);
  // The crop is found again somewhere in the log-mel of one of the recordings, normalised by the whole of it.
  bool found = false;
  for (std::int64_t item = 0; item < 6 && !found; ++item) {
    const PcmCache::Item& audio = plan.source.cache.item(item);
    const std::int64_t T = mel_frames(audio.samples());
    const Tensor whole({128, T}, Backend::cpu());
    mel_forward(MelForward{.pcm = audio.pcm(0), .out = whole}, MelTables(), whole.context());
    mel_normalize({.x = whole, .mean = audio.mean(0), .std = audio.std(0)}, MelParameters(), whole.context());
    for (std::int64_t first = 0; first + 40 <= T && !found; first += 5) {
      double worst = 0;
      for (std::int64_t m = 0; m < 128; ++m) {
        for (std::int64_t t = 0; t < 40; ++t) {
          worst = std::max(worst,
                           static_cast<double>(std::abs(whole.data()[m * T + first + t] - batch.x.data()[m * 40 + t])));
        }
      }
      found = worst < 1e-4;
    }
  }
  CHECK(found);
}

TEST_CASE("batcher: mix-up draws from Beta(alpha, alpha)", "[batcher]") {
  for (const double alpha : {0.1, 1.0}) {
    double sum = 0;
    double squares = 0;
    constexpr int kDraws = 4000;
    for (std::uint32_t i = 0; i < kDraws; ++i) {
      const double v = draw_beta(alpha, {.seed = 1, .purpose = 2, .step = i});
      REQUIRE((v >= 0 && v <= 1));
      sum += v;
      squares += v * v;
    }
    const double mean = sum / kDraws;
    CHECK(mean == Approx(0.5).margin(0.02));
    CHECK(squares / kDraws - mean * mean == Approx(1 / (4 * (2 * alpha + 1))).epsilon(0.05));
  }
}

TEST_CASE("batcher: sizes that make no sense are refused with their key", "[batcher]") {
  const test::TemporaryFolder folder;
  auto plans = test::plans(test::write_manifest(folder.path()), 0, 60);
  CHECK_THROWS_WITH(make_batcher(plans[0]), Catch::Contains("data.asc.batch_size is 0"));
  plans[1].batch = {.batch_size = 1, .crop_frames = 43};
  CHECK_THROWS_WITH(make_batcher(plans[1]), Catch::Contains("data.sed.crop_frames is 43"));
}

TEST_CASE("prefetcher: batches come in order, errors reach the caller, an early end is clean", "[prefetcher]") {
  const test::TemporaryFolder folder;
  const auto plans = test::plans(test::write_manifest(folder.path()), 2, 60);
  const auto batcher = std::make_shared<const Batcher>(make_batcher(plans[0]));
  {
    Prefetcher prefetcher({batcher}, 2, 6);
    for (std::int64_t step = 2; step < 6; ++step) {
      CHECK(prefetcher.next()[0].x.to_vector() == batcher->make(step).x.to_vector());
    }
    CHECK_THROWS_AS(prefetcher.next(), Error);
  }
  const Prefetcher unused({batcher}, 0, 1000000);
}

}  // namespace dcase
