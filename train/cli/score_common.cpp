#include "train/cli/score_common.hpp"

#include <fmt/format.h>

#include <iostream>
#include <sstream>

#include "engine/files.hpp"
#include "train/cli/verbs.hpp"
#include "train/data/csv.hpp"
#include "train/data/reader_support.hpp"
#include "train/report/table.hpp"

namespace dcase::cli {

void add_score_options(CLI::App& verb, ScoreOptions& o) {
  verb.add_option("-r,--reference", o.references, "files or folders of what is true")->required()->allow_extra_args();
  verb.add_option("-s,--system", o.systems, "files or folders of what a system said")->required()->allow_extra_args();
  verb.add_option("--classes", o.classes, "class list: labels.json, or a text file of one name a line");
  verb.add_option("--match", o.match, "recordings by name, or by path where names repeat")->capture_default_str();
  verb.add_option("--on-missing", o.on_missing, "a recording without output: stop or skip")->capture_default_str();
  verb.add_option("--metrics", o.metrics, "standard, reference (what the released code computes) or both")
      ->capture_default_str();
  verb.add_option("--bootstrap", o.bootstrap.draws,
                  "confidence intervals from so many draws of the recordings (0: none)")
      ->check(CLI::Range(0, 1'000'000));
  verb.add_option("--seed", o.bootstrap.seed, "of the draws")->capture_default_str();
  verb.add_option("--confidence", o.bootstrap.confidence, "of the intervals")
      ->check(CLI::Range(0.01, 0.9999))
      ->capture_default_str();
  verb.add_option("--json", o.json, "write everything as JSON to FILE (- for the terminal instead of the text)");
}

LabelSet given_classes(const ScoreOptions& o, Task task) {
  if (o.classes.empty()) return {};
  if (o.classes.ends_with(".json")) {
    const LabelSets sets = read_labels_json(o.classes);
    if (sets[task].empty())
      fail(ErrorKind::kData, o.classes, ": no list ", in_quotes(task_name(task)), " in this file");
    return sets[task];
  }
  std::istringstream lines(read_text_file(o.classes, 1U << 20U));
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) names.push_back(line);
  }
  return LabelSet(std::move(names), o.classes);
}

RecordingMatch matched(const std::vector<NamedRecording>& references, const std::vector<NamedRecording>& outputs,
                       const ScoreOptions& o, Console& console, bool silent_if_missing) {
  const bool skip = value_of(kOnMissingWords, o.on_missing, "--on-missing") == OnMissing::kSkip;
  RecordingMatch match = match_recordings(references, outputs, o.match_by());
  if (references.empty()) fail(ErrorKind::kData, o.references.front(), ": no recording in the reference");
  if (!match.extra.empty()) {
    console.warn(fmt::format("{} of {} recordings of the output are not in the reference and are left out: {}",
                             match.extra.size(), outputs.size(), first_names(match.extra)));
  }
  if (match.missing.empty()) return match;
  const std::string what = fmt::format("{} of {} recordings of the reference have no output: {}", match.missing.size(),
                                       references.size(), first_names(match.missing));
  if (silent_if_missing) {
    console.info(what + "; an event list does not name silent recordings, so they count as silent");
  } else if (match.missing.size() == references.size()) {
    fail(ErrorKind::kData, "no recording of the reference has an output; the reference names ",
         first_names(match.missing), ", the output ", match.extra.empty() ? "nothing" : first_names(match.extra));
  } else if (skip) {
    console.warn(what + "; they are left out");
  } else {
    fail(ErrorKind::kData, o.systems.front(), ": ", what, "; add them, or leave them out by --on-missing skip");
  }
  return match;
}

nlohmann::ordered_json score_json(Task task, const ScoreOptions& o, const RecordingMatch& match, std::size_t outputs,
                                  bool silent_if_missing) {
  const std::size_t scored = match.output_of.size() - (silent_if_missing ? 0 : match.missing.size());
  nlohmann::ordered_json json = {
      {"task", task_name(task)}, {"reference_files", o.references}, {"system_files", o.systems}};
  json["recordings"] = {{"reference", match.output_of.size()},
                        {"output", outputs},
                        {"scored", scored},
                        {"missing", match.missing},
                        {"extra", match.extra}};
  if (o.bootstrap.draws > 0) json["bootstrap"] = to_json(o.bootstrap);
  return json;
}

std::string intervals_text(const Intervals& intervals, const BootstrapOptions& options) {
  if (intervals.empty()) return "";
  Table table({{"score", Table::Align::kLeft}, {"low"}, {"high"}}, 2);
  for (const auto& [name, interval] : intervals) {
    table.add({name, number_text(interval.low), number_text(interval.high)});
  }
  return fmt::format("\n  {:g} % of {} draws of the recordings lie within\n{}", 100 * options.confidence, options.draws,
                     table.text());
}

std::string tuned_text(const DecisionFile& file, const std::string& path) {
  Table table({{"class", Table::Align::kLeft}, {"threshold"}, {file.objective}, {"references"}}, 2);
  for (std::size_t c = 0; c < file.tuned.size(); ++c) {
    const TunedClass& t = file.tuned[c];
    table.add({file.classes.names()[c], number_text(t.threshold), number_text(t.value), std::to_string(t.references)});
  }
  return fmt::format(
      "Thresholds for {} from {} recordings, written to {}\n"
      "  the values are of the same recordings, and too good: report others\n\n{}",
      file.objective, file.recordings.size(), path, table.text());
}

nlohmann::ordered_json origin_json(const DecisionFile& file) {
  return {{"objective", file.objective},
          {"data", file.data},
          {"part", file.part},
          {"system", file.system},
          {"recordings", file.recordings.size()}};
}

void deliver(const std::string& text, const nlohmann::ordered_json& json, const ScoreOptions& o) {
  const auto dump = [&] { return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"; };
  if (o.json != "-") std::cout << text;
  if (o.json == "-") std::cout << dump();
  if (!o.json.empty() && o.json != "-") atomic_write(o.json, dump());
}

void add_score(Program& program) {
  CLI::App& group = program.add_group("score", "any system's output files against reference files");
  add_score_asc(program, group);
  add_score_tag(program, group);
  add_score_sed(program, group);
}

}  // namespace dcase::cli
