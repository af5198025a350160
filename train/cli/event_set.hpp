#pragma once
/// The recordings that `score sed` scores: what is true of each, what a system says of it, and how long it is.

#include <exception>
#include <string>
#include <vector>

#include "train/cli/decision_options.hpp"
#include "train/cli/score_common.hpp"
#include "train/formats/event_input.hpp"
#include "train/metrics/frame_scores.hpp"

namespace dcase::cli {

struct SedOptions : ScoreOptions {
  std::string reference_format = "auto", system_format = "auto";
  std::string durations;
  double duration = 0;
  DecisionOptions decisions;
  std::string tune, objective = "segment-f1";
  double segment = 1, collar = 0.2, offset_share = 0.5;
  bool onset_only = false, greedy = false, sed_eval_compat = false;
  std::vector<std::string> psds;
  std::uint64_t memory = std::uint64_t{2} << 30U;

  [[nodiscard]] UndefinedRule undefined() const {
    return sed_eval_compat ? UndefinedRule::kSedEval : UndefinedRule::kStandard;
  }
  [[nodiscard]] SegmentOptions segments() const {
    return {.segment_us = microseconds(segment), .undefined = undefined()};
  }
  [[nodiscard]] EventOptions events() const {
    return {.collar_us = microseconds(collar),
            .offset_share = offset_share,
            .test_offset = !onset_only,
            .matching = greedy ? EventOptions::Matching::kGreedy : EventOptions::Matching::kOptimal,
            .undefined = undefined()};
  }
};

struct ScoredRecording {
  std::string name;
  std::vector<SoundEvent> truth;
  std::vector<SoundEvent> output;         // of an event list
  const RecordingFile* scores = nullptr;  // of a score table
  std::int64_t length = -1;               // microseconds; -1: unknown yet
};

/// Runs body(i) on all threads; the first exception in order of i is thrown.
template <class Body>
void parallel(std::size_t count, const Body& body) {
  std::vector<std::exception_ptr> failures(count);
#pragma omp parallel for schedule(dynamic)
  for (std::size_t i = 0; i < count; ++i) {
    try {
      body(i);
    } catch (...) {
      failures[i] = std::current_exception();
    }
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

class EventSet {
 public:
  /// Reads the files, chooses the classes, matches the recordings and finds their lengths. Throws Error(kData) naming
  /// file, line and way out. `options` outlives the set.
  EventSet(const SedOptions& options, Console& console);
  EventSet(const EventSet&) = delete;  // recordings point into it
  EventSet& operator=(const EventSet&) = delete;

  [[nodiscard]] const LabelSet& classes() const { return classes_; }
  [[nodiscard]] std::int64_t width() const { return classes_.size(); }
  [[nodiscard]] const std::vector<ScoredRecording>& recordings() const { return scored_; }
  /// Scores of frames, not events.
  [[nodiscard]] bool has_scores() const { return output_.format == EventFormat::kScores; }
  /// The scores of a recording, read now; for has_scores() alone.
  [[nodiscard]] FrameScores load(std::size_t i) const;
  /// What the system says of a recording: its events, or those of its scores by the rules.
  [[nodiscard]] std::vector<SoundEvent> decided(std::size_t i, const DecisionRules& rules) const;
  [[nodiscard]] std::vector<std::string> keys() const;
  /// The head of the report.
  [[nodiscard]] nlohmann::ordered_json head() const;

 private:
  void read();
  void choose_classes();
  void match();
  void add_reference(ScoredRecording& s, std::size_t at) const;
  void add_output(ScoredRecording& s, std::size_t at) const;
  void find_lengths();

  const SedOptions& o_;
  Console& console_;
  EventInput reference_, output_;
  std::vector<RecordingLength> durations_;
  LabelSet classes_;
  std::size_t outputs_ = 0;
  bool silent_if_missing_ = false;
  RecordingMatch match_;
  std::vector<ScoredRecording> scored_;
};

}  // namespace dcase::cli
