#pragma once
/// A tiny three-task manifest of synthetic sound for training tests: tones are classes, so a network can learn them.

#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/files.hpp"
#include "kernels/common/philox.hpp"
#include "tests/support/test.hpp"
#include "train/data/audio_file.hpp"
#include "train/data/open_dataset.hpp"
#include "train/trainer.hpp"

namespace dcase::test {

/// 3 s at 24 kHz: one of two tones over a little noise.
inline void write_tone(const std::string& path, int which) {
  std::vector<float> pcm(72000);
  const RandomKey key{.seed = 5, .purpose = purpose_id(path.substr(path.rfind('/'))), .step = 0};
  for (std::size_t i = 0; i < pcm.size(); ++i) {
    const double phase = static_cast<double>(i) * (which == 0 ? 0.06 : 0.35);
    pcm[i] = static_cast<float>(0.3 * std::sin(phase) + 0.01 * (2 * uniform_double(key, i) - 1));
  }
  save_wav(path, {pcm}, 24000);
}

/// Writes recordings and manifest into `folder`; returns the manifest's path.
inline std::string write_manifest(const std::string& folder) {
  std::string text;
  int number = 0;
  for (const char* split : {"train", "valid", "test"}) {
    for (int i = 0; i < (split == std::string("train") ? 6 : 2); ++i) {
      const int which = i % 2;
      const std::string name = concat("r", number++, ".wav");
      write_tone(folder + "/" + name, which);
      text += concat(R"({"audio":")", name, R"(","split":")", split, R"(","scene":")", which == 0 ? "low" : "high",
                     R"(","tags":[")", which == 0 ? "Hum" : "Whistle",
                     R"("],"events":[{"onset":0,"offset":3,"label":")", which == 0 ? "hum" : "whistle", "\"}]}\n");
    }
  }
  const std::string path = folder + "/set.jsonl";
  atomic_write(path, text);
  return path;
}

/// All three tasks on the manifest, in the trainer's order.
inline std::vector<TaskPlan> plans(const std::string& manifest, std::int64_t batch, std::int64_t frames,
                                   double mixup = 0) {
  std::vector<TaskPlan> result;
  for (const Task task : {Task::kAsc, Task::kSed, Task::kTag}) {
    const DataRequest request{.root = manifest};
    auto dataset = std::make_shared<const Dataset>(open_dataset(request));
    PcmCache cache = prepare_cache(*dataset, cache_path(*dataset, request, ""), {.threads = 1});
    result.push_back({.source = {.task = task, .dataset = dataset, .cache = cache},
                      .batch = {.batch_size = batch, .crop_frames = frames, .seed = 1, .mixup_alpha = mixup}});
  }
  return result;
}

inline std::shared_ptr<Model> model_for(const std::vector<TaskPlan>& tasks, std::uint64_t seed = 1, int version = 3) {
  ModelInfo info;
  info.architecture.version = version;
  info.architecture.divisor = 8;
  for (const TaskPlan& plan : tasks) info.labels[plan.source.task] = plan.source.dataset->labels[plan.source.task];
  info.architecture.classes_asc = info.labels.asc.size();
  info.architecture.classes_tag = info.labels.tag.size();
  info.architecture.classes_sed = info.labels.sed.size();
  return std::make_shared<Model>(Model::create(info, seed));
}

/// Parameters, buffers and counters.
inline std::vector<float> state_of(const Model& model) {
  std::vector<float> values = model.parameters().flat_values().to_vector();
  const std::vector<float> buffers = model.parameters().flat_buffers().to_vector();
  values.insert(values.end(), buffers.begin(), buffers.end());
  for (const StateEntry& e : model.parameters().entries()) {
    if (e.counter != nullptr) values.push_back(static_cast<float>(e.counter->value));
  }
  return values;
}

}  // namespace dcase::test
