#include "train/report/metrics_report.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "train/report/table.hpp"

namespace dcase {

namespace {

using Align = Table::Align;

[[nodiscard]] double percent(double share) { return 100 * share; }
[[nodiscard]] double seconds(std::int64_t microseconds) { return static_cast<double>(microseconds) / 1e6; }

[[nodiscard]] std::string parts_text(const std::string& title, const std::vector<AscPart>& parts) {
  if (parts.empty()) return "";
  Table table({{title, Align::kLeft}, {"clips"}, {"correct"}, {"accuracy"}, {"log loss"}}, 2);
  for (const AscPart& part : parts) {
    table.add({part.name, std::to_string(part.score.items), std::to_string(part.score.correct),
               percent_text(part.score.accuracy), number_text(part.score.log_loss)});
  }
  return "\n" + table.text();
}

[[nodiscard]] std::string classes_text(const std::vector<SedClass>& classes) {
  Table table({{"class", Align::kLeft}, {"F1"}, {"ER"}, {"precision"}, {"recall"}, {"reference"}, {"output"}, {"both"}},
              2);
  for (const SedClass& c : classes) {
    table.add({c.name, percent_text(percent(c.scores.f1)), number_text(c.scores.error_rate),
               percent_text(percent(c.scores.precision)), percent_text(percent(c.scores.recall)),
               std::to_string(c.counts.references()), std::to_string(c.counts.outputs()), std::to_string(c.counts.tp)});
  }
  return "\n" + table.text();
}

[[nodiscard]] std::string overall_text(const SedScore& s, const std::string& f1_note) {
  std::string out = fmt::format("  F1              {}{}\n", percent_text(percent(s.scores.f1)), f1_note);
  out += fmt::format("  precision       {}   recall {}\n", percent_text(percent(s.scores.precision)),
                     percent_text(percent(s.scores.recall)));
  out +=
      fmt::format("  error rate      {}   (S {}, D {}, I {}; no output at all: 1)\n", number_text(s.scores.error_rate),
                  number_text(s.substitution_rate), number_text(s.deletion_rate), number_text(s.insertion_rate));
  out += fmt::format("  macro F1        {}   macro ER {}", percent_text(percent(s.macro_f1)),
                     number_text(s.macro_error_rate));
  if (s.classes_without_data > 0) out += fmt::format("   ({} classes without data left out)", s.classes_without_data);
  return out + "\n";
}

[[nodiscard]] const char* undefined_note(UndefinedRule rule) {
  return rule == UndefinedRule::kSedEval ? ", undefined scores skipped as sed_eval does" : "";
}

}  // namespace

std::string interval_text(const Interval& interval, const std::function<std::string(double)>& text) {
  return interval.defined() ? fmt::format(" [{}, {}]", text(interval.low), text(interval.high)) : "";
}

std::string confusion_text(const AscMetrics& m) {
  const std::size_t classes = m.classes.size();
  std::vector<Table::Column> columns = {{"truth \\ prediction", Align::kLeft}};
  for (std::size_t p = 0; p < classes; ++p) columns.push_back({std::to_string(p)});
  Table table(std::move(columns), 2);
  for (std::size_t t = 0; t < classes; ++t) {
    std::vector<std::string> row = {fmt::format("{} {}", t, m.classes[t].name)};
    for (std::size_t p = 0; p < classes; ++p) row.push_back(std::to_string(m.confusion[t * classes + p]));
    table.add(std::move(row));
  }
  return table.text();
}

std::string report_text(const AscMetrics& m) {
  std::string out = fmt::format("Acoustic scenes: {} clips\n", m.overall.items);
  out +=
      fmt::format("  accuracy        {}   (guessing {}, best constant answer {})\n", percent_text(m.overall.accuracy),
                  percent_text(m.uniform_accuracy), percent_text(m.constant_accuracy));
  out += fmt::format("  macro accuracy  {}\n", percent_text(m.overall.macro_accuracy));
  out += fmt::format("  log loss        {}   (uniform {}; probabilities clipped at {:.1e})\n",
                     number_text(m.overall.log_loss), number_text(m.uniform_log_loss), kLogLossEpsilon);
  out += parts_text("class", m.classes) + parts_text("device group", m.groups) + parts_text("device", m.devices);
  return out + "\n" + confusion_text(m);
}

std::string report_text(const TagMetrics& m) {
  std::string out = fmt::format("Audio tags: {} clips, {} labels", m.items, m.labels);
  if (m.items_without_labels > 0) out += fmt::format(", {} clips without any", m.items_without_labels);
  out += fmt::format("\n  lwlrap          {}   (ranking by frequency {})\n", percent_text(percent(m.lwlrap)),
                     percent_text(percent(m.prior_lwlrap)));
  out += fmt::format("  mAP             {}   micro AP {}\n", percent_text(percent(m.mean_ap)),
                     percent_text(percent(m.micro_ap)));
  out += fmt::format("  AUC             {}   d' {}   (guessing 0.5 and 0)\n", number_text(m.mean_auc),
                     number_text(m.d_prime));
  out += fmt::format("  F1              {}   macro {}\n\n", percent_text(percent(m.micro_f1)),
                     percent_text(percent(m.macro_f1)));
  Table table({{"class", Align::kLeft}, {"clips"}, {"lwlrap"}, {"AP"}, {"AUC"}, {"d'"}, {"F1"}, {"threshold"}}, 2);
  for (const TagClass& c : m.classes) {
    table.add({c.name, std::to_string(c.positives), percent_text(percent(c.lwlrap)),
               percent_text(percent(c.average_precision)), number_text(c.roc_auc), number_text(c.d_prime, 2),
               percent_text(percent(c.at_threshold.f1)), number_text(c.threshold, 3)});
  }
  return out + table.text();
}

std::string report_text(const SegmentMetrics& m) {
  std::string out = fmt::format("Sound events by segment: {} segments of {} s{}\n", m.segments,
                                seconds(m.options.segment_us), undefined_note(m.options.undefined));
  out += overall_text(m, fmt::format("   (everything on {})", percent_text(percent(m.everything_on_f1))));
  return out + classes_text(m.classes);
}

std::string report_text(const EventMetrics& m) {
  std::string rule = fmt::format("onset within {} s", seconds(m.options.collar_us));
  if (m.options.test_offset) {
    rule += fmt::format(", offset within {} s or {:g} % of the length", seconds(m.options.collar_us),
                        percent(m.options.offset_share));
  }
  rule += m.options.matching == EventOptions::Matching::kGreedy ? ", greedy matching" : "";
  std::string out = fmt::format("Sound events one by one: {}{}\n", rule, undefined_note(m.options.undefined));
  return out + overall_text(m, "") + classes_text(m.classes);
}

std::string report_text(const std::vector<PsdsMetrics>& metrics) {
  std::string out = "Sound events at every threshold:\n";
  std::vector<Table::Column> columns = {{"class", Align::kLeft}, {"events"}};
  for (const PsdsMetrics& m : metrics) {
    const PsdsRule& r = m.rule;
    out += fmt::format("  {:<14}  {}{}   (dtc {:g}, gtc {:g}, ", r.name, number_text(m.psds),
                       interval_text(m.interval, [](double v) { return number_text(v); }), r.dtc, r.gtc);
    if (r.cttc > 0) out += fmt::format("cttc {:g}, alpha_ct {:g}, ", r.cttc, r.alpha_ct);
    out += fmt::format("alpha_st {:g}, up to {:g} an hour)\n", r.alpha_st, r.e_max);
    columns.push_back({r.name});
  }
  if (metrics.empty()) return out;
  const PsdsMetrics& first = metrics.front();
  if (first.classes_without_references > 0) {
    out += fmt::format("  {} classes without references left out\n", first.classes_without_references);
  }
  Table table(std::move(columns), 2);
  for (std::size_t c = 0; c < first.classes.size(); ++c) {
    std::vector<std::string> row = {first.classes[c].name, std::to_string(first.classes[c].references)};
    for (const PsdsMetrics& m : metrics) row.push_back(number_text(m.classes[c].area));
    table.add(std::move(row));
  }
  return out + "\n" + table.text();
}

std::string report_text(const ReferenceSedMetrics& m) {
  return fmt::format(
      "Sound events as the released code scores them: F1 {}, ER {}\n"
      "  blocks of {} frames without their last frame, not one second: for comparison with the paper only\n",
      percent_text(percent(m.f1)), number_text(m.error_rate), m.block_frames);
}

}  // namespace dcase
