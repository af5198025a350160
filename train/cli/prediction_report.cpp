#include "train/cli/prediction_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <numeric>

#include "engine/files.hpp"
#include "train/report/text.hpp"

namespace dcase::cli {
namespace {

constexpr double kFrameSeconds = 0.1;

std::vector<std::size_t> descending(const std::vector<float>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
  return order;
}

// RFC 4180: quoted where it must be.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

PredictionReport::PredictionReport(LabelSets labels, PredictionRules rules, PredictionFiles files)
    : labels_(std::move(labels)),
      rules_(std::move(rules)),
      files_(std::move(files)),
      csv_("file,kind,label,probability,onset,offset\n") {
  if (!files_.labels.empty()) {
    std::error_code error;
    std::filesystem::create_directories(files_.labels, error);
    if (error) fail(ErrorKind::kIo, files_.labels, ": cannot be created: ", error.message());
  }
}

std::vector<PredictionReport::Event> PredictionReport::events(const Prediction& p) const {
  const std::vector<double> probabilities(p.sed.begin(), p.sed.end());
  const Roll roll = decide(probabilities, p.sed_frames, p.sed_classes, rules_.decisions);
  std::vector<Event> events;
  for (const SoundEvent& e : events_of(roll, 1)) {  // in frames
    double sum = 0;
    for (std::int64_t t = e.onset; t < e.offset; ++t) sum += static_cast<double>(p.sed_at(t, e.label));
    events.push_back({.onset = static_cast<double>(e.onset) * kFrameSeconds,
                      .offset = std::min(static_cast<double>(e.offset) * kFrameSeconds, p.seconds),
                      .probability = sum / static_cast<double>(e.offset - e.onset),
                      .label = labels_.sed[e.label]});
  }
  std::stable_sort(events.begin(), events.end(), [](const Event& a, const Event& b) { return a.onset < b.onset; });
  return events;
}

void PredictionReport::add(const std::string& file, const Prediction& p) {
  nlohmann::ordered_json j = {{"file", file}, {"seconds", p.seconds}};
  std::string text = fmt::format("{} ({})\n", printable(file), duration_text(p.seconds));
  if (!p.asc.empty()) {
    const auto order = descending(p.asc);
    text += "  scene   ";
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::string& label = labels_.asc[static_cast<std::int32_t>(order[i])];
      const double probability = static_cast<double>(p.asc[order[i]]);
      if (i < 3) text += fmt::format("{}{} {:.2f}", i ? ", " : "", printable(label), probability);
      j["scene"].push_back({{"label", label}, {"probability", probability}});
      add_csv(file, "scene", label, probability, 0, p.seconds);
    }
    text += "\n";
  }
  if (!p.tag.empty()) {
    const auto order = descending(p.tag);
    text += "  tags    ";
    for (std::size_t i = 0; i < std::min(order.size(), static_cast<std::size_t>(std::max(rules_.top_tags, 0))); ++i) {
      const std::string& label = labels_.tag[static_cast<std::int32_t>(order[i])];
      const double probability = static_cast<double>(p.tag[order[i]]);
      text += fmt::format("{}{} {:.2f}", i ? ", " : "", printable(label), probability);
      j["tags"].push_back({{"label", label}, {"probability", probability}});
      add_csv(file, "tag", label, probability, 0, p.seconds);
    }
    text += "\n";
  }
  if (p.sed_frames > 0) {
    const std::vector<Event> list = events(p);
    j["events"] = nlohmann::ordered_json::array();
    text += list.empty() ? "  events  none\n" : fmt::format("  events  {}\n", list.size());
    for (const Event& e : list) {
      text += fmt::format("    {:8.1f} - {:6.1f} s  {} {:.2f}\n", e.onset, e.offset, printable(e.label), e.probability);
      j["events"].push_back(
          {{"label", e.label}, {"onset", e.onset}, {"offset", e.offset}, {"probability", e.probability}});
      add_csv(file, "event", e.label, e.probability, e.onset, e.offset);
    }
    if (!files_.labels.empty()) write_labels(file, list);
  }
  json_.push_back(std::move(j));
  if (files_.json != "-") std::cout << text << std::flush;
}

void PredictionReport::add_failure(const std::string& file, const std::string& reason) {
  json_.push_back({{"file", file}, {"error", reason}});
}

void PredictionReport::add_csv(const std::string& file, const std::string& kind, const std::string& label,
                               double probability, double onset, double offset) {
  csv_ += fmt::format("{},{},{},{:.6g},{:.3f},{:.3f}\n", csv_field(file), kind, csv_field(label), probability, onset,
                      offset);
}

// start TAB end TAB label, one file a recording; equal names from different folders are numbered.
void PredictionReport::write_labels(const std::string& file, const std::vector<Event>& list) {
  const std::string stem = std::filesystem::path(file).stem().string();
  std::string name = stem;
  for (int i = 2; !label_files_.insert(name).second; ++i) name = fmt::format("{}-{}", stem, i);
  std::string text;
  for (const Event& e : list) text += fmt::format("{:.3f}\t{:.3f}\t{}\n", e.onset, e.offset, e.label);
  atomic_write(files_.labels + "/" + name + ".txt", text);
}

void PredictionReport::finish() const {
  const auto dump = [&] { return json_.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"; };
  if (files_.json == "-") {
    std::cout << dump();
  } else if (!files_.json.empty()) {
    atomic_write(files_.json, dump());
  }
  if (!files_.csv.empty()) atomic_write(files_.csv, csv_);
}

}  // namespace dcase::cli
