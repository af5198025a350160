#include "train/config/presets.hpp"

#include <algorithm>

#include "dcasenet/labels.hpp"  // nearest_name
#include "kernels/common/error.hpp"

namespace dcase {
namespace {

constexpr double kNone = PaperScores::kNone;

constexpr TaskSet kAscTag = TaskSet(Task::kAsc) | Task::kTag;
constexpr TaskSet kAscSed = TaskSet(Task::kAsc) | Task::kSed;
constexpr TaskSet kTagSed = TaskSet(Task::kTag) | Task::kSed;

// One row of Table 3: joint training on the left, fine-tuning of each of its tasks on the right.
struct JointRow {
  TaskSet tasks;
  PaperScores joint, tuned;
};

// One system: its row of Table 2 and its block of Table 3, as printed: accuracy, lwlrap, F1, ER.
struct System {
  const char* name;
  int version;
  bool mixup;
  PaperScores single;
  std::array<JointRow, 4> rows;
};

constexpr std::array<System, 4> kSystems = {{
    {"v1-nomixup",
     1,
     false,
     {67.68, 68.01, 74.80, 0.3486},
     {{{kAscTag, {59.23, 53.55, kNone, kNone}, {67.18, 68.81, kNone, kNone}},
       {kAscSed, {57.04, kNone, 64.75, 0.4939}, {66.84, kNone, 75.86, 0.3365}},
       {kTagSed, {kNone, 71.91, 74.66, 0.3597}, {kNone, 73.39, 77.80, 0.3153}},
       {TaskSet::all(), {56.13, 59.25, 59.82, 0.5367}, {67.08, 71.80, 75.71, 0.3470}}}}},
    {"v1",
     1,
     true,
     {68.19, 69.41, 79.62, 0.2926},
     {{{kAscTag, {55.19, 59.53, kNone, kNone}, {67.08, 70.56, kNone, kNone}},
       {kAscSed, {60.27, kNone, 63.42, 0.5097}, {68.73, kNone, 78.31, 0.3079}},
       {kTagSed, {kNone, 75.18, 75.27, 0.3645}, {kNone, 74.83, 78.93, 0.2963}},
       {TaskSet::all(), {57.01, 65.22, 66.99, 0.4764}, {68.59, 71.64, 78.06, 0.3238}}}}},
    {"v2",
     2,
     true,
     {69.54, 69.19, 79.34, 0.3085},
     {{{kAscTag, {58.92, 60.00, kNone, kNone}, {69.87, 69.68, kNone, kNone}},
       {kAscSed, {58.79, kNone, 69.53, 0.4416}, {69.07, kNone, 78.98, 0.3058}},
       {kTagSed, {kNone, 74.54, 76.46, 0.3571}, {kNone, 74.76, 81.32, 0.2826}},
       {TaskSet::all(), {59.80, 62.94, 66.67, 0.4817}, {69.57, 71.38, 79.26, 0.2968}}}}},
    {"v3",
     3,
     true,
     {68.33, 70.62, 78.61, 0.3085},
     {{{kAscTag, {61.08, 65.03, kNone, kNone}, {70.35, 71.42, kNone, kNone}},
       {kAscSed, {59.70, kNone, 75.62, 0.3512}, {69.44, kNone, 79.61, 0.2948}},
       {kTagSed, {kNone, 76.23, 77.93, 0.3232}, {kNone, 75.99, 79.28, 0.2958}},
       {TaskSet::all(), {56.80, 70.40, 75.19, 0.3586}, {69.37, 74.59, 78.80, 0.3185}}}}},
}};

// The figures of one task out of a row.
PaperScores only(const PaperScores& row, Task task) {
  PaperScores scores;
  if (task == Task::kAsc) scores.accuracy = row.accuracy;
  if (task == Task::kTag) scores.lwlrap = row.lwlrap;
  if (task == Task::kSed) {
    scores.f1 = row.f1;
    scores.error_rate = row.error_rate;
  }
  return scores;
}

std::vector<Preset> make_presets() {
  std::vector<Preset> all;
  for (const System& system : kSystems) {
    for (const Preset::Batches batches : {Preset::Batches::kPaper, Preset::Batches::kCode}) {
      const auto add = [&](Preset::Kind kind, TaskSet tasks, TaskSet init_tasks, const PaperScores& published) {
        all.push_back({.system = system.name,
                       .version = system.version,
                       .mixup = system.mixup,
                       .kind = kind,
                       .tasks = tasks,
                       .init_tasks = init_tasks,
                       .batches = batches,
                       .published = published});
      };
      for (const Task task : kAllTasks) add(Preset::Kind::kSingle, task, {}, only(system.single, task));
      for (const JointRow& row : system.rows) add(Preset::Kind::kJoint, row.tasks, {}, row.joint);
      for (const JointRow& row : system.rows) {
        for (const Task task : kAllTasks) {
          if (row.tasks.has(task)) add(Preset::Kind::kTune, task, row.tasks, only(row.tuned, task));
        }
      }
    }
  }
  return all;
}

}  // namespace

std::string task_set_text(TaskSet tasks) {
  std::string text;
  for (const Task task : kAllTasks) {
    if (tasks.has(task)) text.append(text.empty() ? "" : "+").append(task_name(task));
  }
  return text;
}

std::string Preset::name() const {
  const char* const variant = batches == Batches::kCode ? "@code" : "";
  switch (kind) {
    case Kind::kSingle:
      return concat(system, "-single-", task_set_text(tasks), variant);
    case Kind::kJoint:
      return concat(system, "-joint-", task_set_text(tasks), variant);
    case Kind::kTune:
      return concat(system, "-tune-", task_set_text(tasks), "-from-", task_set_text(init_tasks), variant);
  }
  fail(ErrorKind::kArgument, "preset: unknown kind");
}

std::string Preset::init_name() const {
  Preset joint = *this;
  joint.kind = Kind::kJoint;
  joint.tasks = init_tasks;
  return joint.name();
}

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all = make_presets();
  return all;
}

const Preset& find_preset(const std::string& name) {
  std::vector<std::string> names;
  for (const Preset& preset : presets()) {
    names.push_back(preset.name());
    if (names.back() == name) return preset;
  }
  const std::string nearest = nearest_name(name, names);
  fail(ErrorKind::kUsage, "unknown preset ", in_quotes(name),
       nearest.empty() ? std::string() : "; did you mean " + nearest + "?", " dcasenet train --list-presets names all");
}

std::int64_t batch_size(Preset::Batches batches, Task task) {
  // Paper section 4.2; released trainer (docs/parity.md).
  constexpr std::array<std::int64_t, 3> kPaper = {32, 24, 32};  // in the order of Task: ASC, TAG, SED
  constexpr std::array<std::int64_t, 3> kCode = {32, 32, 24};
  return (batches == Preset::Batches::kPaper ? kPaper : kCode).at(static_cast<std::size_t>(task));
}

}  // namespace dcase
