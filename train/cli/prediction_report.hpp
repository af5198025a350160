#pragma once
/// Predictions as they come in: text on the terminal, and any of the output formats.

#include <memory>
#include <string>
#include <vector>

#include "dcasenet/session.hpp"
#include "train/formats/writers.hpp"
#include "train/metrics/sed_events.hpp"

namespace dcase::cli {

struct PredictionRules {
  int top_tags = 5;
  DecisionRules decisions;
};

/// Text is printed as recordings come in, unless a format takes the terminal; single files are written by `finish`,
/// whole or not at all, files of a recording at once.
class PredictionReport {
 public:
  /// `show_text`: false where a writer has the terminal.
  PredictionReport(LabelSets labels, PredictionRules rules, std::vector<std::unique_ptr<OutputWriter>> writers,
                   bool show_text);
  void add(const std::string& file, const Prediction& prediction);
  void add_failure(const std::string& file, const std::string& reason);
  void finish() const;

 private:
  [[nodiscard]] std::vector<LabelledEvent> events(const Prediction& prediction) const;
  [[nodiscard]] std::string text_of(const RecordingResult& result) const;

  LabelSets labels_;
  PredictionRules rules_;
  std::vector<std::unique_ptr<OutputWriter>> writers_;
  bool show_text_;
};

}  // namespace dcase::cli
