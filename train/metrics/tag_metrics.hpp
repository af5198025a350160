#pragma once
/// Scores of audio tagging: any number of true classes an item. Only the order of the scores counts, except for the F1
/// at a threshold. Sums run in double in item order.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "train/metrics/counts.hpp"

namespace dcase {

struct TagInput {
  std::span<const std::string> classes;      // [K]
  std::span<const double> scores;            // [N,K], finite
  std::span<const std::uint8_t> truth;       // [N,K], 0 or 1
  std::span<const double> thresholds = {};   // of F1: [K], one for all, or empty for 0.5; decision is score > threshold
  std::span<const double> frequencies = {};  // [K] counts in training, for the chance level; empty: those of `truth`
};

struct TagClass {
  std::string name;
  std::int64_t positives = 0;
  double weight = 0;             ///< share of all labels
  double lwlrap = 0;             ///< NaN without positives
  double average_precision = 0;  ///< no interpolation, one step a distinct score; NaN without positives
  double roc_auc = 0;            ///< ties count half; NaN without positives or without negatives
  double d_prime = 0;            ///< sqrt(2) * inverse normal of roc_auc
  double threshold = 0.5;
  Counts counts;  ///< at the threshold
  Ratios at_threshold;
};

struct TagMetrics {
  std::int64_t items = 0;
  std::int64_t items_without_labels = 0;  ///< count nowhere in lwlrap
  std::int64_t labels = 0;
  double lwlrap = 0;    ///< label-weighted label-ranking average precision; equal scores rank by class index
  double mean_ap = 0;   ///< mAP over the classes with positives
  double micro_ap = 0;  ///< of all (item, class) pairs as one list
  double mean_auc = 0;
  double d_prime = 0;  ///< of mean_auc, as AudioSet papers report
  double micro_f1 = 0;
  double macro_f1 = 0;      ///< over the classes with positives or decisions
  double prior_lwlrap = 0;  ///< of ranking the classes by their frequency, the same for every item
  std::vector<TagClass> classes;
};

/// Throws Error(kArgument) for sizes that do not fit, Error(kNumeric) for NaN or infinity.
[[nodiscard]] TagMetrics tag_metrics(const TagInput& input);

/// The overall lwlrap alone, for selecting epochs; NaN where no item has a label.
[[nodiscard]] double lwlrap(std::span<const double> scores, std::span<const std::uint8_t> truth, std::int64_t classes);

/// lwlrap of ranking by `frequencies` [K], whatever the item.
[[nodiscard]] double prior_lwlrap(std::span<const double> frequencies, std::span<const std::uint8_t> truth);

/// Threshold a class with the best F1 on these items (chosen on validation, used on test): midway between neighbouring
/// scores, the highest among equals; 0.5 for a class without positives.
[[nodiscard]] std::vector<double> best_f1_thresholds(std::span<const double> scores,
                                                     std::span<const std::uint8_t> truth, std::int64_t classes);

/// x with P(N(0,1) <= x) = p; -infinity and infinity at 0 and 1, NaN elsewhere.
[[nodiscard]] double inverse_normal(double p);

/// Undefined and infinite numbers become null.
[[nodiscard]] nlohmann::ordered_json to_json(const TagMetrics& metrics);

}  // namespace dcase
