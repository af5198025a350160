#include "train/evaluate.hpp"

#include <algorithm>
#include <cmath>

#include "train/data/asc_dataset.hpp"
#include "train/formats/recording_names.hpp"

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

/// What the model says of the items of a part, and what is true of them. The members of the task are set.
struct Collected {
  std::vector<std::string> recordings;  // keys
  std::vector<double> scores;           // scenes, tags: [N,K]
  std::vector<std::int32_t> scenes;     // [N]
  std::vector<std::string> devices;     // [N]
  std::vector<std::uint8_t> tags;       // [N,K]
  std::vector<TuningItem> events;       // [N]; truth in frames of 100 ms, as the labels are
  std::vector<Roll> rolls;              // [N]: the same as frames
};

constexpr std::int64_t kFrameUs = 100'000;

class Collector {
 public:
  Collector(const Session& session, const TaskSource& source, Split split, const EvaluateOptions& options)
      : session_(session),
        source_(source),
        options_(options),
        width_(source.dataset->labels[source.task].size()),
        items_(usable_items(source, split)) {
    const LabelSet& classes = source.dataset->labels[source.task];
    if (!(session.model().info().labels[source.task] == classes)) {
      fail(ErrorKind::kUsage, "the model's ", task_name(source.task), " classes are not those of ",
           source.dataset->root, " (", session.model().info().labels[source.task].size(), " against ", classes.size(),
           " names, or another order); evaluate on the data it was trained for");
    }
    for (const std::int32_t i : items_) out_.recordings.push_back(item(i).audio);
    if (options.tuned != nullptr && options.tuned->task == source.task) {
      refuse_tuned_on(*options.tuned, "the decisions", out_.recordings);
    }
  }

  Collected run() {
    for (std::size_t i = 0; i < items_.size(); ++i) {
      add(item(items_[i]), probabilities(session_, source_, items_[i]));
      if (options_.progress)
        options_.progress(static_cast<std::int64_t>(i) + 1, static_cast<std::int64_t>(items_.size()));
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] const Item& item(std::int32_t i) const { return source_.dataset->items[static_cast<std::size_t>(i)]; }

  void add(const Item& item, std::vector<double> p) {
    if (source_.task == Task::kSed) {
      add_events(item, std::move(p));
      return;
    }
    out_.scores.insert(out_.scores.end(), p.begin(), p.end());
    if (source_.task == Task::kAsc) {
      out_.scenes.push_back(item.scene_index());
      out_.devices.push_back(item.device);
    } else {
      std::vector<std::uint8_t> row(static_cast<std::size_t>(width_));
      for (const ClassTarget& t : *item.tags) row[static_cast<std::size_t>(t.label)] = t.value >= 0.5F ? 1 : 0;
      out_.tags.insert(out_.tags.end(), row.begin(), row.end());
    }
  }

  void add_events(const Item& item, std::vector<double> p) {
    const std::int64_t frames = static_cast<std::int64_t>(p.size()) / width_;
    std::vector<float> matrix(p.size());
    fill_frames(*item.events, matrix.data(), frames, width_);
    std::vector<std::uint8_t> active(p.size());
    std::transform(matrix.begin(), matrix.end(), active.begin(), [](float v) { return v >= 0.5F ? 1 : 0; });
    Roll truth = roll_of(active, frames, width_);
    out_.events.push_back({.scores = frame_scores(std::move(p), width_, kFrameUs),
                           .truth = events_of(truth, kFrameUs),
                           .length = frames * kFrameUs});
    out_.rolls.push_back(std::move(truth));
  }

  const Session& session_;
  const TaskSource& source_;
  const EvaluateOptions& options_;
  std::int32_t width_;
  std::vector<std::int32_t> items_;
  Collected out_;
};

[[nodiscard]] std::vector<double> training_frequencies(const TaskSource& source) {
  std::vector<double> counts(static_cast<std::size_t>(source.dataset->labels.tag.size()));
  for (const std::int32_t i : source.dataset->indices(Split::kTrain, Task::kTag)) {
    for (const ClassTarget& t : *source.dataset->items[static_cast<std::size_t>(i)].tags) {
      counts[static_cast<std::size_t>(t.label)] += static_cast<double>(t.value);
    }
  }
  return counts;
}

void score_events(const std::vector<std::string>& classes, const Collected& collected, const EvaluateOptions& options,
                  Evaluation& result) {
  const auto width = static_cast<std::int64_t>(classes.size());
  std::vector<SedItem> scored;
  std::vector<PsdsRecording> recordings;
  std::vector<Roll> released;
  for (const TuningItem& item : collected.events) {
    const auto decided = [&](const DecisionRules& rules) {
      return decide(item.scores.values, item.scores.frames(), width, rules);
    };
    scored.push_back(
        {.truth = item.truth, .output = events_of(decided(options.decisions), kFrameUs), .length = item.length});
    released.push_back(decided(options.reference_decisions));
    recordings.push_back({.truth = item.truth, .length = item.length});
  }
  result.segments = segment_metrics(classes, scored, {.undefined = options.undefined});
  result.events = event_metrics(classes, scored, options.events);
  result.reference = reference_sed_metrics(collected.rolls, released);
  if (!options.psds) return;
  const LoadScores load = [&](std::size_t i) { return filtered(collected.events[i].scores, options.decisions); };
  result.psds = psds_metrics(classes, recordings, load, {.rules = {psds1(), psds2()}});
}

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
  const Collected collected = Collector(session, source, options.split, options).run();
  const std::vector<std::string>& classes = source.dataset->labels[source.task].names();
  Evaluation result{.task = source.task,
                    .split = options.split,
                    .items = static_cast<std::int64_t>(collected.recordings.size()),
                    .decisions = options.decisions,
                    .reference_decisions = options.reference_decisions};
  if (source.task == Task::kAsc) {
    std::vector<std::string> groups;
    for (const std::string& device : collected.devices) groups.push_back(asc_device_group(device));
    result.asc = asc_metrics({.classes = classes,
                              .probabilities = collected.scores,
                              .truth = collected.scenes,
                              .devices = collected.devices,
                              .groups = groups});
  } else if (source.task == Task::kTag) {
    const std::vector<double> frequencies = training_frequencies(source);
    result.tag = tag_metrics({.classes = classes,
                              .scores = collected.scores,
                              .truth = collected.tags,
                              .thresholds = options.tag_thresholds,
                              .frequencies = frequencies});
  } else {
    score_events(classes, collected, options, result);
  }
  return result;
}

DecisionFile tune(const Session& session, const TaskSource& source, const EvaluateOptions& options,
                  TuningObjective objective) {
  if (source.task == Task::kAsc) {
    fail(ErrorKind::kUsage, "scenes are decided by the highest probability and have no threshold to tune");
  }
  if (source.dataset->selection == Selection::kReference) {
    fail(ErrorKind::kUsage,
         "with --selection reference nothing is held out for validation, so thresholds would be chosen on what is "
         "reported; leave it out");
  }
  Collected collected = Collector(session, source, Split::kValid, options).run();
  const LabelSet& classes = source.dataset->labels[source.task];
  DecisionFile file{.task = source.task,
                    .objective = source.task == Task::kTag ? "f1" : word_of(kTuningObjectiveWords, objective),
                    .data = source.dataset->root,
                    .part = split_name(Split::kValid),
                    .classes = classes,
                    .rules = options.decisions};
  for (const std::string& name : collected.recordings) file.recordings.push_back(recording_key(name));
  file.tuned = source.task == Task::kTag
                   ? tune_tag_thresholds(collected.scores, collected.tags, classes.size())
                   : tune_thresholds(classes.size(), collected.events,
                                     {.objective = objective, .rules = options.decisions, .events = options.events});
  file.rules.thresholds.clear();
  for (const TunedClass& c : file.tuned) file.rules.thresholds.push_back(c.threshold);
  return file;
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
    for (const PsdsMetrics& psds : e.psds) j[psds.rule.name] = to_json(psds);
  }
  return j;
}

}  // namespace dcase
