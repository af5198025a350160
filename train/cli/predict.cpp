/// dcasenet predict: scene, tags and events of recordings.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dcasenet/session.hpp"
#include "train/cli/app.hpp"
#include "train/cli/decision_options.hpp"
#include "train/cli/exit_codes.hpp"
#include "train/cli/interrupt.hpp"
#include "train/cli/prediction_report.hpp"
#include "train/cli/verbs.hpp"
#include "train/data/audio_file.hpp"
#include "train/formats/recording_names.hpp"

namespace dcase::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> inputs;
  std::string model;
  std::vector<std::string> formats;
  std::string json, csv, labels;
  std::vector<std::string> tasks;
  int top_tags = 5;
  DecisionOptions decisions;
};

// Files as they are; folders by everything in them whose name looks like audio, sorted.
std::vector<std::string> expand(const std::vector<std::string>& inputs) {
  std::vector<std::string> files;
  for (const std::string& input : inputs) {
    std::error_code error;
    if (!fs::is_directory(input, error)) {
      files.push_back(input);
      continue;
    }
    std::vector<std::string> found;
    for (fs::recursive_directory_iterator it(input, fs::directory_options::skip_permission_denied, error), end;
         !error && it != end; it.increment(error)) {
      const bool audio = is_audio_ending(it->path().extension().string());
      const bool sidecar = it->path().filename().string().starts_with("._");  // macOS resource forks
      if (audio && !sidecar && it->is_regular_file(error)) found.push_back(it->path().string());
    }
    if (error) fail(ErrorKind::kIo, input, ": cannot be listed: ", error.message());
    if (found.empty()) fail(ErrorKind::kData, input, ": no audio file in this folder");
    std::sort(found.begin(), found.end());
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

Prediction predict_file(const std::string& path, const Session& session, TaskSet tasks,
                        const InterruptScope& interrupt) {
  AudioStream stream(path, {.sample_rate = session.mel().parameters().sample_rate});
  Predictor predictor(session, tasks);
  std::vector<std::vector<float>> block(1);
  while (stream.read(block)) {
    interrupt.check();
    predictor.push(block[0]);
    block[0].clear();
  }
  return predictor.finish();
}

// What --format, --json, --csv and --labels ask for: format and path.
std::vector<std::pair<OutputFormat, std::string>> outputs(const Options& options) {
  std::vector<std::pair<OutputFormat, std::string>> wanted;
  for (const std::string& text : options.formats) {
    const std::size_t equals = text.find('=');
    const OutputFormat format = value_of(kOutputFormatWords, text.substr(0, equals), "--format");
    wanted.emplace_back(format, equals == std::string::npos ? "-" : text.substr(equals + 1));
  }
  if (!options.json.empty()) wanted.emplace_back(OutputFormat::kJson, options.json);
  if (!options.csv.empty()) wanted.emplace_back(OutputFormat::kCsv, options.csv);
  if (!options.labels.empty()) wanted.emplace_back(OutputFormat::kAudacity, options.labels);
  return wanted;
}

std::vector<std::unique_ptr<OutputWriter>> make_writers(const std::vector<std::pair<OutputFormat, std::string>>& wanted,
                                                        TaskSet tasks, const LabelSets& labels, int top_tags) {
  if (std::count_if(wanted.begin(), wanted.end(), [](const auto& w) { return w.second == "-"; }) > 1) {
    fail(ErrorKind::kUsage,
         "--format: only one format can be written to the terminal; give the others a path: NAME=PATH");
  }
  std::vector<std::unique_ptr<OutputWriter>> writers;
  for (const auto& [format, path] : wanted) {
    const std::optional<Task> task = task_of(format);
    if (task && (!tasks.has(*task) || labels[*task].empty())) {
      fail(ErrorKind::kUsage, "--format ", word_of(kOutputFormatWords, format), " needs the task ", task_name(*task),
           labels[*task].empty() ? ", which the model does not have" : "; leave --task out or name it too");
    }
    if (path.empty())
      fail(ErrorKind::kUsage, "--format ", word_of(kOutputFormatWords, format), "=: no path behind the =");
    writers.push_back(make_writer(format, {.path = path, .labels = labels, .top_tags = top_tags}));
  }
  return writers;
}

int predict(const Options& options, Environment& environment) {
  const InterruptScope interrupt;
  TaskSet tasks;
  for (const std::string& task : options.tasks) tasks = tasks | parse_task(task);
  if (options.tasks.empty()) tasks = TaskSet::all();
  const std::vector<std::string> files = expand(options.inputs);
  const Session session(std::make_shared<const Model>(Model::load(options.model, environment.backend())));
  const LabelSets& labels = session.model().info().labels;
  PredictionRules rules{.top_tags = std::max(options.top_tags, 0)};
  if (!labels.sed.empty()) rules.decisions = decision_rules(options.decisions, 0.5, labels.sed, Task::kSed);
  const auto wanted = outputs(options);
  const bool terminal_taken = std::any_of(wanted.begin(), wanted.end(), [](const auto& w) { return w.second == "-"; });
  PredictionReport report(labels, rules, make_writers(wanted, tasks, labels, rules.top_tags), !terminal_taken);

  int bad = 0;
  {
    Progress progress(environment.console, "predict", static_cast<std::int64_t>(files.size()));
    for (const std::string& file : files) {
      try {
        report.add(file, predict_file(file, session, tasks, interrupt));
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::kData && error.kind() != ErrorKind::kIo && error.kind() != ErrorKind::kNumeric &&
            error.kind() != ErrorKind::kArgument) {
          throw;
        }
        if (files.size() == 1) throw;
        ++bad;
        report.add_failure(file, error.what());
        environment.console.error(error.what());
      }
      progress.advance(1);
    }
  }
  report.finish();
  if (bad > 0) environment.console.warn(fmt::format("{} of {} files could not be used", bad, files.size()));
  return bad > 0 ? kExitFailed : kExitOk;
}

}  // namespace

void add_predict(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& verb = program.add("predict", "scene, tags and sound events of recordings",
                               [options](Environment& e) { return predict(*options, e); });
  verb.add_option("FILE", options->inputs, "recordings (any length, rate and format libsndfile reads) or folders")
      ->required();
  verb.add_option("-m,--model", options->model, "model file (.safetensors)")->required();
  verb.add_option("--task", options->tasks, "asc, tag, sed; several allowed (default: all)");
  verb.add_option("--top", options->top_tags, "tags to list for each recording")->capture_default_str();
  add_decision_options(verb, options->decisions, "0.5");
  verb.add_option("--format", options->formats,
                  "NAME or NAME=PATH, several allowed: json, jsonl, csv, dcase-asc, dcase-tag, events (a file; without "
                  "PATH the terminal), dcase-sed, scores, audacity, raven (a folder)")
      ->allow_extra_args(false);  // the next word is a recording
  verb.add_option("--json", options->json, "the same as --format json=FILE");
  verb.add_option("--csv", options->csv, "the same as --format csv=FILE");
  verb.add_option("--labels", options->labels, "the same as --format audacity=FOLDER");
}

}  // namespace dcase::cli
