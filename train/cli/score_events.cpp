/// dcasenet score sed: sound events by segment, one by one, and at every threshold.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>
#include <memory>
#include <set>

#include "engine/files.hpp"
#include "train/cli/decision_options.hpp"
#include "train/cli/exit_codes.hpp"
#include "train/cli/score_common.hpp"
#include "train/formats/event_input.hpp"
#include "train/formats/fields.hpp"
#include "train/formats/score_table.hpp"
#include "train/metrics/psds.hpp"
#include "train/metrics/tuning.hpp"
#include "train/report/metrics_report.hpp"

namespace dcase::cli {
namespace {

constexpr std::int64_t kReferenceFrameUs = 100'000;
constexpr double kReferenceThreshold = 0.3;  // of the released code

struct SedOptions : ScoreOptions {
  std::string reference_format = "auto", system_format = "auto";
  std::string durations;
  double duration = 0;
  DecisionOptions decisions;
  std::string tune, objective = "segment-f1";
  double segment = 1, collar = 0.2, offset_share = 0.5;
  bool onset_only = false, greedy = false, sed_eval_compat = false;
  std::vector<std::string> psds;
  std::uint64_t memory = std::uint64_t{2} << 30U;

  [[nodiscard]] UndefinedRule undefined() const {
    return sed_eval_compat ? UndefinedRule::kSedEval : UndefinedRule::kStandard;
  }
  [[nodiscard]] SegmentOptions segments() const {
    return {.segment_us = microseconds(segment), .undefined = undefined()};
  }
  [[nodiscard]] EventOptions events() const {
    return {.collar_us = microseconds(collar),
            .offset_share = offset_share,
            .test_offset = !onset_only,
            .matching = greedy ? EventOptions::Matching::kGreedy : EventOptions::Matching::kOptimal,
            .undefined = undefined()};
  }
};

/// "psds1", "psds2,alpha_st=0" or "dtc=0.5,gtc=0.5,cttc=0.3,alpha_ct=0.5".
[[nodiscard]] PsdsRule psds_rule(const std::string& text) {
  PsdsRule rule;
  rule.name = text;
  for (const std::string& part : split_list(text, ',')) {
    const std::size_t equals = part.find('=');
    const std::string key = part.substr(0, equals);
    if (equals == std::string::npos && (part == "psds1" || part == "psds2")) {
      rule = part == "psds1" ? psds1() : psds2();
      if (part != text) rule.name = text;
      continue;
    }
    if (key == "cross_mean" && equals != std::string::npos) {
      const std::string word = part.substr(equals + 1);
      if (word != "other" && word != "all") fail(ErrorKind::kUsage, "--psds: cross_mean is other or all");
      rule.cross_mean = word == "all" ? PsdsRule::CrossMean::kAll : PsdsRule::CrossMean::kOther;
      continue;
    }
    double* field = key == "dtc"        ? &rule.dtc
                    : key == "gtc"      ? &rule.gtc
                    : key == "cttc"     ? &rule.cttc
                    : key == "alpha_ct" ? &rule.alpha_ct
                    : key == "alpha_st" ? &rule.alpha_st
                    : key == "e_max"    ? &rule.e_max
                                        : nullptr;
    const auto value = equals == std::string::npos ? std::nullopt : parse_number(part.substr(equals + 1));
    if (field == nullptr || !value) {
      fail(ErrorKind::kUsage, "--psds: ", in_quotes(part),
           " is neither psds1 nor psds2 nor one of dtc, gtc, cttc, "
           "alpha_ct, alpha_st, e_max or cross_mean with a value, like dtc=0.7");
    }
    *field = *value;
  }
  return rule;
}

[[nodiscard]] SoundEvent sound_event(const LabelledEvent& e, std::int32_t label) {
  return {microseconds(e.onset), microseconds(e.offset), label};
}

/// One recording of the reference with what the system says of it.
struct Scored {
  std::string name;
  std::vector<SoundEvent> truth;
  std::vector<SoundEvent> output;         // of an event list
  const RecordingFile* scores = nullptr;  // of a score table
  std::int64_t length = -1;               // microseconds; -1: unknown yet
};

/// Frames of 100 ms that events touch, as the released labels have them.
[[nodiscard]] Roll reference_roll(const std::vector<SoundEvent>& events, std::int64_t length, std::int64_t classes) {
  Roll roll{.frames = (length + kReferenceFrameUs - 1) / kReferenceFrameUs, .classes = classes};
  roll.active.assign(static_cast<std::size_t>(roll.frames * classes), 0);
  for (const SoundEvent& e : events) {
    const std::int64_t last = std::min(e.offset, length);
    for (std::int64_t t = e.onset / kReferenceFrameUs; e.onset < last && t <= (last - 1) / kReferenceFrameUs; ++t) {
      roll.active[static_cast<std::size_t>(t * classes + e.label)] = 1;
    }
  }
  return roll;
}

/// Runs body(i) on all threads; the first exception in order of i is thrown.
template <class Body>
void parallel(std::size_t count, const Body& body) {
  std::vector<std::exception_ptr> failures(count);
#pragma omp parallel for schedule(dynamic)
  for (std::size_t i = 0; i < count; ++i) {
    try {
      body(i);
    } catch (...) {
      failures[i] = std::current_exception();
    }
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

class SedScorer {
 public:
  SedScorer(const SedOptions& options, Environment& environment) : o_(options), console_(environment.console) {
    if (o_.segment < 0.001) fail(ErrorKind::kUsage, "--segment is at least 0.001 s");
    if (o_.collar < 0 || o_.offset_share < 0 || o_.offset_share > 1) {
      fail(ErrorKind::kUsage, "--collar is not below 0, --offset-share from 0 to 1");
    }
    read();
    choose_classes();
    match();
    find_lengths();
  }

  int run() { return o_.tune.empty() ? score() : tune_only(); }

 private:
  void read() {
    const LabelSet given = given_classes(o_, Task::kSed);
    const LabelSet& numbering = given.empty() ? builtin_labels(Task::kSed) : given;
    reference_ =
        read_events(o_.references, value_of(kEventFormatWords, o_.reference_format, "--reference-format"), numbering);
    output_ = read_events(o_.systems, value_of(kEventFormatWords, o_.system_format, "--system-format"), numbering);
    if (reference_.format == EventFormat::kScores) {
      fail(ErrorKind::kData, o_.references.front(), ": scores of frames; a reference is a list of events");
    }
    if (!o_.durations.empty()) {
      durations_ = read_durations(read_text_file(o_.durations, kMaxOutputBytes), o_.durations);
    }
    classes_ = given;
  }

  /// --classes; else the columns of the scores, else the names found: the built-in list where it has them all.
  void choose_classes() {
    std::set<std::string> in_reference;
    std::set<std::string> found;
    for (const RecordingEvents& r : reference_.recordings) {
      for (const LabelledEvent& e : r.events) in_reference.insert(e.label);
    }
    found = in_reference;
    for (const RecordingEvents& r : output_.recordings) {
      for (const LabelledEvent& e : r.events) found.insert(e.label);
    }
    if (classes_.empty() && !output_.classes.empty()) classes_ = LabelSet(output_.classes, o_.systems.front());
    if (classes_.empty()) {
      if (found.empty()) fail(ErrorKind::kData, o_.references.front(), ": no event in the reference or the output");
      const LabelSet& builtin = builtin_labels(Task::kSed);
      const bool known =
          std::all_of(found.begin(), found.end(), [&](const std::string& n) { return builtin.contains(n); });
      classes_ = known ? builtin : LabelSet({found.begin(), found.end()}, "the events");
      for (const std::string& name : found) {
        if (in_reference.count(name) > 0) continue;
        const std::string near = nearest_name(name, {in_reference.begin(), in_reference.end()});
        console_.warn(fmt::format("the class {} is in the output but in no reference{}", in_quotes(name),
                                  near.empty() ? "" : fmt::format("; is {} meant?", in_quotes(near))));
      }
    }
    width_ = classes_.size();
  }

  void match() {
    std::vector<NamedRecording> references;
    std::vector<NamedRecording> outputs;
    for (const RecordingEvents& r : reference_.recordings) references.push_back({r.name, r.where});
    for (const RecordingEvents& r : output_.recordings) outputs.push_back({r.name, r.where});
    for (const RecordingFile& f : output_.score_files) outputs.push_back({f.name, f.path});
    outputs_ = outputs.size();
    std::vector<NamedRecording> listed;
    for (const RecordingLength& d : durations_) listed.push_back(d.recording);
    // The list of durations is the list of what is tested: recordings without events are in no event list.
    if (!durations_.empty()) {
      const RecordingMatch known = match_recordings(references, listed, o_.match_by());
      if (!known.missing.empty()) {
        fail(ErrorKind::kData, o_.durations, ": no duration of ", known.missing.size(),
             " recordings of the reference: ", first_names(known.missing));
      }
      const RecordingMatch of_listed = match_recordings(listed, references, o_.match_by());
      reference_of_ = of_listed.output_of;
      references = listed;
    } else {
      for (std::size_t i = 0; i < references.size(); ++i) reference_of_.emplace_back(i);
    }
    silent_if_missing_ = output_.format == EventFormat::kEvents;
    match_ = matched(references, outputs, o_, console_, silent_if_missing_);
    for (std::size_t i = 0; i < references.size(); ++i) {
      if (!match_.output_of[i] && !silent_if_missing_) continue;
      Scored s{.name = references[i].name};
      if (!durations_.empty()) s.length = microseconds(durations_[i].seconds);
      if (reference_of_[i]) add_reference(s, *reference_of_[i]);
      if (match_.output_of[i]) add_output(s, *match_.output_of[i]);
      scored_.push_back(std::move(s));
    }
  }

  void add_reference(Scored& s, std::size_t at) const {
    const RecordingEvents& r = reference_.recordings[at];
    for (const LabelledEvent& e : r.events) s.truth.push_back(sound_event(e, classes_.index(e.label, r.where)));
    if (s.length < 0) s.length = length_of(reference_.seconds[at], r.where);
  }

  void add_output(Scored& s, std::size_t at) const {
    if (output_.format == EventFormat::kScores) {
      s.scores = &output_.score_files[at];
      return;
    }
    const RecordingEvents& r = output_.recordings[at];
    for (const LabelledEvent& e : r.events) s.output.push_back(sound_event(e, classes_.index(e.label, r.where)));
    if (s.length < 0) s.length = length_of(output_.seconds[at], r.where);
  }

  [[nodiscard]] static std::int64_t length_of(double seconds, const std::string& where) {
    if (std::isnan(seconds)) return -1;
    if (seconds < 0 || seconds > kLongestSeconds) {
      fail(ErrorKind::kData, where, ": a recording of ", seconds, " s; at most ", kLongestSeconds, " s are scored");
    }
    return microseconds(seconds);
  }

  /// What is not known yet: --duration, the end of the scores, with --sed-eval-compat the last event.
  void find_lengths() {
    parallel(scored_.size(), [&](std::size_t i) {
      Scored& s = scored_[i];
      if (s.length < 0 && o_.duration > 0) s.length = length_of(o_.duration, "--duration");
      if (s.length < 0 && s.scores != nullptr) {
        const std::string text = read_text_file(s.scores->path, kMaxOutputBytes);
        s.length = length_of(static_cast<double>(read_score_end(text, s.scores->path)) / 1e6, s.scores->path);
      }
      if (s.length >= 0) return;
      if (!o_.sed_eval_compat) {
        fail(ErrorKind::kData, s.name,
             ": the length of the recording is unknown, and segments and rates need it; give "
             "--durations FILE (filename, duration), or --duration SECONDS if all are as long");
      }
      double last = 0;
      for (const auto* events : {&s.truth, &s.output}) {
        for (const SoundEvent& e : *events) last = std::max(last, static_cast<double>(e.offset) / 1e6);
      }
      s.length = length_of(last, s.name);
    });
  }

  [[nodiscard]] FrameScores load(std::size_t i) const {
    const std::string& path = scored_[i].scores->path;
    return read_score_table(read_text_file(path, kMaxOutputBytes), path, classes_);
  }

  [[nodiscard]] std::vector<SoundEvent> decided(std::size_t i, const DecisionRules& rules) const {
    if (scored_[i].scores == nullptr) return scored_[i].output;
    const FrameScores scores = load(i);
    return events_of(decide(scores.values, scores.frames(), width_, rules), scores.times);
  }

  [[nodiscard]] std::vector<std::string> keys() const {
    std::vector<std::string> keys;
    for (const Scored& s : scored_) keys.push_back(recording_key(s.name));
    return keys;
  }

  int tune_only() {
    if (output_.format != EventFormat::kScores) {
      fail(ErrorKind::kUsage, "--tune needs scores of frames (format scores); a list of events has no threshold left");
    }
    if (!o_.decisions.file.empty() || o_.decisions.threshold) {
      fail(ErrorKind::kUsage, "--tune chooses thresholds; leave --decisions and --threshold out");
    }
    const TuningObjective objective = value_of(kTuningObjectiveWords, o_.objective, "--objective");
    std::vector<TuningItem> items(scored_.size());
    parallel(items.size(), [&](std::size_t i) {
      items[i] = {.scores = load(i), .truth = scored_[i].truth, .length = scored_[i].length};
    });
    DecisionFile file{.task = Task::kSed,
                      .objective = o_.objective,
                      .data = o_.references.front(),
                      .system = o_.systems.front(),
                      .recordings = keys(),
                      .classes = classes_,
                      .rules = decision_rules(o_.decisions, 0.5, classes_, Task::kSed)};
    file.tuned = tune_thresholds(
        width_, items, {.objective = objective, .rules = file.rules, .segments = o_.segments(), .events = o_.events()});
    file.rules.thresholds.clear();
    for (const TunedClass& c : file.tuned) file.rules.thresholds.push_back(c.threshold);
    atomic_write(o_.tune, write_decisions(file));
    deliver(tuned_text(file, o_.tune), {{"task", "sed"}, {"tuned", o_.tune}, {"objective", o_.objective}}, o_);
    return kExitOk;
  }

  int score() {
    json_ = score_json(Task::kSed, o_, match_, outputs_, silent_if_missing_);
    if (o_.standard()) standard();
    if (o_.reference()) reference();
    deliver(text_, json_, o_);
    return kExitOk;
  }

  void standard() {
    DecisionFile tuned;
    const DecisionRules rules = decision_rules(o_.decisions, 0.5, classes_, Task::kSed, &tuned);
    refuse_tuned_on(tuned, o_.decisions.file, keys());
    std::vector<SedTally> segments(scored_.size());
    std::vector<SedTally> events(scored_.size());
    parallel(scored_.size(), [&](std::size_t i) {
      const SedItem item{.truth = scored_[i].truth, .output = decided(i, rules), .length = scored_[i].length};
      segments[i] = segment_tally(width_, item, o_.segments());
      events[i] = event_tally(width_, item, o_.events());
    });
    nlohmann::ordered_json& json = json_["standard"];
    if (output_.format == EventFormat::kScores) json["decisions"] = to_json(rules);
    if (!tuned.tuned.empty()) json["tuned"] = origin_json(tuned);
    const auto add = [&](const char* key, const auto& metrics, const Intervals& intervals) {
      json[key] = to_json(metrics);
      if (!intervals.empty()) json[key]["intervals"] = to_json(intervals);
      text_ += (text_.empty() ? "" : "\n") + report_text(metrics) + intervals_text(intervals, o_.bootstrap);
    };
    const std::vector<std::string>& names = classes_.names();
    add("segment_based", sum_segments(names, segments, o_.segments()),
        segment_intervals(names, segments, o_.segments(), o_.bootstrap));
    add("event_based", sum_events(names, events, o_.events()),
        event_intervals(names, events, o_.events(), o_.bootstrap));
    psds(rules, json);
  }

  void psds(const DecisionRules& rules, nlohmann::ordered_json& json) {
    std::vector<PsdsRule> wanted;
    for (const std::string& text : o_.psds) {
      if (text != "none") wanted.push_back(psds_rule(text));
    }
    if (o_.psds.empty()) wanted = {psds1(), psds2()};
    if (output_.format != EventFormat::kScores) {
      if (!o_.psds.empty() && !wanted.empty()) {
        fail(ErrorKind::kUsage,
             "--psds needs scores of frames (format scores); a list of events has one threshold only");
      }
      return;
    }
    if (wanted.empty()) return;
    std::vector<PsdsRecording> recordings;
    for (const Scored& s : scored_) recordings.push_back({.truth = s.truth, .length = s.length});
    const LoadScores of_recording = [&](std::size_t i) { return filtered(load(i), rules); };
    std::vector<PsdsMetrics> metrics;
    try {
      metrics = psds_metrics(classes_.names(), recordings, of_recording,
                             {.rules = wanted, .bootstrap = o_.bootstrap, .memory_bytes = o_.memory});
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kArgument) fail(ErrorKind::kUsage, "--psds: ", error.what());
      throw;
    }
    for (const PsdsMetrics& m : metrics) json[m.rule.name] = to_json(m);
    text_ += "\n" + report_text(metrics);
  }

  void reference() {
    const DecisionRules rules{.thresholds = {o_.decisions.threshold.value_or(kReferenceThreshold)}};
    std::vector<Roll> truth(scored_.size());
    std::vector<Roll> output(scored_.size());
    parallel(scored_.size(), [&](std::size_t i) {
      truth[i] = reference_roll(scored_[i].truth, scored_[i].length, width_);
      output[i] = reference_roll(decided(i, rules), scored_[i].length, width_);
    });
    const ReferenceSedMetrics m = reference_sed_metrics(truth, output);
    json_["reference"] = to_json(m);
    if (output_.format == EventFormat::kScores) json_["reference"]["threshold"] = rules.thresholds[0];
    text_ += (text_.empty() ? "" : "\n") + report_text(m);
  }

  const SedOptions& o_;
  Console& console_;
  EventInput reference_, output_;
  std::vector<RecordingLength> durations_;
  LabelSet classes_;
  std::int64_t width_ = 0;
  std::size_t outputs_ = 0;
  bool silent_if_missing_ = false;
  std::vector<std::optional<std::size_t>> reference_of_;  // of each recording to be scored
  RecordingMatch match_;
  std::vector<Scored> scored_;
  nlohmann::ordered_json json_;
  std::string text_;
};

}  // namespace

void add_score_sed(Program& program, CLI::App& group) {
  auto o = std::make_shared<SedOptions>();
  CLI::App& verb = program.add(group, "sed", "sound events: segments, events, PSDS",
                               [o](Environment& e) { return SedScorer(*o, e).run(); });
  add_score_options(verb, *o);
  verb.add_option("--reference-format", o->reference_format, list_of(kEventFormatWords))->capture_default_str();
  verb.add_option("--system-format", o->system_format, "likewise")->capture_default_str();
  verb.add_option("--durations", o->durations,
                  "table of filename and duration in seconds: the recordings that are scored");
  verb.add_option("--duration", o->duration, "length of every recording in seconds, where nothing else says it");
  add_decision_options(verb, o->decisions, "0.5; with --metrics reference 0.3");
  verb.add_option("--tune", o->tune,
                  "choose a threshold a class on these files and write them to FILE; reports no score");
  verb.add_option("--objective", o->objective, "of --tune: segment-f1 or event-f1")->capture_default_str();
  verb.add_option("--segment", o->segment, "length of segments in seconds")->capture_default_str();
  verb.add_option("--collar", o->collar, "tolerance of event times in seconds")->capture_default_str();
  verb.add_option("--offset-share", o->offset_share,
                  "tolerance of event offsets as a share of the length (DCASE Task 4: 0.2)")
      ->capture_default_str();
  verb.add_flag("--onset-only", o->onset_only, "events match by their onset alone");
  verb.add_flag("--greedy", o->greedy, "match events in order of time instead of as many as possible");
  verb.add_flag("--sed-eval-compat", o->sed_eval_compat,
                "undefined class scores and unknown lengths as in the sed_eval package");
  verb.add_option("--psds", o->psds,
                  "psds1, psds2, none, or dtc=,gtc=,cttc=,alpha_ct=,alpha_st=,e_max=,cross_mean=; several allowed "
                  "(psds1 and psds2)")
      ->allow_extra_args(false);
  verb.add_option("--psds-memory", o->memory, "of PSDS, as in 2GB; with less, score files are read several times")
      ->transform(CLI::AsSizeValue(false).description(""));
}

}  // namespace dcase::cli
