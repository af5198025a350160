#pragma once
/// Polyphonic sound detection score (Bilen, Ferroni, Tuveri, Azcarreta, Krstulovic, "A Framework for the Robust
/// Evaluation of Sound Event Detection", 2020), with every distinct score as a threshold (Ebbers, Haeb-Umbach, Serizel,
/// "Threshold Independent Evaluation of Sound Event Detection Scores", 2022).
///
/// At one threshold, for class c, its detections x and references y, |.| the length and & what two have in common:
///  1. x passes the detection tolerance where  sum over y of |x & y|  >=  dtc |x|;
///  2. y is found (a true positive)      where  sum over passing x of |x & y|  >=  gtc |y|;
///  3. every other x is a false positive, and a cross trigger for each class o where
///     sum over references z of o of |x & z|  >=  cttc |x|.
///  TPR_c = found / references,   FPR_c = false positives / hours,   CTR_co = cross triggers for o / hours of o,
///  e = FPR_c + alpha_ct * mean over the other classes o of CTR_co.
/// Over the thresholds TPR_c(e) is the best TPR at a rate of at most e, and with mean and (population) deviation over
/// the classes that have references
///  PSDS = 1 / e_max * integral from 0 to e_max of max(0, mean TPR_c(e) - alpha_st * std TPR_c(e)) de.
/// Detections are as long as the score frames say, also beyond the recording; references without length are dropped.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "train/metrics/bootstrap.hpp"
#include "train/metrics/frame_scores.hpp"

namespace dcase {

/// The parameters of one score.
struct PsdsRule {
  std::string name = "psds";
  double dtc = 0.7;  ///< detection tolerance, in (0, 1]
  double gtc = 0.7;  ///< ground truth intersection, in (0, 1]
  double cttc = 0;   ///< cross trigger tolerance, in (0, 1]; 0: cross triggers are not counted
  double alpha_ct = 0;
  double alpha_st = 1;
  double e_max = 100;  ///< effective false positives an hour
  /// What the mean of CTR divides by. kOther: the K - 1 other classes, as the paper and sed_scores_eval. kAll: all K,
  /// the class itself counting as 0, as psds_eval.
  enum class CrossMean : std::uint8_t { kOther, kAll } cross_mean = CrossMean::kOther;
};

/// DCASE Task 4: PSDS 1 rewards exact times, PSDS 2 telling the classes apart.
[[nodiscard]] PsdsRule psds1();
[[nodiscard]] PsdsRule psds2();

/// What is known of a recording beforehand.
struct PsdsRecording {
  std::vector<SoundEvent> truth;  // any order; events of a class may overlap
  std::int64_t length = 0;        // microseconds: counts towards the hours
};

struct PsdsClass {
  std::string name;
  std::int64_t references = 0;
  double area = 0;  ///< 1 / e_max * integral of TPR_c(e): the class alone; NaN without references
};

struct PsdsMetrics {
  PsdsRule rule;
  double psds = 0;  ///< NaN where no class has references or there are no hours
  Interval interval;
  double hours = 0;
  std::int64_t references = 0;
  std::int64_t classes_without_references = 0;  ///< in no mean; what is detected of them counts nowhere
  std::vector<PsdsClass> classes;               // [K]
};

struct PsdsOptions {
  std::vector<PsdsRule> rules;
  BootstrapOptions bootstrap = {};
  /// Of the changes that are kept while recordings are read. Where they need more, the classes are taken in groups and
  /// the recordings are loaded once for each: the result is the same.
  std::uint64_t memory_bytes = std::uint64_t{2} << 30U;
};

/// The scores of recording i. Called from several threads, and more than once for a recording.
using LoadScores = std::function<FrameScores(std::size_t recording)>;

/// One result a rule. Takes O(T log T) a class and recording. Throws Error(kArgument) for rules, events and scores that
/// do not fit, Error(kNumeric) for a score that is not finite, and what `load` throws.
[[nodiscard]] std::vector<PsdsMetrics> psds_metrics(std::span<const std::string> classes,
                                                    std::span<const PsdsRecording> recordings, const LoadScores& load,
                                                    const PsdsOptions& options);

/// Undefined numbers become null.
[[nodiscard]] nlohmann::ordered_json to_json(const PsdsMetrics& metrics);
[[nodiscard]] nlohmann::ordered_json to_json(const PsdsRule& rule);

}  // namespace dcase
