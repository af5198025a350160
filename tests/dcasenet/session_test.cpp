#include "dcasenet/session.hpp"

#include <cmath>
#include <limits>
#include <thread>

#include "tests/support/compare.hpp"

namespace dcase {
namespace {

std::shared_ptr<const Model> small_model() {
  ModelInfo info;
  info.architecture = {.version = 3, .divisor = 8, .classes_asc = 10, .classes_tag = 80, .classes_sed = 14};
  for (const Task task : kAllTasks) info.labels[task] = builtin_labels(task);
  auto model = std::make_shared<Model>(Model::create(info, 3));
  model->parameters().set_trainable(false);
  return model;
}

std::vector<float> noise(std::int64_t samples) {
  std::vector<float> pcm(static_cast<std::size_t>(samples));
  const RandomKey key{.seed = 1, .purpose = purpose_id("noise"), .step = 0};
  for (std::size_t i = 0; i < pcm.size(); ++i) {
    // Louder in some seconds than in others, so that windows differ.
    const float level = 0.02F + 0.2F * static_cast<float>((i / 24000) % 7);
    pcm[i] = level * (2 * uniform_float(key, i) - 1);
  }
  return pcm;
}

// Normalised log-mel of a stretch, [1,128,T].
Tensor features(const Session& session, std::span<const float> pcm) {
  const auto samples = static_cast<std::int64_t>(pcm.size());
  const Tensor x({1, 128, mel_frames(samples)}, session.model().backend());
  const View<float> rows(x.data(), {128, x.dim(2)});
  mel_forward(MelForward{.pcm = View<const float>(pcm.data(), {samples}), .out = rows}, session.mel(), x.context());
  mel_normalize({.x = rows, .mean = {}, .std = {}}, session.mel().parameters(), x.context());
  return x;
}

}  // namespace

TEST_CASE("session: a 10 s scene is the mean over the reference's three crops", "[session]") {
  const Session session(small_model());
  const std::vector<float> pcm = noise(240000);
  const Prediction p = session.run(pcm, Task::kAsc);
  REQUIRE(p.asc.size() == 10);
  CHECK(p.tag.empty());
  CHECK(p.sed.empty());
  std::vector<double> expected(10);
  // Crops of the pre-emphasised signal: the first 120,000, from 60,000 on, and the last 120,000 of 239,999.
  for (const std::size_t first : {0U, 60000U, 119999U}) {
    const NetworkOutputs out =
        session.run_log_mel(features(session, std::span(pcm).subspan(first, 120001)), Task::kAsc);
    double sum = 0;
    for (int k = 0; k < 10; ++k) sum += std::exp(static_cast<double>(out.asc.data()[k]));
    for (int k = 0; k < 10; ++k) {
      expected[static_cast<std::size_t>(k)] += std::exp(static_cast<double>(out.asc.data()[k])) / sum / 3;
    }
  }
  double total = 0;
  for (std::size_t k = 0; k < 10; ++k) {
    CHECK(static_cast<double>(p.asc[k]) == Approx(expected[k]).margin(1e-6));
    total += static_cast<double>(p.asc[k]);
  }
  CHECK(total == Approx(1).margin(1e-5));
}

TEST_CASE("session: every length gives every output", "[session]") {
  const Session session(small_model());
  for (const std::int64_t samples : {2, 100, 2400, 19199, 120000, 120001, 720000, 720001, 1440000, 1440001, 1500000}) {
    const Prediction p = session.run(noise(samples));
    INFO(samples << " samples");
    CHECK(p.asc.size() == 10);
    CHECK(p.tag.size() == 80);
    CHECK(p.sed_frames == (samples + 2399) / 2400);
    CHECK(p.sed.size() == static_cast<std::size_t>(p.sed_frames * 14));
    for (const float v : p.sed) CHECK(std::isfinite(v));
    for (const float v : p.tag) CHECK((v > 0 && v < 1));
  }
}

TEST_CASE("session: a minute of events is one window of the network", "[session]") {
  const Session session(small_model());
  const std::vector<float> pcm = noise(1440000);
  const Prediction p = session.run(pcm, Task::kSed);
  const NetworkOutputs out = session.run_log_mel(features(session, pcm), Task::kSed);
  REQUIRE(out.sed.size() == static_cast<std::int64_t>(p.sed.size()));
  CHECK(p.sed == out.sed.to_vector());
}

TEST_CASE("session: longer recordings join windows of a minute in the middle of their overlap", "[session]") {
  const Session session(small_model());
  const std::vector<float> pcm = noise(100 * 24000);
  const Prediction p = session.run(pcm, Task::kSed);
  REQUIRE(p.sed_frames == 1000);
  const auto window = [&](std::int64_t first) {
    return session
        .run_log_mel(features(session, std::span(pcm).subspan(static_cast<std::size_t>(first), 1440000)), Task::kSed)
        .sed.to_vector();
  };
  const std::vector<float> head = window(0);
  const std::vector<float> tail = window(40 * 24000);  // the last 60 s
  // The first window keeps 59 s; the rest is the last window's.
  CHECK(std::equal(head.begin(), head.begin() + 590 * 14, p.sed.begin()));
  CHECK(std::equal(tail.begin() + 190 * 14, tail.end(), p.sed.begin() + 590 * 14));
}

TEST_CASE("session: pieces of any size give what the whole gives", "[session]") {
  const Session session(small_model());
  const std::vector<float> pcm = noise(1500000);
  const Prediction whole = session.run(pcm);
  Predictor predictor(session, TaskSet::all());
  for (std::size_t i = 0; i < pcm.size();) {
    const std::size_t count = std::min<std::size_t>(pcm.size() - i, 1 + (i * 7919) % 90001);
    predictor.push(std::span(pcm).subspan(i, count));
    i += count;
  }
  const Prediction pieces = predictor.finish();
  CHECK(pieces.asc == whole.asc);
  CHECK(pieces.tag == whole.tag);
  CHECK(pieces.sed == whole.sed);
  CHECK(pieces.seconds == whole.seconds);
  // The predictor serves the next recording.
  predictor.push(std::span(pcm).first(50000));
  CHECK(predictor.finish().tag == session.run(std::span(pcm).first(50000)).tag);
}

TEST_CASE("session: silence, clipping and hostile samples", "[session]") {
  const Session session(small_model());
  const Prediction silent = session.run(std::vector<float>(240000, 0.0F));
  for (const float v : silent.tag) CHECK(std::isfinite(v));
  const Prediction loud = session.run(std::vector<float>(240000, 9e5F));
  for (const float v : loud.asc) CHECK(std::isfinite(v));
  std::vector<float> bad = noise(24000);
  bad[777] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(session.run(bad), Catch::Contains("sample 777"));
  bad[777] = 1e30F;
  CHECK_THROWS_WITH(session.run(bad), Catch::Contains("no sound"));
  CHECK_THROWS_AS(session.run(std::vector<float>(1)), Error);
  CHECK_THROWS_AS(session.run(std::vector<float>()), Error);
}

TEST_CASE("session: threads share one model", "[session][threads]") {
  const auto model = small_model();
  const std::vector<float> pcm = noise(130000);
  const Prediction alone = Session(model).run(pcm);
  std::vector<Prediction> results(4);
  std::vector<std::thread> threads;
  for (Prediction& result : results) threads.emplace_back([&] { result = Session(model).run(pcm); });
  for (std::thread& thread : threads) thread.join();
  for (const Prediction& result : results) {
    CHECK(result.asc == alone.asc);
    CHECK(result.tag == alone.tag);
    CHECK(result.sed == alone.sed);
  }
}

TEST_CASE("session: inference asks the system for no memory after the first recording", "[session]") {
  const auto model = small_model();
  const Session session(model);
  const std::vector<float> pcm = noise(240000);
  static_cast<void>(session.run(pcm));
  const auto before = model->backend()->memory();
  static_cast<void>(session.run(pcm));
  const auto after = model->backend()->memory();
  CHECK(after.growths == before.growths);
  CHECK(after.bytes_in_use == before.bytes_in_use);
}

}  // namespace dcase
