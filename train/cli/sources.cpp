#include "train/cli/sources.hpp"

#include <fmt/format.h>

#include <memory>
#include <optional>

namespace dcase::cli {
namespace {

void report(const CacheReport& r, const std::string& what, Console& console) {
  if (r.decoded > 0) {
    std::string line = fmt::format("{}: {} recordings prepared, {} as they were", what, r.decoded, r.reused);
    const auto add = [&](std::int64_t count, const char* text) {
      if (count > 0) line += fmt::format(", {} {}", count, text);
    };
    add(r.resampled, "resampled");
    add(r.downmixed, "downmixed");
    add(r.floating, "of float samples");
    add(r.bits24, "of 24 bit");
    console.info(line);
  }
  for (const std::string& note : r.notes) console.info(what + ": " + note);
  for (const BadFile& bad : r.bad) console.warn(fmt::format("{}: skipped {}: {}", what, bad.path, bad.reason));
  for (const std::string& path : r.silent) console.warn(fmt::format("{}: {} is silent", what, path));
  if (r.clipping > 0) console.warn(fmt::format("{}: {} recordings exceed full scale", what, r.clipping));
}

template <class Value, std::size_t Count>
void add_word(CLI::App& verb, const char* name, Value& value, const Words<Value, Count>& words,
              const std::string& description) {
  const auto set = [&value, &words, name](const std::string& word) { value = value_of(words, word, name); };
  verb.add_option_function<std::string>(name, set, description + " (" + list_of(words) + ")")
      ->default_str(word_of(words, value));
}

}  // namespace

TaskSource open_source(Task task, const SourceOptions& options, Console& console) {
  const std::string what = task_name(task);
  auto dataset = std::make_shared<const Dataset>(open_dataset(options.request));
  for (const std::string& note : dataset->notes) console.info(what + ": " + note);
  for (const std::string& warning : dataset->warnings) console.warn(what + ": " + warning);
  std::optional<Progress> progress;
  std::int64_t shown = 0;
  PcmCache cache = prepare_cache(*dataset, cache_path(*dataset, options.request, options.cache_folder), options.cache,
                                 [&](const CacheProgress& p) {
                                   if (!progress && p.total > 0) progress.emplace(console, what + " audio", p.total);
                                   if (progress) progress->advance(p.done - shown, p.current);
                                   shown = p.done;
                                 });
  progress.reset();
  report(cache.report(), what, console);
  return {.task = task, .dataset = std::move(dataset), .cache = std::move(cache)};
}

void add_reader_options(CLI::App& verb, DataRequest& request) {
  ReaderOptions& o = request.reader;
  add_word(verb, "--layout", request.layout, kLayoutWords, "what the folder holds");
  add_word(verb, "--selection", o.selection, kSelectionWords,
           "validation, or as the paper: nothing is held out for validation");
  add_word(verb, "--tag-eval", o.tag_evaluation, kTagEvaluationWords, "FSDKaggle2019: what is reported");
  add_word(verb, "--sed-audio", o.sed_audio, kSedAudioWords, "TAU-NIGENS: which recordings");
  add_word(verb, "--sed-columns", o.sed_columns, kSedColumnsWords,
           "TAU-NIGENS: columns of the metadata after frame and class");
  verb.add_option("--events-table", o.events_table,
                  "CSV manifest: its table of events (default: <stem>_events.csv beside it)");
  verb.add_option("--valid-folds", o.valid_folds, "manifest: folds that choose the best step, like 2,3")
      ->delimiter(',')
      ->check(CLI::NonNegativeNumber);
  verb.add_option("--test-folds", o.test_folds, "manifest: folds that are reported")
      ->delimiter(',')
      ->check(CLI::NonNegativeNumber);
  verb.add_flag("--allow-outside", o.allow_outside, "manifest: recordings may lie outside its folder");
}

void add_cache_options(CLI::App& verb, SourceOptions& source) {
  verb.add_option("--cache", source.cache_folder, "folder of the prepared audio (default: .dcasenet inside the set)");
  add_word(verb, "--on-bad-file", source.cache.on_bad_file, kBadFilePolicyWords, "name all and stop, or skip them");
}

}  // namespace dcase::cli
