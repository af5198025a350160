#pragma once
/// A model on one part of a data set: predictions by the same session that `predict` uses, then the metrics.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "dcasenet/session.hpp"
#include "train/data/batcher.hpp"
#include "train/formats/decision_file.hpp"
#include "train/metrics/asc_metrics.hpp"
#include "train/metrics/psds.hpp"
#include "train/metrics/sed_metrics.hpp"
#include "train/metrics/tag_metrics.hpp"

namespace dcase {

struct EvaluateOptions {
  Split split = Split::kTest;
  DecisionRules decisions;                                    ///< sound events: threshold and what follows it
  DecisionRules reference_decisions = {.thresholds = {0.3}};  ///< the same for the scores of the released code
  std::vector<double> tag_thresholds;                         ///< of F1: one a class, or empty for 0.5
  const DecisionFile* tuned = nullptr;                        ///< refused where it was tuned on what is evaluated
  bool psds = false;                                          ///< sound events: PSDS 1 and 2 as well
  UndefinedRule undefined = UndefinedRule::kStandard;
  EventOptions events;
  /// done, total. What it throws ends the evaluation.
  std::function<void(std::int64_t, std::int64_t)> progress;
};

/// The result for one task: the members of that task are set.
struct Evaluation {
  Task task = Task::kAsc;
  Split split = Split::kTest;
  std::int64_t items = 0;
  std::optional<AscMetrics> asc;
  std::optional<TagMetrics> tag;
  std::optional<SegmentMetrics> segments;
  std::optional<EventMetrics> events;
  std::optional<ReferenceSedMetrics>
      reference;  ///< the scores of the released code, never in one table with the others
  std::vector<PsdsMetrics> psds;
  DecisionRules decisions, reference_decisions;

  /// The figure that chooses the best epoch: accuracy (0..1), lwlrap, or segment F1 (0 where undefined).
  [[nodiscard]] double selection_value() const;
};

/// Throws Error(kData) where the split holds nothing for the task, Error(kUsage) where the model's classes are others
/// than the data set's.
[[nodiscard]] Evaluation evaluate(const Session& session, const TaskSource& source, const EvaluateOptions& options);

/// Thresholds a class for tags or sound events, chosen on the validation part. `options.decisions` has the filters.
/// Throws Error(kUsage) for scenes, and where validation and test are one (Selection::kReference).
[[nodiscard]] DecisionFile tune(const Session& session, const TaskSource& source, const EvaluateOptions& options,
                                TuningObjective objective);

/// Signals of an item as float; the prediction averages over them. Zeros up to `padded_seconds` where the item says so.
[[nodiscard]] std::vector<float> item_signal(const PcmCache::Item& audio, int signal, const Item& item,
                                             int sample_rate);

[[nodiscard]] nlohmann::ordered_json to_json(const Evaluation& evaluation);

}  // namespace dcase
