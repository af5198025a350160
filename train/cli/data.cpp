/// dcasenet data: what a data set holds, its preparation, and the small sets that come with the project.

#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "train/cli/app.hpp"
#include "train/cli/exit_codes.hpp"
#include "train/cli/interrupt.hpp"
#include "train/cli/sources.hpp"
#include "train/cli/verbs.hpp"
#include "train/data/audio_file.hpp"
#include "train/data/inspect.hpp"
#include "train/minidata/render.hpp"

namespace dcase::cli {
namespace {

struct InspectOptions {
  DataRequest request;
  bool json = false;
};

// Header only, or everything.
AudioFacts facts_of(const std::string& path, bool decode) {
  AudioInfo info = audio_info(path);
  if (!decode) {
    return {.channels = info.channels,
            .sample_rate = static_cast<double>(info.sample_rate),
            .seconds = static_cast<double>(info.frames) / info.sample_rate};
  }
  AudioStream stream(path, {.channels = {.mode = ChannelRule::Mode::kMix}});
  std::vector<std::vector<float>> block(1);
  std::int64_t samples = 0;
  while (stream.read(block)) {
    samples += static_cast<std::int64_t>(block[0].size());
    block[0].clear();
  }
  return {.channels = info.channels,
          .sample_rate = static_cast<double>(info.sample_rate),
          .seconds = static_cast<double>(samples) / AudioOptions{}.sample_rate};
}

nlohmann::ordered_json to_json(const Dataset& dataset, const Inspection& i) {
  const auto part = [](const SplitSummary& s) {
    return nlohmann::ordered_json{{"items", s.items}, {"seconds", s.seconds}};
  };
  nlohmann::ordered_json j = {{"name", dataset.name},        {"root", dataset.root},
                              {"listed", i.listed},          {"found", i.found},
                              {"readable", i.readable},      {"used", i.used},
                              {"train", part(i.train)},      {"valid", part(i.valid)},
                              {"test", part(i.test)},        {"shortest_seconds", i.shortest},
                              {"longest_seconds", i.longest}};
  for (const Task task : kAllTasks) {
    for (const ClassSummary& c : i.classes[static_cast<std::size_t>(task)]) {
      j["classes"][task_name(task)].push_back(
          {{"name", c.name}, {"train", c.train}, {"valid", c.valid}, {"test", c.test}});
    }
  }
  j["bad"] = nlohmann::ordered_json::array();
  for (const RejectedFile& bad : i.bad) j["bad"].push_back({{"file", bad.audio}, {"reason", bad.reason}});
  return j;
}

int inspect_verb(const InspectOptions& options, bool decode, Environment& environment) {
  const InterruptScope interrupt;
  const Dataset dataset = open_dataset(options.request);
  Progress progress(environment.console, decode ? "decode" : "headers",
                    static_cast<std::int64_t>(dataset.items.size()));
  const Inspection result = inspect(dataset, [&](const std::string& path) {
    interrupt.check();
    progress.advance(1);
    return facts_of(path, decode);
  });
  if (options.json) {
    std::cout << to_json(dataset, result).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  } else {
    std::cout << to_text(dataset, result);
  }
  return result.bad.empty() ? kExitOk : kExitFailed;
}

int prepare_verb(SourceOptions source, Environment& environment) {
  const InterruptScope interrupt;
  source.cache.threads = environment.threads;
  const Dataset dataset = open_dataset(source.request);
  Task task = Task::kAsc;
  for (const Task t : kAllTasks) {
    if (!dataset.labels[t].empty()) task = t;
  }
  const TaskSource opened = open_source(task, source, environment.console);
  const CacheReport& r = opened.cache.report();
  fmt::print("{}: {} recordings, {:.1f} MB\n", cache_path(*opened.dataset, source.request, source.cache_folder),
             r.listed, static_cast<double>(opened.cache.bytes()) / 1e6);
  return r.bad.empty() ? kExitOk : kExitFailed;
}

struct RenderOptions {
  std::string clips;
  std::string output;
  MinidataOptions minidata;
};

int render_verb(const RenderOptions& options, Environment& environment) {
  const InterruptScope interrupt;
  std::optional<Progress> progress;
  std::int64_t shown = 0;
  const MinidataReport r =
      render_minidata(options.clips, options.output, options.minidata, [&](const MinidataProgress& p) {
        interrupt.check();
        if (!progress) progress.emplace(environment.console, "render", p.total);
        progress->advance(p.done - shown, p.file);
        shown = p.done;
      });
  progress.reset();
  if (r.skipped) {
    environment.console.info(options.output + ": complete already");
  } else {
    environment.console.info(
        fmt::format("{}: {} files, {:.0f} MB (asc {} + {} segments, tag {} + {} clips, sed {} + {} + {} recordings)",
                    options.output, r.files, static_cast<double>(r.bytes) / 1e6, r.asc_train, r.asc_test, r.tag_train,
                    r.tag_test, r.sed_train, r.sed_valid, r.sed_test));
  }
  return kExitOk;
}

void add_inspect(Program& program, CLI::App& group, const char* name, const char* description, bool decode) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App& verb = program.add(group, name, description,
                               [options, decode](Environment& e) { return inspect_verb(*options, decode, e); });
  verb.add_option("DIR", options->request.root, "folder of the data set, or a manifest file")->required();
  add_reader_options(verb, options->request);
  verb.add_flag("--json", options->json, "as JSON");
}

}  // namespace

void add_data(Program& program) {
  CLI::App& group = program.add_group("data", "data sets: stats, verify, prepare, render");
  add_inspect(program, group, "stats", "recordings, durations and classes by part (reads headers)", false);
  add_inspect(program, group, "verify", "decodes every recording and names the bad ones", true);

  auto p = std::make_shared<SourceOptions>();
  CLI::App& prepare = program.add(group, "prepare", "decodes and resamples everything once (training does it too)",
                                  [p](Environment& e) { return prepare_verb(*p, e); });
  prepare.add_option("DIR", p->request.root, "folder of the data set, or a manifest file")->required();
  add_reader_options(prepare, p->request);
  add_cache_options(prepare, *p);
  prepare.add_flag("--float32", p->cache.float32, "store float samples instead of 16-bit ones");

  auto r = std::make_shared<RenderOptions>();
  CLI::App& render = program.add(group, "render", "the three small sets of real recordings that come with the project",
                                 [r](Environment& e) { return render_verb(*r, e); });
  render.add_option("--clips", r->clips, "folder of clips.csv")->required();
  render.add_option("-o,--output", r->output, "folder to create")->required();
  render.add_option("--seed", r->minidata.seed, "of the mixtures")->capture_default_str();
  render.add_option("--scale", r->minidata.scale, "factor on the number of files")->capture_default_str();
  render.add_option("--rate", r->minidata.rate, "24000 or 44100 Hz, of scenes and tags")->capture_default_str();
  render.add_flag("--replace", r->minidata.replace, "replace a rendering with other options");
}

}  // namespace dcase::cli
