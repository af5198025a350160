/// dcasenet predict: scene, tags and events of recordings.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "dcasenet/session.hpp"
#include "train/cli/app.hpp"
#include "train/cli/exit_codes.hpp"
#include "train/cli/interrupt.hpp"
#include "train/cli/prediction_report.hpp"
#include "train/cli/verbs.hpp"
#include "train/data/audio_file.hpp"

namespace dcase::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> inputs;
  std::string model;
  std::string json, csv, labels;
  std::vector<std::string> tasks;
  PredictionRules rules;
  double threshold = 0.5;
};

// Files as they are; folders by everything in them whose name looks like audio, sorted.
std::vector<std::string> expand(const std::vector<std::string>& inputs) {
  static const std::vector<std::string> kEndings = {".wav",  ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif",
                                                    ".aiff", ".aifc", ".au",  ".snd", ".caf",  ".w64", ".rf64"};
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
      std::string ending = it->path().extension().string();
      std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
      const bool audio = std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
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

int predict(Options& options, Environment& environment) {
  const InterruptScope interrupt;
  options.rules.decisions.thresholds = {options.threshold};
  TaskSet tasks;
  for (const std::string& task : options.tasks) tasks = tasks | parse_task(task);
  if (options.tasks.empty()) tasks = TaskSet::all();
  const std::vector<std::string> files = expand(options.inputs);
  const Session session(std::make_shared<const Model>(Model::load(options.model, environment.backend())));
  PredictionReport report(session.model().info().labels, options.rules,
                          {.json = options.json, .csv = options.csv, .labels = options.labels});

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
  verb.add_option("--top", options->rules.top_tags, "tags to list for each recording")->capture_default_str();
  verb.add_option("--threshold", options->threshold, "a sound event is active above this probability")
      ->capture_default_str();
  verb.add_option("--median", options->rules.decisions.median_frames,
                  "odd length of a median filter over 100 ms frames")
      ->capture_default_str();
  verb.add_option("--min-frames", options->rules.decisions.minimum_frames,
                  "shorter events (in 100 ms frames) are dropped")
      ->capture_default_str();
  verb.add_option("--close-gap", options->rules.decisions.close_gap_frames, "pauses up to this many frames are closed")
      ->capture_default_str();
  verb.add_option("--json", options->json, "write everything as JSON to FILE (- for the terminal)");
  verb.add_option("--csv", options->csv, "write one line for each scene, tag and event to FILE");
  verb.add_option("--labels", options->labels, "write Audacity labels NAME.txt for each recording into FOLDER");
}

}  // namespace dcase::cli
