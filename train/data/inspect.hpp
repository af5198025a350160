#pragma once
/// What a data set really holds: behind `data stats` (headers only) and `data verify` (everything decoded).

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "train/data/dataset.hpp"

namespace dcase {

struct AudioFacts {
  std::int32_t channels = 0;
  double sample_rate = 0;
  double seconds = 0;
};
/// Opens (stats) or decodes (verify) one file; throws Error for a bad one. Called once per distinct file, in item
/// order.
using AudioProbe = std::function<AudioFacts(const std::string& path)>;

struct SplitSummary {
  std::int64_t items = 0;
  double seconds = 0;  ///< 0 where nothing was probed
};
struct ClassSummary {
  std::string name;
  std::int64_t train = 0;  ///< items (events for SED) with a target above 0.5
  std::int64_t valid = 0;
  std::int64_t test = 0;
};
struct RejectedFile {
  std::string audio;
  std::string reason;
};

struct Inspection {
  std::int64_t listed = 0;    ///< items in the tables
  std::int64_t found = 0;     ///< of these, files that exist
  std::int64_t readable = 0;  ///< of these, items whose file the probe accepted; equals `found` without a probe
  std::int64_t used = 0;      ///< of these, items in the training, validation or test part
  SplitSummary train, valid, test, unused;
  double shortest = 0;  ///< seconds, over readable items
  double longest = 0;
  std::vector<ClassSummary> classes[3];  ///< by task: asc, tag, sed
  std::vector<RejectedFile> bad;         ///< missing or unreadable, every one by name
};

/// Without a probe no file is opened and all lengths are 0.
[[nodiscard]] Inspection inspect(const Dataset& dataset, const AudioProbe& probe = {});

/// The inspection as lines for a person.
[[nodiscard]] std::string to_text(const Dataset& dataset, const Inspection& inspection);

}  // namespace dcase
