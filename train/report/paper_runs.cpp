#include "train/report/paper_runs.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "dcasenet/labels.hpp"
#include "engine/files.hpp"
#include "kernels/common/error.hpp"
#include "train/run_origin.hpp"

namespace dcase {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kLargestFile = std::uint64_t{64} << 20U;

json read_object(const std::string& path) {
  // Nothing of ours is nested deeper; quoting it in a message would exhaust the stack.
  const auto shallow = [](int depth, json::parse_event_t, const json&) { return depth < 32; };
  json value = json::parse(read_file(path, kLargestFile), shallow, false);
  if (!value.is_object()) fail(ErrorKind::kData, path, ": no JSON object");
  return value;
}

// object[a][b].., or null.
const json& at(const json& object, std::initializer_list<const char*> path) {
  static const json kNull;
  const json* value = &object;
  for (const char* name : path) {
    if (!value->is_object() || !value->contains(name)) return kNull;
    value = &(*value)[name];
  }
  return *value;
}

// NaN for what is not there or undefined (null).
double number(const json& object, std::initializer_list<const char*> path, double scale) {
  const json& value = at(object, path);
  return value.is_number() ? value.get<double>() * scale : PaperScores::kNone;
}

// The run that {"preset", "changes", "seed"} name; nothing where that is no experiment of the paper.
std::optional<PaperRun> run_of(const json& origin, const std::string& source) {
  const json& preset = at(origin, {"preset"});
  const json& seed = at(origin, {"seed"});
  const json& changes = at(origin, {"changes"});
  if (!preset.is_string() || preset.get_ref<const std::string&>().empty() || !seed.is_number_unsigned())
    return std::nullopt;
  PaperRun run{.preset = preset.get<std::string>(), .seed = seed.get<std::uint64_t>(), .source = source};
  static_cast<void>(find_preset(run.preset));
  for (const json& change : changes) {
    if (!change.is_string()) fail(ErrorKind::kData, source, ": run.changes is no list of texts");
    run.changes.push_back(change.get<std::string>());
  }
  return run;
}

std::optional<PaperRun> read_evaluation(const std::string& path, std::vector<std::string>& warnings) {
  const json evaluation = read_object(path);
  const json& tasks = at(evaluation, {"tasks"});
  if (!tasks.is_array()) fail(ErrorKind::kData, path, ": no evaluation as eval --json writes it: no list \"tasks\"");
  std::optional<PaperRun> run = run_of(at(evaluation, {"run"}), path);
  if (!run) {
    warnings.push_back(path + ": left out: its model does not say which preset and seed it was trained with");
    return run;
  }
  for (const json& task : tasks) {
    if (at(task, {"part"}) != "test") {
      fail(ErrorKind::kData, path, ": evaluates another part than the test part");
    }
    const json& name = at(task, {"task"});
    if (name == "asc") run->standard.accuracy = number(task, {"metrics", "accuracy_percent"}, 1);
    if (name == "tag") run->standard.lwlrap = number(task, {"metrics", "lwlrap"}, 100);
    if (name == "sed") {
      run->standard.f1 = number(task, {"segment_based", "f1"}, 100);
      run->standard.error_rate = number(task, {"segment_based", "error_rate"}, 1);
      run->reference.f1 = number(task, {"reference_code", "f1"}, 100);
      run->reference.error_rate = number(task, {"reference_code", "error_rate"}, 1);
    }
  }
  // Accuracy and lwlrap are defined alike.
  run->reference.accuracy = run->standard.accuracy;
  run->reference.lwlrap = run->standard.lwlrap;
  return run;
}

// What the last line of a run's log says, where it does not say that the run has come to its end.
std::string unfinished_state(const std::string& folder) {
  const std::string path = folder + "/log.jsonl";
  if (!fs::exists(path)) return "never started";
  std::string event;
  std::int64_t step = 0;
  const std::string text = read_file(path, kLargestFile);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const json line = json::parse(text.substr(begin, end - begin), nullptr, false);
    begin = end + 1;
    if (!at(line, {"event"}).is_string() || !at(line, {"step"}).is_number_integer()) continue;
    event = line["event"].get<std::string>();
    step = line["step"].get<std::int64_t>();
  }
  if (event == "finished") return "";
  return concat(event == "failed" ? "failed" : event == "stopped" ? "stopped" : "unfinished", " at step ", step);
}

void take(double& into, double value, const char* what, const PaperRun& a, const PaperRun& b) {
  if (std::isnan(value)) return;
  if (!std::isnan(into) && into != value) {
    fail(ErrorKind::kUsage, a.preset, " with seed ", a.seed, ": two values for ", what, ": ", into, " in ", a.source,
         ", ", value, " in ", b.source, "; give one of them");
  }
  into = value;
}

void take(PaperScores& into, const PaperScores& values, const PaperRun& a, const PaperRun& b) {
  take(into.accuracy, values.accuracy, "ASC accuracy", a, b);
  take(into.lwlrap, values.lwlrap, "TAG lwlrap", a, b);
  take(into.f1, values.f1, "SED F1", a, b);
  take(into.error_rate, values.error_rate, "SED ER", a, b);
}

class Reader {
 public:
  void read(const std::string& path) {
    std::error_code error;
    if (fs::is_directory(path, error)) {
      read_folder(path);
    } else if (const auto run = read_evaluation(path, result_.warnings)) {
      add(*run);
    }
  }

  PaperRuns finish() {
    for (PaperRun& run : result_.runs) {
      if (run.state.empty() && !complete(run)) run.state = kNotEvaluated;
    }
    const auto rank = [](const PaperRun& run) {
      const auto named = [&](const Preset& preset) { return preset.name() == run.preset; };
      return std::find_if(presets().begin(), presets().end(), named) - presets().begin();
    };
    std::stable_sort(result_.runs.begin(), result_.runs.end(), [&](const PaperRun& a, const PaperRun& b) {
      return std::pair(rank(a), a.seed) < std::pair(rank(b), b.seed);
    });
    return std::move(result_);
  }

 private:
  void read_folder(const std::string& folder) {
    const std::string config = folder + "/config.json";
    if (!fs::exists(config)) fail(ErrorKind::kData, folder, ": no run: there is no config.json");
    std::optional<PaperRun> run = run_of(json(run_origin_of(read_object(config), config)), folder);
    if (!run) {
      result_.warnings.push_back(folder + ": left out: it was not trained with a preset");
      return;
    }
    run->state = unfinished_state(folder);
    add(*run);
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("eval") && name.ends_with(".json")) files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
    for (const std::string& file : files) {
      const auto evaluated = read_evaluation(file, result_.warnings);
      if (!evaluated) continue;
      if (evaluated->preset != run->preset || evaluated->seed != run->seed) {
        fail(ErrorKind::kData, file, ": evaluates a model of another run (", evaluated->preset, ", seed ",
             evaluated->seed, ") than the folder's");
      }
      add(*evaluated);
    }
  }

  void add(const PaperRun& run) {
    for (PaperRun& known : result_.runs) {
      if (known.preset != run.preset) continue;
      if (known.changes != run.changes) {
        fail(ErrorKind::kUsage, known.source, " and ", run.source, ": both ", run.preset,
             ", with different configurations; they make no common figure");
      }
      if (known.seed != run.seed) continue;
      take(known.standard, run.standard, known, run);
      take(known.reference, run.reference, known, run);
      if (known.state.empty()) known.state = run.state;
      known.source += ", " + run.source;
      return;
    }
    result_.runs.push_back(run);
  }

  static bool complete(const PaperRun& run) {
    const TaskSet tasks = find_preset(run.preset).tasks;
    return (!tasks.has(Task::kAsc) || !std::isnan(run.standard.accuracy)) &&
           (!tasks.has(Task::kTag) || !std::isnan(run.standard.lwlrap)) &&
           (!tasks.has(Task::kSed) || !std::isnan(run.standard.error_rate));
  }

  PaperRuns result_;
};

}  // namespace

PaperRuns read_paper_runs(const std::vector<std::string>& paths) {
  Reader reader;
  for (const std::string& path : paths) reader.read(path);
  return reader.finish();
}

}  // namespace dcase
