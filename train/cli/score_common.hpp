#pragma once
/// What the verbs `score asc`, `score tag` and `score sed` share.

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dcasenet/labels.hpp"
#include "train/cli/app.hpp"
#include "train/formats/decision_file.hpp"
#include "train/formats/recording_names.hpp"
#include "train/metrics/intervals.hpp"

namespace dcase::cli {

/// Which definition of a score: ours, that of the released code, or both, one after the other.
enum class MetricsMode : std::uint8_t { kStandard, kReference, kBoth };
inline constexpr Words<MetricsMode, 3> kMetricsModeWords = {
    {{"standard", MetricsMode::kStandard}, {"reference", MetricsMode::kReference}, {"both", MetricsMode::kBoth}}};

/// What happens with a reference recording that the system says nothing of.
enum class OnMissing : std::uint8_t { kStop, kSkip };
inline constexpr Words<OnMissing, 2> kOnMissingWords = {{{"stop", OnMissing::kStop}, {"skip", OnMissing::kSkip}}};

struct ScoreOptions {
  std::vector<std::string> references, systems;
  std::string classes;
  std::string match = "name", on_missing = "stop", metrics = "standard";
  BootstrapOptions bootstrap;
  std::string json;

  [[nodiscard]] MatchBy match_by() const { return value_of(kMatchByWords, match, "--match"); }
  [[nodiscard]] bool standard() const { return mode() != MetricsMode::kReference; }
  [[nodiscard]] bool reference() const { return mode() != MetricsMode::kStandard; }

 private:
  [[nodiscard]] MetricsMode mode() const { return value_of(kMetricsModeWords, metrics, "--metrics"); }
};

/// Adds a verb's common options. `options` outlives the verb.
void add_score_options(CLI::App& verb, ScoreOptions& options);

/// The list of --classes: a labels.json (its entry for the task), or a text file of one name a line. Empty without it.
[[nodiscard]] LabelSet given_classes(const ScoreOptions& options, Task task);

/// Matches by name; says what is missing and extra, and throws Error(kData) for missing ones unless they are skipped.
/// `silent_if_missing`: the format cannot tell a silent recording from a missing one, so they count as silent.
[[nodiscard]] RecordingMatch matched(const std::vector<NamedRecording>& references,
                                     const std::vector<NamedRecording>& outputs, const ScoreOptions& options,
                                     Console& console, bool silent_if_missing = false);

/// The head of every JSON report.
[[nodiscard]] nlohmann::ordered_json score_json(Task task, const ScoreOptions& options, const RecordingMatch& match,
                                                std::size_t outputs, bool silent_if_missing = false);

/// A table of intervals, or "" where none were asked for.
[[nodiscard]] std::string intervals_text(const Intervals& intervals, const BootstrapOptions& options);

/// The thresholds that were chosen, with the value of the objective on the recordings that chose them.
[[nodiscard]] std::string tuned_text(const DecisionFile& file, const std::string& path);
/// Where the thresholds of a report come from.
[[nodiscard]] nlohmann::ordered_json origin_json(const DecisionFile& file);

/// Prints the text and writes the JSON where it was asked for.
void deliver(const std::string& text, const nlohmann::ordered_json& json, const ScoreOptions& options);

void add_score_asc(Program& program, CLI::App& group);
void add_score_tag(Program& program, CLI::App& group);
void add_score_sed(Program& program, CLI::App& group);

}  // namespace dcase::cli
