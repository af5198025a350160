/// dcasenet score sed: sound events by segment, one by one, and at every threshold.

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "engine/files.hpp"
#include "train/cli/event_set.hpp"
#include "train/cli/exit_codes.hpp"
#include "train/data/csv.hpp"
#include "train/metrics/psds.hpp"
#include "train/metrics/tuning.hpp"
#include "train/report/metrics_report.hpp"

namespace dcase::cli {
namespace {

constexpr std::int64_t kReferenceFrameUs = 100'000;
constexpr double kReferenceThreshold = 0.3;  // of the released code

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

/// Throws Error(kUsage) for numbers that cannot be.
[[nodiscard]] const SedOptions& checked(const SedOptions& o) {
  if (o.segment < 0.001) fail(ErrorKind::kUsage, "--segment is at least 0.001 s");
  if (o.collar < 0 || o.offset_share < 0 || o.offset_share > 1) {
    fail(ErrorKind::kUsage, "--collar is not below 0, --offset-share from 0 to 1");
  }
  return o;
}

/// Counts the recordings of one pass after the other, from any thread.
class PassProgress {
 public:
  PassProgress(Console& console, std::string what, std::size_t total)
      : console_(console), what_(std::move(what)), total_(static_cast<std::int64_t>(total)) {}
  void step() {
    const std::lock_guard lock(mutex_);
    if (!progress_ || done_ == total_) {
      progress_.emplace(console_, what_, total_);
      done_ = 0;
    }
    progress_->advance(1);
    ++done_;
  }

 private:
  Console& console_;
  std::string what_;
  std::int64_t total_;
  std::int64_t done_ = 0;
  std::mutex mutex_;
  std::optional<Progress> progress_;
};

class SedScorer {
 public:
  SedScorer(const SedOptions& options, Environment& environment)
      : o_(checked(options)), console_(environment.console), set_(options, environment.console) {}

  int run() {
    const DecisionOptions& d = o_.decisions;
    const bool decides = d.threshold || d.median_frames != 1 || d.minimum_frames != 0 || d.close_gap_frames != 0;
    if (!set_.has_scores() && (decides || !d.file.empty())) {
      fail(ErrorKind::kUsage,
           "a list of events is decided already; --threshold, --median, --min-frames, --close-gap and "
           "--decisions need scores of frames (format scores)");
    }
    return o_.tune.empty() ? score() : tune_only();
  }

 private:
  int tune_only() {
    if (!set_.has_scores()) {
      fail(ErrorKind::kUsage, "--tune needs scores of frames (format scores); a list of events has no threshold left");
    }
    if (!o_.decisions.file.empty() || o_.decisions.threshold) {
      fail(ErrorKind::kUsage, "--tune chooses thresholds; leave --decisions and --threshold out");
    }
    const TuningObjective objective = value_of(kTuningObjectiveWords, o_.objective, "--objective");
    std::vector<TuningItem> items(set_.recordings().size());
    parallel(items.size(), [&](std::size_t i) {
      items[i] = {.scores = set_.load(i), .truth = set_.recordings()[i].truth, .length = set_.recordings()[i].length};
    });
    DecisionFile file{.task = Task::kSed,
                      .objective = o_.objective,
                      .data = o_.references.front(),
                      .system = o_.systems.front(),
                      .recordings = set_.keys(),
                      .classes = set_.classes(),
                      .rules = decision_rules(o_.decisions, 0.5, set_.classes(), Task::kSed)};
    file.tuned = tune_thresholds(
        set_.width(), items,
        {.objective = objective, .rules = file.rules, .segments = o_.segments(), .events = o_.events()});
    file.rules.thresholds.clear();
    for (const TunedClass& c : file.tuned) file.rules.thresholds.push_back(c.threshold);
    atomic_write(o_.tune, write_decisions(file));
    deliver(tuned_text(file, o_.tune), {{"task", "sed"}, {"tuned", o_.tune}, {"objective", o_.objective}}, o_);
    return kExitOk;
  }

  int score() {
    json_ = set_.head();
    if (o_.standard()) standard();
    if (o_.reference()) reference();
    deliver(text_, json_, o_);
    return kExitOk;
  }

  void standard() {
    DecisionFile tuned;
    const DecisionRules rules = decision_rules(o_.decisions, 0.5, set_.classes(), Task::kSed, &tuned);
    refuse_tuned_on(tuned, o_.decisions.file, set_.keys());
    PassProgress progress(console_, "score", set_.recordings().size());
    std::vector<SedTally> segments(set_.recordings().size());
    std::vector<SedTally> events(set_.recordings().size());
    parallel(set_.recordings().size(), [&](std::size_t i) {
      const SedItem item{
          .truth = set_.recordings()[i].truth, .output = set_.decided(i, rules), .length = set_.recordings()[i].length};
      segments[i] = segment_tally(set_.width(), item, o_.segments());
      events[i] = event_tally(set_.width(), item, o_.events());
      progress.step();
    });
    nlohmann::ordered_json& json = json_["standard"];
    if (set_.has_scores()) json["decisions"] = to_json(rules);
    if (!tuned.tuned.empty()) json["tuned"] = origin_json(tuned);
    const auto add = [&](const char* key, const auto& metrics, const Intervals& intervals) {
      json[key] = to_json(metrics);
      if (!intervals.empty()) json[key]["intervals"] = to_json(intervals);
      text_ += (text_.empty() ? "" : "\n") + report_text(metrics) + intervals_text(intervals, o_.bootstrap);
    };
    const std::vector<std::string>& names = set_.classes().names();
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
    if (!set_.has_scores()) {
      if (!o_.psds.empty() && !wanted.empty()) {
        fail(ErrorKind::kUsage,
             "--psds needs scores of frames (format scores); a list of events has one threshold only");
      }
      return;
    }
    if (wanted.empty()) return;
    std::vector<PsdsRecording> recordings;
    for (const ScoredRecording& s : set_.recordings()) recordings.push_back({.truth = s.truth, .length = s.length});
    PassProgress progress(console_, "psds", recordings.size());
    const LoadScores of_recording = [&](std::size_t i) {
      FrameScores scores = filtered(set_.load(i), rules);
      progress.step();
      return scores;
    };
    std::vector<PsdsMetrics> metrics;
    try {
      metrics = psds_metrics(set_.classes().names(), recordings, of_recording,
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
    std::vector<Roll> truth(set_.recordings().size());
    std::vector<Roll> output(set_.recordings().size());
    parallel(set_.recordings().size(), [&](std::size_t i) {
      truth[i] = reference_roll(set_.recordings()[i].truth, set_.recordings()[i].length, set_.width());
      output[i] = reference_roll(set_.decided(i, rules), set_.recordings()[i].length, set_.width());
    });
    const ReferenceSedMetrics m = reference_sed_metrics(truth, output);
    json_["reference"] = to_json(m);
    if (set_.has_scores()) json_["reference"]["threshold"] = rules.thresholds[0];
    text_ += (text_.empty() ? "" : "\n") + report_text(m);
  }

  const SedOptions& o_;
  Console& console_;
  const EventSet set_;
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
