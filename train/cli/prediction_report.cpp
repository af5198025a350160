#include "train/cli/prediction_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <utility>

#include "train/report/text.hpp"

namespace dcase::cli {
namespace {

constexpr double kFrameSeconds = 0.1;

/// "park 0.71, bus 0.20, tram 0.05"
std::string best_text(const std::vector<float>& values, const LabelSet& labels, std::size_t most) {
  std::string text;
  for (const std::size_t k : descending(values)) {
    if (most-- == 0) break;
    text += fmt::format("{}{} {:.2f}", text.empty() ? "" : ", ", printable(labels[static_cast<std::int32_t>(k)]),
                        values[k]);
  }
  return text;
}

}  // namespace

PredictionReport::PredictionReport(LabelSets labels, PredictionRules rules,
                                   std::vector<std::unique_ptr<OutputWriter>> writers, bool show_text)
    : labels_(std::move(labels)), rules_(std::move(rules)), writers_(std::move(writers)), show_text_(show_text) {
  rules_.top_tags = std::max(rules_.top_tags, 0);
}

std::vector<LabelledEvent> PredictionReport::events(const Prediction& p) const {
  const std::vector<double> probabilities(p.sed.begin(), p.sed.end());
  const Roll roll = decide(probabilities, p.sed_frames, p.sed_classes, rules_.decisions);
  std::vector<LabelledEvent> events;
  for (const SoundEvent& e : events_of(roll, 1)) {  // in frames
    double sum = 0;
    for (std::int64_t t = e.onset; t < e.offset; ++t) sum += static_cast<double>(p.sed_at(t, e.label));
    events.push_back({.onset = static_cast<double>(e.onset) * kFrameSeconds,
                      .offset = std::min(static_cast<double>(e.offset) * kFrameSeconds, p.seconds),
                      .label = labels_.sed[e.label],
                      .probability = sum / static_cast<double>(e.offset - e.onset)});  // mean over its frames
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const LabelledEvent& a, const LabelledEvent& b) { return a.onset < b.onset; });
  return events;
}

std::string PredictionReport::text_of(const RecordingResult& r) const {
  std::string text = fmt::format("{} ({})\n", printable(r.file), duration_text(r.seconds));
  if (!r.scene.empty()) text += "  scene   " + best_text(r.scene, labels_.asc, 3) + "\n";
  if (!r.tags.empty()) {
    text += "  tags    " + best_text(r.tags, labels_.tag, static_cast<std::size_t>(rules_.top_tags)) + "\n";
  }
  if (!r.events) return text;
  text += r.events->empty() ? "  events  none\n" : fmt::format("  events  {}\n", r.events->size());
  for (const LabelledEvent& e : *r.events) {
    text += fmt::format("    {:8.1f} - {:6.1f} s  {} {:.2f}\n", e.onset, e.offset, printable(e.label), e.probability);
  }
  return text;
}

void PredictionReport::add(const std::string& file, const Prediction& p) {
  RecordingResult result{.file = file, .seconds = p.seconds, .scene = p.asc, .tags = p.tag, .frames = p.sed};
  if (p.sed_frames > 0) result.events = events(p);
  for (const auto& writer : writers_) writer->add(result);
  if (show_text_) std::cout << text_of(result) << std::flush;
}

void PredictionReport::add_failure(const std::string& file, const std::string& reason) {
  for (const auto& writer : writers_) writer->add_failure(file, reason);
}

void PredictionReport::finish() const {
  for (const auto& writer : writers_) writer->finish();
}

}  // namespace dcase::cli
