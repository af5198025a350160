#include "train/data/inspect.hpp"

#include <algorithm>
#include <map>

#include "kernels/common/error.hpp"

namespace dcase {

namespace {

/// One probed file: its facts, or why it is rejected.
struct Probed {
  AudioFacts facts;
  std::string reason;
};

class Prober {
 public:
  explicit Prober(const AudioProbe& probe) : probe_(probe) {}

  const Probed& operator()(const std::string& path) {
    const auto [at, first] = done_.try_emplace(path);
    if (first) {
      try {
        at->second.facts = probe_(path);
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::kInterrupted) throw;
        at->second.reason = error.what();
      }
    }
    return at->second;
  }

 private:
  const AudioProbe& probe_;
  std::map<std::string, Probed> done_;
};

/// Why a sound file does not hold what the item asks for; "" if it does.
std::string mismatch(const Item& item, const AudioFacts& facts) {
  if (facts.seconds <= item.start) return concat("lasts ", facts.seconds, " s, the item starts at ", item.start, " s");
  if (item.channels.mode == ChannelRule::Mode::kOne && item.channels.index >= facts.channels) {
    return concat("has ", facts.channels, " channels, the item asks for number ", item.channels.index, " (from 0)");
  }
  return "";
}

/// For a constant inspection or one that is being counted.
template <class AnyInspection>
auto& summary_of(AnyInspection& inspection, Split split) {
  switch (split) {
    case Split::kTrain:
      return inspection.train;
    case Split::kValid:
      return inspection.valid;
    case Split::kTest:
      return inspection.test;
    case Split::kUnused:
      break;
  }
  return inspection.unused;
}

void count_class(std::vector<ClassSummary>& classes, std::int32_t label, Split split) {
  ClassSummary& summary = classes.at(static_cast<std::size_t>(label));
  if (split == Split::kTrain) ++summary.train;
  if (split == Split::kValid) ++summary.valid;
  if (split == Split::kTest) ++summary.test;
}

void count_classes(Inspection& inspection, const Item& item) {
  for (const Task task : {Task::kAsc, Task::kTag}) {
    const auto& targets = task == Task::kAsc ? item.scene : item.tags;
    for (const ClassTarget& target : targets.value_or(std::vector<ClassTarget>())) {
      if (target.value > 0.5F) count_class(inspection.classes[static_cast<int>(task)], target.label, item.split);
    }
  }
  if (!item.events) return;
  std::vector<ClassSummary>& sed = inspection.classes[static_cast<int>(Task::kSed)];
  for (const EventTarget& event : item.events->events) count_class(sed, event.label, item.split);
  // A soft event is a maximal run of rows above one half.
  std::vector<bool> active(sed.size(), false);
  for (const SoftEventRow& row : item.events->soft) {
    for (std::size_t k = 0; k < active.size(); ++k) {
      const bool now = row.values.at(k) > 0.5F;
      if (now && !active[k]) count_class(sed, static_cast<std::int32_t>(k), item.split);
      active[k] = now;
    }
  }
}

}  // namespace

Inspection inspect(const Dataset& dataset, const AudioProbe& probe) {
  Inspection inspection;
  inspection.listed = dataset.listed;
  inspection.found = std::ssize(dataset.items);
  for (const Task task : kAllTasks) {
    for (const std::string& name : dataset.labels[task].names()) {
      inspection.classes[static_cast<int>(task)].push_back({.name = name});
    }
  }
  for (const std::string& audio : dataset.missing)
    inspection.bad.push_back({.audio = audio, .reason = "does not exist"});

  Prober probed(probe);
  for (const Item& item : dataset.items) {
    double seconds = 0;
    if (probe) {
      const Probed& file = probed(dataset.path_of(item));
      const std::string reason = file.reason.empty() ? mismatch(item, file.facts) : file.reason;
      if (!reason.empty()) {
        inspection.bad.push_back({.audio = item.audio, .reason = reason});
        continue;
      }
      seconds = std::min(file.facts.seconds, item.end) - item.start;
    }
    inspection.shortest = inspection.readable == 0 ? seconds : std::min(inspection.shortest, seconds);
    inspection.longest = std::max(inspection.longest, seconds);
    ++inspection.readable;
    if (item.split != Split::kUnused) ++inspection.used;
    SplitSummary& summary = summary_of(inspection, item.split);
    ++summary.items;
    summary.seconds += seconds;
    count_classes(inspection, item);
  }
  return inspection;
}

std::string to_text(const Dataset& dataset, const Inspection& inspection) {
  std::string text = concat(dataset.name, " in ", dataset.root, "\n", "listed ", inspection.listed, ", found ",
                            inspection.found, ", readable ", inspection.readable, ", used ", inspection.used, "\n");
  for (const Split split : {Split::kTrain, Split::kValid, Split::kTest, Split::kUnused}) {
    const SplitSummary& summary = summary_of(inspection, split);
    if (summary.items == 0 && split == Split::kUnused) continue;
    text += concat(split_name(split), ": ", summary.items, " items");
    if (summary.seconds > 0) text += concat(", ", summary.seconds / 3600, " h");
    text += "\n";
  }
  if (inspection.longest > 0) {
    text += concat("lengths: ", inspection.shortest, " to ", inspection.longest, " s\n");
  }
  text += dataset.selection_text + "\n";
  for (const Task task : kAllTasks) {
    const std::vector<ClassSummary>& classes = inspection.classes[static_cast<int>(task)];
    if (classes.empty()) continue;
    text += concat(task_name(task), task == Task::kSed ? " events" : " items", " by class, train/valid/test:\n");
    for (const ClassSummary& c : classes) {
      text += concat("  ", c.name, ": ", c.train, "/", c.valid, "/", c.test, "\n");
    }
  }
  for (const std::string& note : dataset.notes) text += "note: " + note + "\n";
  for (const std::string& warning : dataset.warnings) text += "warning: " + warning + "\n";
  for (const RejectedFile& file : inspection.bad) text += concat("bad: ", file.audio, ": ", file.reason, "\n");
  return text;
}

}  // namespace dcase
