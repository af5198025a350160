#include "train/cli/sources.hpp"

#include <fmt/format.h>

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

BadFilePolicy parse_bad_file_policy(const std::string& text) {
  if (text == "stop") return BadFilePolicy::kStop;
  if (text == "skip") return BadFilePolicy::kSkip;
  fail(ErrorKind::kUsage, "--on-bad-file takes stop or skip, not \"", text, "\"");
}

}  // namespace dcase::cli
