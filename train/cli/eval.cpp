/// dcasenet eval: a model on the held-out part of data sets.

#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/files.hpp"
#include "train/cli/app.hpp"
#include "train/cli/averages.hpp"
#include "train/cli/decision_options.hpp"
#include "train/cli/evaluation_report.hpp"
#include "train/cli/exit_codes.hpp"
#include "train/cli/interrupt.hpp"
#include "train/cli/score_common.hpp"
#include "train/cli/sources.hpp"
#include "train/cli/verbs.hpp"
#include "train/run_origin.hpp"

namespace dcase::cli {
namespace {

struct Options {
  std::string model, asc, tag, sed;
  std::string part = "test";
  SourceOptions source;
  std::string metrics = "standard";
  DecisionOptions decisions;
  std::string tune, objective = "segment-f1";
  double offset_share = 0.5;
  bool sed_eval_compat = false;
  std::string bn_stats;
  std::string json;
};

Split parse_part(const std::string& text) {
  for (const Split split : {Split::kTrain, Split::kValid, Split::kTest}) {
    if (text == split_name(split)) return split;
  }
  fail(ErrorKind::kUsage, "--part takes train, valid or test, not \"", text, "\"");
}

EvaluateOptions evaluate_options(const Options& o) {
  EvaluateOptions e{.split = parse_part(o.part)};
  e.decisions.thresholds = {0.5};
  e.undefined = o.sed_eval_compat ? UndefinedRule::kSedEval : UndefinedRule::kStandard;
  e.events.undefined = e.undefined;
  e.events.offset_share = o.offset_share;
  e.psds = true;
  return e;
}

Model load_model(const Options& o, const BackendPtr& backend) {
  Model model = Model::load(o.model, backend);
  if (o.bn_stats.empty()) return model;
  const BnStats mode = value_of(kBnStatsWords, o.bn_stats, "--bn-stats");
  if (mode != BnStats::kShared) need_task_averages(model, "--bn-stats " + o.bn_stats, o.model);
  model.set_bn_stats(mode);
  return model;
}

// Decisions of the command line, of a file, or chosen now on the validation part. `content` keeps the file or what was
// chosen.
void set_decisions(const Options& o, const Session& session, const TaskSource& source, bool reference,
                   EvaluateOptions& options, DecisionFile& content) {
  const Task task = source.task;
  if (task == Task::kAsc) return;
  DecisionOptions given = o.decisions;
  if (!given.file.empty() && read_decisions(given.file).task != task) return;  // of the other task
  // The threshold and the filters of the command line are those of sound events.
  if (task == Task::kTag && given.file.empty()) given = {};
  // The released code decides at 0.3; 0.5 is everybody's default.
  DecisionRules rules = decision_rules(given, reference && task == Task::kSed ? 0.3 : 0.5,
                                       session.model().info().labels[task], task, &content);
  if (!o.tune.empty()) {
    EvaluateOptions tuning = options;
    tuning.decisions = rules;
    content = tune(session, source, tuning, value_of(kTuningObjectiveWords, o.objective, "--objective"));
    content.system = o.model;
    atomic_write(o.tune, write_decisions(content));
    rules = content.rules;
  }
  if (task == Task::kTag) {
    options.tag_thresholds = rules.thresholds;
  } else {
    // Options are for the scores that are printed.
    (reference ? options.reference_decisions : options.decisions) = std::move(rules);
  }
  if (!content.recordings.empty()) options.tuned = &content;
}

void check_tuning(const Options& o) {
  if (o.tune.empty()) return;
  if (parse_part(o.part) == Split::kValid) {
    fail(ErrorKind::kUsage, "--tune-thresholds chooses on the validation part, so --part valid cannot be reported");
  }
  if (!o.decisions.file.empty()) fail(ErrorKind::kUsage, "--tune-thresholds and --decisions exclude each other");
  if (o.tag.empty() == o.sed.empty()) {
    fail(ErrorKind::kUsage,
         "--tune-thresholds needs --tag or --sed, one at a time: it writes the thresholds of one task");
  }
}

int eval(const Options& o, Environment& environment) {
  const InterruptScope interrupt;
  if (o.metrics != "standard" && o.metrics != "reference") {
    fail(ErrorKind::kUsage, "--metrics takes standard or reference, not \"", o.metrics, "\"");
  }
  const bool reference = o.metrics == "reference";
  check_tuning(o);
  EvaluateOptions options = evaluate_options(o);
  const Session session(std::make_shared<const Model>(load_model(o, environment.backend())));
  nlohmann::ordered_json json = {{"model", o.model},
                                 {"bn_stats", bn_stats_name(session.model().info().bn_stats)},
                                 {"run", run_origin(session.model().info().metadata)},
                                 {"metrics", o.metrics},
                                 {"tasks", nlohmann::ordered_json::array()}};
  bool any = false;
  for (const Task task : {Task::kAsc, Task::kTag, Task::kSed}) {
    const std::string& root = task == Task::kAsc ? o.asc : task == Task::kTag ? o.tag : o.sed;
    if (root.empty()) continue;
    any = true;
    SourceOptions source_options = o.source;
    source_options.request.root = root;
    // Of the other tasks a manifest may hold classes that the model was never trained on.
    source_options.request.labels[task] = session.model().info().labels[task];
    source_options.cache.threads = environment.threads;
    const TaskSource source = open_source(task, source_options, environment.console);
    std::optional<Progress> progress;
    std::int64_t shown = 0;
    options.progress = [&](std::int64_t done, std::int64_t total) {
      interrupt.check();
      if (!progress) progress.emplace(environment.console, std::string(task_name(task)) + " " + o.part, total);
      progress->advance(done - shown);
      shown = done;
    };
    DecisionFile content;
    options.tuned = nullptr;
    set_decisions(o, session, source, reference, options, content);
    progress.reset();
    shown = 0;
    const Evaluation evaluation = evaluate(session, source, options);
    progress.reset();
    std::cout << evaluation_text(evaluation, reference) << "\n";
    nlohmann::ordered_json entry = to_json(evaluation);
    if (!content.tuned.empty()) {
      entry["tuned"] = origin_json(content);
    }
    json["tasks"].push_back(std::move(entry));
  }
  if (!any) fail(ErrorKind::kUsage, "eval needs at least one of --asc, --tag and --sed with the folder of a data set");
  if (!o.json.empty()) atomic_write(o.json, json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  return kExitOk;
}

}  // namespace

void add_eval(Program& program) {
  auto o = std::make_shared<Options>();
  CLI::App& verb = program.add("eval", "scores of a model on the test part of data sets",
                               [o](Environment& e) { return eval(*o, e); });
  verb.add_option("-m,--model", o->model, "model file (.safetensors)")->required();
  verb.add_option("--asc", o->asc, "data set of scenes (folder or manifest)");
  verb.add_option("--tag", o->tag, "data set of tags");
  verb.add_option("--sed", o->sed, "data set of sound events");
  verb.add_option("--bn-stats", o->bn_stats,
                  "shared, pooled or per-task: averages that batch norm evaluates with (default: the model's)");
  verb.add_option("--part", o->part, "train, valid or test")->capture_default_str();
  add_reader_options(verb, o->source.request);
  verb.add_option("--metrics", o->metrics, "standard, or reference: what the released code computes")
      ->capture_default_str();
  add_decision_options(verb, o->decisions, "0.5, with --metrics reference 0.3");
  verb.add_option("--tune-thresholds", o->tune,
                  "choose a threshold a class on the validation part, write them to FILE and report with them");
  verb.add_option("--objective", o->objective, "of tuning sound events: segment-f1 or event-f1")->capture_default_str();
  verb.add_option("--offset-share", o->offset_share,
                  "tolerance of event offsets as a share of the length (DCASE Task 4: 0.2)")
      ->capture_default_str();
  verb.add_flag("--sed-eval-compat", o->sed_eval_compat, "undefined class scores as in the sed_eval package");
  add_cache_options(verb, o->source);
  verb.add_option("--json", o->json, "write everything as JSON to FILE");
}

}  // namespace dcase::cli
