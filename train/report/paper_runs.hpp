#pragma once
/// Runs of the paper's experiments as tables need them: from run folders and from what `eval --json` wrote.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "train/config/presets.hpp"

namespace dcase {

/// PaperRun::state of a run that came to its end.
inline constexpr const char* kNotEvaluated = "not evaluated";

/// Test figures of one run, in the units of PaperScores: percent, ER as it is. Those that no evaluation gave are NaN.
struct PaperRun {
  std::string preset;                ///< name
  std::vector<std::string> changes;  ///< where its configuration departs from the preset's
  std::uint64_t seed = 0;
  PaperScores standard;   ///< SED: segments of a second
  PaperScores reference;  ///< SED: the released metric
  std::string state;      ///< "": complete; "failed at step 12", "stopped at ..", "unfinished at ..", kNotEvaluated
  std::string source;     ///< files and folders that it was read from
};

struct PaperRuns {
  std::vector<PaperRun> runs;         ///< one for each preset, changes and seed, in the order of the presets
  std::vector<std::string> warnings;  ///< what was left out, and why
};

/// Each path is a run folder (config.json, log.jsonl, and evaluations eval*.json in it) or such an evaluation. Several
/// evaluations of one run complete each other: the best ASC, TAG and SED models are different files.
/// Throws Error(kIo) or Error(kData) naming the file, Error(kUsage) where two files give one figure differently.
[[nodiscard]] PaperRuns read_paper_runs(const std::vector<std::string>& paths);

}  // namespace dcase
