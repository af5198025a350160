#pragma once
/// Scores of sound event detection: segment-based and event-based as sed_eval defines them (Mesaros et al., "Metrics
/// for Polyphonic Sound Event Detection", 2016), and the scores of the released DcaseNet code. Sums run in item order.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "train/metrics/counts.hpp"
#include "train/metrics/sed_events.hpp"

namespace dcase {

/// One recording: what sounds, what was detected, and how long it is. The whole length is scored.
struct SedItem {
  std::vector<SoundEvent> truth;   // any order; parts beyond `length` are cut
  std::vector<SoundEvent> output;  // any order; likewise
  std::int64_t length = 0;         // microseconds
};

struct SedClass {
  std::string name;
  Counts counts;
  Ratios scores;
  [[nodiscard]] bool has_data() const { return counts.references() + counts.outputs() > 0; }
};

/// What segment-based and event-based scoring have in common.
struct SedScore {
  Counts counts;
  std::int64_t substitutions = 0;
  std::int64_t deletions = 0;
  std::int64_t insertions = 0;
  Ratios scores;  ///< micro; error_rate = (S + D + I) / references
  double substitution_rate = 0;
  double deletion_rate = 0;
  double insertion_rate = 0;
  double macro_f1 = 0;          ///< mean over the classes where it is defined
  double macro_error_rate = 0;  ///< over the classes with references
  std::int64_t classes_without_data = 0;
  std::vector<SedClass> classes;  // [K]
};

struct SegmentOptions {
  std::int64_t segment_us = 1'000'000;
  UndefinedRule undefined = UndefinedRule::kStandard;
};

struct SegmentMetrics : SedScore {
  SegmentOptions options;
  std::int64_t segments = 0;
  double everything_on_f1 = 0;  ///< micro F1 of a system that detects every class everywhere; NaN without references
};

/// A class is active in every segment that one of its events touches; a last, incomplete segment counts.
/// Throws Error(kArgument) for a label outside 0..K-1, an event that ends before it begins, a negative length.
[[nodiscard]] SegmentMetrics segment_metrics(std::span<const std::string> classes, std::span<const SedItem> items,
                                             const SegmentOptions& options = {});

struct EventOptions {
  std::int64_t collar_us = 200'000;
  double offset_share = 0.5;  ///< offsets may differ by max(collar, share of the reference's length); DCASE Task 4: 0.2
  bool test_offset = true;    ///< false: onsets alone decide
  /// kOptimal pairs as many as possible; kGreedy takes the first that fits, in order of time, as older programs do.
  enum class Matching : std::uint8_t { kOptimal, kGreedy } matching = Matching::kOptimal;
  UndefinedRule undefined = UndefinedRule::kStandard;
};

struct EventMetrics : SedScore {
  EventOptions options;
};

/// Substitutions are pairs left over by the matching that agree in time but not in label.
[[nodiscard]] EventMetrics event_metrics(std::span<const std::string> classes, std::span<const SedItem> items,
                                         const EventOptions& options = {});

/// The released evaluation, for comparison with the paper only. All files are concatenated and cut into blocks; in each
/// block the last frame is not looked at (the released slice ends one early), F1 takes the incomplete last block and
/// has an epsilon of 1e-8, ER leaves that block out and has none.
struct ReferenceSedMetrics {
  std::int64_t block_frames = 0;
  double f1 = 0;
  double error_rate = 0;  ///< NaN without references
};
/// `block_frames` > 1: the released code has 50, five seconds of label frames.
[[nodiscard]] ReferenceSedMetrics reference_sed_metrics(std::span<const Roll> truth, std::span<const Roll> output,
                                                        std::int64_t block_frames = 50);

/// Undefined numbers become null.
[[nodiscard]] nlohmann::ordered_json to_json(const SegmentMetrics& metrics);
[[nodiscard]] nlohmann::ordered_json to_json(const EventMetrics& metrics);
[[nodiscard]] nlohmann::ordered_json to_json(const ReferenceSedMetrics& metrics);
[[nodiscard]] nlohmann::ordered_json to_json(const DecisionRules& rules);

}  // namespace dcase
