#include "train/cli/event_set.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "train/formats/fields.hpp"
#include "train/formats/score_table.hpp"

namespace dcase::cli {

namespace {

[[nodiscard]] SoundEvent sound_event(const LabelledEvent& e, std::int32_t label) {
  return {microseconds(e.onset), microseconds(e.offset), label};
}

[[nodiscard]] std::int64_t length_of(double seconds, const std::string& where) {
  if (std::isnan(seconds)) return -1;
  if (seconds < 0 || seconds > kLongestSeconds) {
    fail(ErrorKind::kData, where, ": a recording of ", seconds, " s; at most ", kLongestSeconds, " s are scored");
  }
  return microseconds(seconds);
}

}  // namespace

EventSet::EventSet(const SedOptions& options, Console& console) : o_(options), console_(console) {
  read();
  choose_classes();
  match();
  find_lengths();
}

nlohmann::ordered_json EventSet::head() const {
  return score_json(Task::kSed, o_, match_, outputs_, silent_if_missing_);
}

void EventSet::read() {
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
void EventSet::choose_classes() {
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
}

void EventSet::match() {
  std::vector<NamedRecording> references;
  std::vector<std::optional<std::size_t>> reference_of;  // of each recording to be scored
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
    reference_of = of_listed.output_of;
    references = listed;
  } else {
    for (std::size_t i = 0; i < references.size(); ++i) reference_of.emplace_back(i);
  }
  silent_if_missing_ = output_.format == EventFormat::kEvents;
  match_ = matched(references, outputs, o_, console_, silent_if_missing_);
  for (std::size_t i = 0; i < references.size(); ++i) {
    if (!match_.output_of[i] && !silent_if_missing_) continue;
    ScoredRecording s{.name = references[i].name};
    if (!durations_.empty()) s.length = microseconds(durations_[i].seconds);
    if (reference_of[i]) add_reference(s, *reference_of[i]);
    if (match_.output_of[i]) add_output(s, *match_.output_of[i]);
    scored_.push_back(std::move(s));
  }
}

void EventSet::add_reference(ScoredRecording& s, std::size_t at) const {
  const RecordingEvents& r = reference_.recordings[at];
  for (const LabelledEvent& e : r.events) s.truth.push_back(sound_event(e, classes_.index(e.label, r.where)));
  if (s.length < 0) s.length = length_of(reference_.seconds[at], r.where);
}

void EventSet::add_output(ScoredRecording& s, std::size_t at) const {
  if (output_.format == EventFormat::kScores) {
    s.scores = &output_.score_files[at];
    return;
  }
  const RecordingEvents& r = output_.recordings[at];
  for (const LabelledEvent& e : r.events) s.output.push_back(sound_event(e, classes_.index(e.label, r.where)));
  if (s.length < 0) s.length = length_of(output_.seconds[at], r.where);
}

/// What is not known yet: --duration, the end of the scores, with --sed-eval-compat the last event.
void EventSet::find_lengths() {
  parallel(scored_.size(), [&](std::size_t i) {
    ScoredRecording& s = scored_[i];
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

FrameScores EventSet::load(std::size_t i) const {
  const std::string& path = scored_[i].scores->path;
  return read_score_table(read_text_file(path, kMaxOutputBytes), path, classes_);
}

std::vector<SoundEvent> EventSet::decided(std::size_t i, const DecisionRules& rules) const {
  if (scored_[i].scores == nullptr) return scored_[i].output;
  const FrameScores scores = load(i);
  return events_of(decide(scores.values, scores.frames(), width(), rules), scores.times);
}

std::vector<std::string> EventSet::keys() const {
  std::vector<std::string> keys;
  for (const ScoredRecording& s : scored_) keys.push_back(recording_key(s.name));
  return keys;
}

}  // namespace dcase::cli
