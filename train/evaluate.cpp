#include "train/evaluate.hpp"

#include <algorithm>
#include <cmath>

#include "train/data/asc_dataset.hpp"

namespace dcase {
namespace {

// Items of the split that know the task and are readable.
std::vector<std::int32_t> usable_items(const TaskSource& source, Split split) {
  std::vector<std::int32_t> items = source.dataset->indices(split, source.task);
  std::erase_if(items, [&](std::int32_t i) { return !source.cache.item(i).usable(); });
  if (items.empty()) {
    fail(ErrorKind::kData, source.dataset->root, ": nothing to evaluate ", task_name(source.task), " on in the ",
         split_name(split), " part");
  }
  return items;
}

// Probabilities of one item, averaged over its signals: [K], or [T,K] for sound events.
std::vector<double> probabilities(const Session& session, const TaskSource& source, std::int32_t index) {
  const PcmCache::Item& audio = source.cache.item(index);
  const Item& item = source.dataset->items[static_cast<std::size_t>(index)];
  std::vector<double> mean;
  for (int signal = 0; signal < audio.signals(); ++signal) {
    const Prediction p =
        session.run(item_signal(audio, signal, item, session.mel().parameters().sample_rate), source.task);
    const std::vector<float>& values = source.task == Task::kAsc ? p.asc : source.task == Task::kTag ? p.tag : p.sed;
    mean.resize(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) mean[i] += static_cast<double>(values[i]) / audio.signals();
  }
  return mean;
}

class Evaluator {
 public:
  Evaluator(const Session& session, const TaskSource& source, const EvaluateOptions& options)
      : session_(session),
        source_(source),
        options_(options),
        classes_(source.dataset->labels[source.task].names()),
        items_(usable_items(source, options.split)) {
    if (!(session.model().info().labels[source.task] == source.dataset->labels[source.task])) {
      fail(ErrorKind::kUsage, "the model's ", task_name(source.task), " classes are not those of ",
           source.dataset->root, " (", session.model().info().labels[source.task].size(), " against ", classes_.size(),
           " names, or another order); evaluate on the data it was trained for");
    }
    result_ = {.task = source.task,
               .split = options.split,
               .items = static_cast<std::int64_t>(items_.size()),
               .decisions = options.decisions,
               .reference_decisions = options.reference_decisions};
  }

  Evaluation asc() {
    std::vector<double> scores;
    std::vector<std::int32_t> truth;
    std::vector<std::string> devices;
    for_each_item([&](const Item& item, const std::vector<double>& p) {
      scores.insert(scores.end(), p.begin(), p.end());
      truth.push_back(item.scene_index());
      devices.push_back(item.device);
    });
    std::vector<std::string> groups;
    for (const std::string& device : devices) groups.push_back(asc_device_group(device));
    result_.asc = asc_metrics(
        {.classes = classes_, .probabilities = scores, .truth = truth, .devices = devices, .groups = groups});
    return std::move(result_);
  }

  Evaluation tag() {
    std::vector<double> scores;
    std::vector<std::uint8_t> truth;
    for_each_item([&](const Item& item, const std::vector<double>& p) {
      scores.insert(scores.end(), p.begin(), p.end());
      const auto row = hard_row(*item.tags);
      truth.insert(truth.end(), row.begin(), row.end());
    });
    const std::vector<double> frequencies = training_frequencies();
    result_.tag = tag_metrics({.classes = classes_, .scores = scores, .truth = truth, .frequencies = frequencies});
    return std::move(result_);
  }

  Evaluation sed() {
    constexpr std::int64_t kFrameUs = 100'000;
    std::vector<SedItem> scored;
    std::vector<Roll> truth_rolls;
    std::vector<Roll> output_rolls;
    const auto K = static_cast<std::int64_t>(classes_.size());
    for_each_item([&](const Item& item, const std::vector<double>& p) {
      const std::int64_t frames = static_cast<std::int64_t>(p.size()) / K;
      Roll output = decide(p, frames, K, options_.decisions);
      std::vector<float> matrix(p.size());
      fill_frames(*item.events, matrix.data(), frames, static_cast<std::int32_t>(K));
      std::vector<std::uint8_t> active(p.size());
      std::transform(matrix.begin(), matrix.end(), active.begin(), [](float v) { return v >= 0.5F ? 1 : 0; });
      Roll truth = roll_of(active, frames, K);
      scored.push_back(
          {.truth = events_of(truth, kFrameUs), .output = events_of(output, kFrameUs), .length = frames * kFrameUs});
      truth_rolls.push_back(std::move(truth));
      output_rolls.push_back(decide(p, frames, K, options_.reference_decisions));
    });
    result_.segments = segment_metrics(classes_, scored, {.undefined = options_.undefined});
    result_.events = event_metrics(classes_, scored, options_.events);
    result_.reference = reference_sed_metrics(truth_rolls, output_rolls);
    return std::move(result_);
  }

 private:
  template <class Use>
  void for_each_item(const Use& use) {
    for (std::size_t i = 0; i < items_.size(); ++i) {
      use(source_.dataset->items[static_cast<std::size_t>(items_[i])], probabilities(session_, source_, items_[i]));
      if (options_.progress)
        options_.progress(static_cast<std::int64_t>(i) + 1, static_cast<std::int64_t>(items_.size()));
    }
  }

  [[nodiscard]] std::vector<std::uint8_t> hard_row(const std::vector<ClassTarget>& targets) const {
    std::vector<std::uint8_t> row(classes_.size());
    for (const ClassTarget& t : targets) row[static_cast<std::size_t>(t.label)] = t.value >= 0.5F ? 1 : 0;
    return row;
  }

  [[nodiscard]] std::vector<double> training_frequencies() const {
    std::vector<double> counts(classes_.size());
    for (const std::int32_t i : source_.dataset->indices(Split::kTrain, Task::kTag)) {
      for (const ClassTarget& t : *source_.dataset->items[static_cast<std::size_t>(i)].tags) {
        counts[static_cast<std::size_t>(t.label)] += static_cast<double>(t.value);
      }
    }
    return counts;
  }

  const Session& session_;
  const TaskSource& source_;
  const EvaluateOptions& options_;
  std::vector<std::string> classes_;
  std::vector<std::int32_t> items_;
  Evaluation result_;
};

}  // namespace

double Evaluation::selection_value() const {
  const double value = asc ? asc->overall.accuracy / 100 : tag ? tag->lwlrap : segments ? segments->scores.f1 : 0;
  return std::isfinite(value) ? value : 0;
}

std::vector<float> item_signal(const PcmCache::Item& audio, int signal, const Item& item, int sample_rate) {
  const auto padded = static_cast<std::int64_t>(std::llround(item.padded_seconds * sample_rate));
  std::vector<float> samples(static_cast<std::size_t>(padded > 0 ? padded : audio.samples()));
  read_samples(audio, signal, 0, static_cast<std::int64_t>(samples.size()), samples.data());
  return samples;
}

Evaluation evaluate(const Session& session, const TaskSource& source, const EvaluateOptions& options) {
  Evaluator evaluator(session, source, options);
  return source.task == Task::kAsc ? evaluator.asc() : source.task == Task::kTag ? evaluator.tag() : evaluator.sed();
}

nlohmann::ordered_json to_json(const Evaluation& e) {
  nlohmann::ordered_json j = {{"task", task_name(e.task)}, {"part", split_name(e.split)}, {"items", e.items}};
  if (e.asc) j["metrics"] = to_json(*e.asc);
  if (e.tag) j["metrics"] = to_json(*e.tag);
  if (e.segments) {
    j["decisions"] = to_json(e.decisions);
    j["segment_based"] = to_json(*e.segments);
    j["event_based"] = to_json(*e.events);
    j["reference_code"] = to_json(*e.reference);
    j["reference_code"]["decisions"] = to_json(e.reference_decisions);
  }
  return j;
}

}  // namespace dcase
