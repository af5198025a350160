#include "train/cli/decision_options.hpp"

#include <cmath>

namespace dcase::cli {

void add_decision_options(CLI::App& verb, DecisionOptions& o, const std::string& default_threshold) {
  verb.add_option_function<double>(
      "--threshold", [&o](const double& value) { o.threshold = value; },
      "active is what is above it (default " + default_threshold + ")");
  verb.add_option("--median", o.median_frames, "odd length of a median filter over the frames")->capture_default_str();
  verb.add_option("--min-frames", o.minimum_frames, "events of fewer frames are dropped")->capture_default_str();
  verb.add_option("--close-gap", o.close_gap_frames, "pauses up to this many frames are closed")->capture_default_str();
  verb.add_option("--decisions,--apply", o.file, "thresholds and filters a class from FILE, as tuning writes them");
}

DecisionRules decision_rules(const DecisionOptions& o, double default_threshold, const LabelSet& classes, Task task,
                             DecisionFile* content) {
  if (o.file.empty()) {
    if (o.threshold && !std::isfinite(*o.threshold)) fail(ErrorKind::kUsage, "--threshold has to be a number");
    const DecisionRules rules{.thresholds = {o.threshold.value_or(default_threshold)},
                              .median_frames = {o.median_frames},
                              .close_gap_frames = {o.close_gap_frames},
                              .minimum_frames = {o.minimum_frames}};
    try {
      check_rules(rules, classes.size());
    } catch (const Error& error) {
      fail(ErrorKind::kUsage, "--median, --close-gap, --min-frames: ", error.what());
    }
    return rules;
  }
  if (o.threshold || o.median_frames != 1 || o.minimum_frames != 0 || o.close_gap_frames != 0) {
    fail(ErrorKind::kUsage,
         "--decisions has all the rules; leave --threshold, --median, --min-frames and --close-gap out");
  }
  DecisionFile file = read_decisions(o.file);
  if (file.task != task) {
    fail(ErrorKind::kUsage, o.file, ": decisions of the task ", task_name(file.task), ", not ", task_name(task));
  }
  // The order of the classes may differ, their names not.
  DecisionRules rules{.thresholds = {}, .median_frames = {}, .close_gap_frames = {}, .minimum_frames = {}};
  for (const std::string& name : classes.names()) {
    const auto c = static_cast<std::size_t>(file.classes.index(name, o.file));
    rules.thresholds.push_back(file.rules.thresholds[c]);
    rules.median_frames.push_back(file.rules.median_frames[c]);
    rules.close_gap_frames.push_back(file.rules.close_gap_frames[c]);
    rules.minimum_frames.push_back(file.rules.minimum_frames[c]);
  }
  if (content != nullptr) *content = std::move(file);
  return rules;
}

}  // namespace dcase::cli
