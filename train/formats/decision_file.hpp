#pragma once
/// Decision rules a class in a JSON file, with where they come from: what was tuned, for what, on which recordings. The
/// recordings are kept so that nobody reports the part on which thresholds were chosen.

#include <string>
#include <vector>

#include "dcasenet/labels.hpp"
#include "train/metrics/sed_events.hpp"
#include "train/metrics/tuning.hpp"

namespace dcase {

struct DecisionFile {
  Task task = Task::kSed;
  std::string objective;                ///< "segment-f1", "event-f1", or "f1" of tags; "" for rules written by hand
  std::string data;                     ///< the data set or reference files
  std::string part;                     ///< "valid"; "" where unknown
  std::string system;                   ///< model or output files
  std::vector<std::string> recordings;  ///< keys (recording_names.hpp) of those the rules were chosen on
  LabelSet classes;
  DecisionRules rules;            ///< one value a class
  std::vector<TunedClass> tuned;  ///< one a class, or empty for rules written by hand
};

[[nodiscard]] std::string write_decisions(const DecisionFile& file);
/// Throws Error(kData) naming the file and key.
[[nodiscard]] DecisionFile read_decisions(const std::string& path);

/// Throws Error(kUsage) where a recording that is to be reported was used for tuning.
void refuse_tuned_on(const DecisionFile& file, const std::string& path, const std::vector<std::string>& recordings);

}  // namespace dcase
