/// dcasenet score asc, dcasenet score tag: outputs of one answer a recording.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>
#include <set>

#include "engine/files.hpp"
#include "train/cli/decision_options.hpp"
#include "train/cli/exit_codes.hpp"
#include "train/cli/score_common.hpp"
#include "train/data/asc_dataset.hpp"
#include "train/formats/clip_input.hpp"
#include "train/metrics/asc_metrics.hpp"
#include "train/metrics/tag_metrics.hpp"
#include "train/metrics/tuning.hpp"
#include "train/report/metrics_report.hpp"
#include "train/report/table.hpp"

namespace dcase::cli {
namespace {

[[nodiscard]] std::vector<NamedRecording> names_of(const ClipTable& table) {
  std::vector<NamedRecording> names;
  for (const ClipRow& row : table.rows) names.push_back({row.name, row.where});
  return names;
}

/// --classes, else the columns of the output, else the built-in list if it has all names, else the names sorted.
[[nodiscard]] LabelSet classes_of(Task task, const ScoreOptions& o, const ClipTable& reference,
                                  const ClipTable& output) {
  LabelSet given = given_classes(o, task);
  if (!given.empty()) return given;
  std::set<std::string> found;
  for (const ClipTable* table : {&reference, &output}) {
    found.insert(table->classes.begin(), table->classes.end());
    for (const ClipRow& row : table->rows) found.insert(row.labels.begin(), row.labels.end());
  }
  const LabelSet& builtin = builtin_labels(task);
  const bool known = std::all_of(found.begin(), found.end(), [&](const std::string& n) { return builtin.contains(n); });
  // Without one of the 80 classes, mean scores would be other ones: the built-in list is taken whole only where the
  // output has it whole.
  if (known && (output.classes.empty() || output.classes.size() == static_cast<std::size_t>(builtin.size()))) {
    return builtin;
  }
  if (!output.classes.empty()) return LabelSet(output.classes, o.systems.front());
  return LabelSet({found.begin(), found.end()}, o.references.front());
}

/// Where each class of the output is among `classes`; both have the same ones.
[[nodiscard]] std::vector<std::size_t> places(const ClipTable& output, const LabelSet& classes,
                                              const std::string& file) {
  std::vector<std::size_t> place;
  for (const std::string& name : output.classes) {
    place.push_back(static_cast<std::size_t>(classes.index(name, file + ":1")));
  }
  if (place.size() != static_cast<std::size_t>(classes.size())) {
    for (const std::string& name : classes.names()) {
      if (std::find(output.classes.begin(), output.classes.end(), name) != output.classes.end()) continue;
      fail(ErrorKind::kData, file, ":1: scores of ", place.size(), " of ", classes.size(), " classes; ",
           in_quotes(name), " has none");
    }
  }
  return place;
}

/// The rows that have both sides, with the scores in the order of the classes.
struct Pairs {
  std::vector<const ClipRow*> references, outputs;
  std::vector<double> scores;  // [N,K]
};

[[nodiscard]] Pairs pairs_of(const ClipTable& reference, const ClipTable& output, const RecordingMatch& match,
                             const LabelSet& classes, const std::string& file) {
  Pairs pairs;
  const auto width = static_cast<std::size_t>(classes.size());
  const std::vector<std::size_t> place =
      output.classes.empty() ? std::vector<std::size_t>() : places(output, classes, file);
  for (std::size_t i = 0; i < reference.rows.size(); ++i) {
    if (!match.output_of[i]) continue;
    const ClipRow& row = output.rows[*match.output_of[i]];
    pairs.references.push_back(&reference.rows[i]);
    pairs.outputs.push_back(&row);
    const std::size_t base = pairs.scores.size();
    pairs.scores.resize(base + width);
    for (std::size_t k = 0; k < place.size(); ++k) pairs.scores[base + place[k]] = row.scores[k];
    for (const std::string& label : place.empty() ? row.labels : std::vector<std::string>()) {
      pairs.scores[base + static_cast<std::size_t>(classes.index(label, row.where))] = 1;
    }
  }
  return pairs;
}

// ---- scenes

/// `source_label` where the reference has it, else the last field of a TAU file name; "" otherwise.
[[nodiscard]] std::string device_of(const ClipRow& row) {
  if (!row.device.empty()) return row.device;
  const std::string key = recording_key(row.name);
  const auto dashes = std::count(key.begin(), key.end(), '-');
  const std::string last = key.substr(key.find_last_of('-') + 1);
  // A 2020 name has five fields, a 2022 name six; other names say nothing of devices.
  return (dashes == 4 || dashes == 5) && !asc_device_group(last).empty() ? last : "";
}

/// Throws Error(kData) at the row that is no distribution.
void check_probabilities(const Pairs& pairs) {
  for (const ClipRow* row : pairs.outputs) {
    double sum = 0;
    for (const double p : row->scores) {
      if (p < 0)
        fail(ErrorKind::kData, row->where, ": the probability ", p,
             "; scenes are scored by probabilities, not below 0");
      sum += p;
    }
    if (!row->scores.empty() && sum <= 0) fail(ErrorKind::kData, row->where, ": no probability is above 0");
  }
}

/// Plain answers have no probabilities to lose.
void forget_losses(AscMetrics& m) {
  m.overall.log_loss = std::nan("");
  for (auto* parts : {&m.classes, &m.devices, &m.groups}) {
    for (AscPart& part : *parts) part.score.log_loss = std::nan("");
  }
}

int score_asc(const ScoreOptions& o, Environment& environment) {
  const ClipTable reference = read_clips(Task::kAsc, o.references);
  const ClipTable output = read_clips(Task::kAsc, o.systems);
  if (!reference.has_labels) {
    fail(ErrorKind::kData, o.references.front(),
         ":1: the reference has no column scene_label, which says what is true");
  }
  const LabelSet classes = classes_of(Task::kAsc, o, reference, output);
  const RecordingMatch match = matched(names_of(reference), names_of(output), o, environment.console);
  const Pairs pairs = pairs_of(reference, output, match, classes, o.systems.front());
  check_probabilities(pairs);
  std::vector<std::int32_t> truth;
  std::vector<std::string> devices;
  std::vector<std::string> groups;
  for (const ClipRow* row : pairs.references) {
    truth.push_back(classes.index(row->labels.front(), row->where));
    devices.push_back(device_of(*row));
    groups.push_back(asc_device_group(devices.back()));
  }
  const AscInput input{
      .classes = classes.names(), .probabilities = pairs.scores, .truth = truth, .devices = devices, .groups = groups};
  const bool plain = output.classes.empty();
  AscMetrics m = asc_metrics(input);
  if (plain) forget_losses(m);
  std::int64_t contradictions = 0;
  for (std::size_t i = 0; i < pairs.outputs.size() && !plain && output.has_labels; ++i) {
    const auto best = static_cast<std::size_t>(m.prediction[i]);
    contradictions += pairs.outputs[i]->labels.front() != classes.names()[best] ? 1 : 0;
  }
  if (contradictions > 0) {
    environment.console.warn(fmt::format(
        "{} of {} rows name a scene_label that has not the highest probability; the probabilities are scored",
        contradictions, pairs.outputs.size()));
  }

  nlohmann::ordered_json json = score_json(Task::kAsc, o, match, output.rows.size());
  std::string text;
  if (o.standard()) {
    text += report_text(m);
    json["standard"] = to_json(m);
    Intervals intervals = asc_intervals(input, o.bootstrap);
    if (plain && !intervals.empty()) intervals.pop_back();  // log loss
    text += intervals_text(intervals, o.bootstrap);
    if (!intervals.empty()) json["standard"]["intervals"] = to_json(intervals);
  }
  if (o.reference()) {
    text += fmt::format("{}Acoustic scenes as the released code scores them: accuracy {}\n", text.empty() ? "" : "\n",
                        percent_text(m.overall.accuracy));
    json["reference"] = {{"accuracy_percent", m.overall.accuracy}};
  }
  deliver(text, json, o);
  return kExitOk;
}

// ---- tags

struct TagOptions : ScoreOptions {
  DecisionOptions decisions;
  std::string tune;
};

/// Truth [N,K] from labels, or from columns of 0 and 1.
[[nodiscard]] std::vector<std::uint8_t> tag_truth(const ClipTable& reference, const Pairs& pairs,
                                                  const LabelSet& classes, const std::string& file) {
  const auto width = static_cast<std::size_t>(classes.size());
  std::vector<std::uint8_t> truth(pairs.references.size() * width);
  const std::vector<std::size_t> place =
      reference.has_labels ? std::vector<std::size_t>() : places(reference, classes, file);
  for (std::size_t i = 0; i < pairs.references.size(); ++i) {
    const ClipRow& row = *pairs.references[i];
    for (const std::string& label : row.labels) {
      truth[i * width + static_cast<std::size_t>(classes.index(label, row.where))] = 1;
    }
    for (std::size_t k = 0; k < place.size(); ++k) {
      if (row.scores[k] != 0 && row.scores[k] != 1) {
        fail(ErrorKind::kData, row.where, ": ", in_quotes(reference.classes[k]), " is ", row.scores[k],
             "; a reference has 0 and 1, or a column labels");
      }
      truth[i * width + place[k]] = row.scores[k] == 1 ? 1 : 0;
    }
  }
  return truth;
}

[[nodiscard]] std::vector<std::string> scored_keys(const Pairs& pairs) {
  std::vector<std::string> keys;
  for (const ClipRow* row : pairs.references) keys.push_back(recording_key(row->name));
  return keys;
}

int tune_tags(const TagOptions& o, const LabelSet& classes, const Pairs& pairs, std::span<const std::uint8_t> truth) {
  DecisionFile file{.task = Task::kTag,
                    .objective = "f1",
                    .data = o.references.front(),
                    .system = o.systems.front(),
                    .recordings = scored_keys(pairs),
                    .classes = classes,
                    .tuned = tune_tag_thresholds(pairs.scores, truth, classes.size())};
  file.rules.thresholds.clear();
  for (const TunedClass& c : file.tuned) file.rules.thresholds.push_back(c.threshold);
  atomic_write(o.tune, write_decisions(file));
  deliver(tuned_text(file, o.tune), {{"task", "tag"}, {"tuned", o.tune}, {"objective", "f1"}}, o);
  return kExitOk;
}

int score_tag(const TagOptions& o, Environment& environment) {
  if (!o.tune.empty() && (!o.decisions.file.empty() || o.decisions.threshold)) {
    fail(ErrorKind::kUsage, "--tune chooses thresholds; leave --decisions and --threshold out");
  }
  const ClipTable reference = read_clips(Task::kTag, o.references);
  const ClipTable output = read_clips(Task::kTag, o.systems);
  if (output.classes.empty()) {
    fail(ErrorKind::kData, o.systems.front(),
         ":1: no scores; lwlrap and average precision rank all classes, so the "
         "output needs a column for each");
  }
  const LabelSet classes = classes_of(Task::kTag, o, reference, output);
  const RecordingMatch match = matched(names_of(reference), names_of(output), o, environment.console);
  const Pairs pairs = pairs_of(reference, output, match, classes, o.systems.front());
  const std::vector<std::uint8_t> truth = tag_truth(reference, pairs, classes, o.references.front());
  if (!o.tune.empty()) return tune_tags(o, classes, pairs, truth);

  DecisionFile tuned;
  const DecisionRules rules = decision_rules(o.decisions, 0.5, classes, Task::kTag, &tuned);
  refuse_tuned_on(tuned, o.decisions.file, scored_keys(pairs));
  const TagInput input{
      .classes = classes.names(), .scores = pairs.scores, .truth = truth, .thresholds = rules.thresholds};
  const TagMetrics m = tag_metrics(input);
  nlohmann::ordered_json json = score_json(Task::kTag, o, match, output.rows.size());
  std::string text;
  if (o.standard()) {
    text += report_text(m);
    json["standard"] = to_json(m);
    const Intervals intervals = tag_intervals(input, o.bootstrap);
    text += intervals_text(intervals, o.bootstrap);
    if (!intervals.empty()) json["standard"]["intervals"] = to_json(intervals);
    if (!tuned.tuned.empty()) json["standard"]["tuned"] = origin_json(tuned);
  }
  if (o.reference()) {
    text += fmt::format(
        "{}Audio tags as the released code scores them: lwlrap {} (equal scores in no defined order there)\n",
        text.empty() ? "" : "\n", percent_text(100 * m.lwlrap));
    json["reference"] = {{"lwlrap", m.lwlrap}};
  }
  deliver(text, json, o);
  return kExitOk;
}

}  // namespace

void add_score_asc(Program& program, CLI::App& group) {
  auto o = std::make_shared<ScoreOptions>();
  CLI::App& verb = program.add(group, "asc", "scenes: accuracy, log loss, devices, confusion",
                               [o](Environment& e) { return score_asc(*o, e); });
  add_score_options(verb, *o);
}

void add_score_tag(Program& program, CLI::App& group) {
  auto o = std::make_shared<TagOptions>();
  CLI::App& verb = program.add(group, "tag", "tags: lwlrap, average precision, AUC, F1 at thresholds",
                               [o](Environment& e) { return score_tag(*o, e); });
  add_score_options(verb, *o);
  verb.add_option_function<double>(
      "--threshold", [o](const double& value) { o->decisions.threshold = value; }, "of F1, precision and recall (0.5)");
  verb.add_option("--decisions,--apply", o->decisions.file, "thresholds a class from FILE, as --tune writes them");
  verb.add_option("--tune", o->tune,
                  "choose a threshold a class for F1 on these files and write them to FILE; reports "
                  "no score");
}

}  // namespace dcase::cli
