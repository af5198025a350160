#pragma once
/// What will be rendered, decided before a sample is touched: tables as text, audio as functions to be run in any order
/// on any number of threads.

#include <functional>
#include <string>
#include <vector>

#include "train/minidata/clips.hpp"
#include "train/minidata/render.hpp"
#include "train/minidata/signal.hpp"

namespace dcase::minidata {

struct TextFile {
  std::string path;  // relative to the output folder
  std::string text;
};

struct WavFile {
  std::string path;
  int rate = kClipRate;
  std::function<std::vector<Signal>()> channels;  // thread-safe; reads the clips
};

struct Plan {
  std::vector<TextFile> tables;
  std::vector<WavFile> wavs;
};

/// Each appends one data set and its counts. Throws kData when the clips lack what the set needs.
void plan_asc(const std::vector<Clip>& clips, const MinidataOptions& options, Plan& plan, MinidataReport& report);
void plan_tag(const std::vector<Clip>& clips, const MinidataOptions& options, Plan& plan, MinidataReport& report);
void plan_sed(const std::vector<Clip>& clips, const MinidataOptions& options, Plan& plan, MinidataReport& report);

/// `count` at the scale of the options, at least `least`.
[[nodiscard]] std::int64_t scaled_count(std::int64_t count, const MinidataOptions& options, std::int64_t least = 1);

/// Distinct labels of a role, sorted.
[[nodiscard]] std::vector<std::string> labels_of(const std::vector<Clip>& clips, std::string_view role);

/// select_clips, but kData where there is none.
[[nodiscard]] std::vector<const Clip*> need_clips(const std::vector<Clip>& clips, std::string_view role,
                                                  std::string_view label, std::string_view split);

}  // namespace dcase::minidata
