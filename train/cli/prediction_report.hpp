#pragma once
/// Predictions as people and programs read them: text on the terminal, JSON, CSV, Audacity label tracks.

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "dcasenet/session.hpp"
#include "train/metrics/sed_events.hpp"

namespace dcase::cli {

struct PredictionRules {
  int top_tags = 5;
  DecisionRules decisions;
};

struct PredictionFiles {
  std::string json;    ///< "": none, "-": the terminal instead of the text
  std::string csv;     ///< "": none
  std::string labels;  ///< folder; "": none
};

/// Text is printed as recordings come in; files are written by `finish`, whole or not at all (label tracks at once).
class PredictionReport {
 public:
  PredictionReport(LabelSets labels, PredictionRules rules, PredictionFiles files);
  void add(const std::string& file, const Prediction& prediction);
  void add_failure(const std::string& file, const std::string& reason);
  void finish() const;

 private:
  struct Event {
    double onset, offset, probability;  ///< seconds; mean over the event's frames
    std::string label;
  };
  [[nodiscard]] std::vector<Event> events(const Prediction& prediction) const;
  void add_csv(const std::string& file, const std::string& kind, const std::string& label, double probability,
               double onset, double offset);
  void write_labels(const std::string& file, const std::vector<Event>& events);

  LabelSets labels_;
  PredictionRules rules_;
  PredictionFiles files_;
  nlohmann::ordered_json json_ = nlohmann::ordered_json::array();
  std::string csv_;
  std::set<std::string> label_files_;
};

}  // namespace dcase::cli
