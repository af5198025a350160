// Tags: every event recording once, excerpts of three scenes, and mixtures of two recordings that carry both labels.

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "kernels/common/error.hpp"
#include "train/data/resample.hpp"
#include "train/minidata/plan.hpp"

namespace dcase::minidata {
namespace {

constexpr std::int64_t kTrainExcerpts = 12, kTestExcerpts = 6;  // of a scene
constexpr std::int64_t kTrainMixtures = 120, kTestMixtures = 40;
constexpr double kShortestExcerpt = 1.5, kLongestExcerpt = 8;  // seconds
constexpr double kShortestFile = 0.3, kLongestFile = 30;       // of the original

const std::map<std::string, std::string> kTagOfEvent = {{"Female_scream", "Screaming"}, {"Male_scream", "Screaming"}};
const std::map<std::string, std::string> kTagOfScene = {
    {"forest", "Birdsong"}, {"river", "Stream"}, {"seaside", "Ocean_waves"}};
// Not mixed with each other: the one would be taken for the other.
const std::vector<std::set<std::string>> kAlike = {{"Ocean_waves", "Stream"},
                                                   {"Knock", "Footsteps", "Crash"},
                                                   {"Screaming", "Male_speech", "Female_speech"},
                                                   {"Cattle", "Sheep_goat"}};

struct Item {
  const Clip* clip;
  std::int64_t start, length;  // samples at kClipRate
};
using ItemsByTag = std::map<std::string, std::vector<Item>>;

Item whole(const Clip* clip) {
  const auto size = static_cast<std::int64_t>(clip->samples.size());
  return {clip, 0, std::min(size, samples_of(kLongestFile, kClipRate))};
}

Item excerpt(const Clip* clip, Dice& dice) {
  const double longest = std::min(kLongestExcerpt, clip->seconds());
  const double seconds = kShortestExcerpt * std::pow(longest / kShortestExcerpt, dice.uniform(0, 1));
  const std::int64_t length = samples_of(seconds, kClipRate);
  const std::int64_t room = static_cast<std::int64_t>(clip->samples.size()) - length;
  return {clip, static_cast<std::int64_t>(dice.uniform(0, static_cast<double>(std::max<std::int64_t>(room, 0)))),
          length};
}

Signal samples(const Item& item) {
  const auto begin = item.clip->samples.begin() + item.start;
  Signal x(begin, begin + std::min(item.length, static_cast<std::int64_t>(item.clip->samples.size()) - item.start));
  fade_ends(x, samples_of(0.01, kClipRate));
  return x;
}

std::vector<Signal> finished(Signal x, const MinidataOptions& options) {
  const auto shortest = static_cast<std::size_t>(samples_of(kShortestFile, kClipRate));
  if (x.size() < shortest) x.resize(shortest, 0.0F);
  if (options.rate != kClipRate) x = resample(x, kClipRate, options.rate);
  std::vector<Signal> out = {std::move(x)};
  limit_peak(out);
  return out;
}

/// Both at the same level but for `gap_db`, the shorter one somewhere within the longer.
struct Mixture {
  Item long_item, short_item;
  double place, gap_db;
};

std::vector<Signal> mixed(const Mixture& m, const MinidataOptions& options) {
  constexpr double kLevel = 0.05;  // -26 dBFS, that of the clips
  Signal x = samples(m.long_item);
  const Signal y = samples(m.short_item);
  const double gain = kLevel / rms(x);
  for (float& v : x) v = static_cast<float>(v * gain);
  const auto at = static_cast<std::int64_t>(m.place * static_cast<double>(x.size() - y.size()));
  add_at(x, y, at, kLevel / rms(y) * std::pow(10.0, m.gap_db / 20));
  return finished(std::move(x), options);
}

bool alike(const std::string& a, const std::string& b) {
  return a == b ||
         std::any_of(kAlike.begin(), kAlike.end(), [&](const auto& set) { return set.contains(a) && set.contains(b); });
}

/// Two classes drawn evenly, so that rare ones gain; then an item of each. Nothing where the lengths do not suit.
bool draw_mixture(const ItemsByTag& items, const std::vector<std::string>& tags, Dice& dice, Mixture& mixture,
                  std::pair<std::string, std::string>& labels) {
  labels = std::minmax(tags[dice.below(tags.size())], tags[dice.below(tags.size())]);
  if (alike(labels.first, labels.second)) return false;
  const auto& first = items.at(labels.first);
  const auto& second = items.at(labels.second);
  Item a = first[dice.below(first.size())], b = second[dice.below(second.size())];
  if (a.length < b.length) std::swap(a, b);
  mixture = {a, b, dice.uniform(0, 1), dice.uniform(-5, 5)};
  constexpr std::int64_t kLongestRatio = 6;  // a click in half a minute is no fair label
  return a.length <= kLongestRatio * b.length;
}

/// Eight hexadecimal digits, as in the original, each once.
std::string file_name(Dice& dice, std::set<std::string>& taken) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  while (true) {
    std::uint32_t word = dice.word();
    std::string name;
    for (int i = 0; i < 8; ++i, word >>= 4U) name += kDigits[word & 15U];
    if (taken.insert(name).second) return name + ".wav";
  }
}

ItemsByTag items_of(const std::vector<Clip>& clips, bool training, const MinidataOptions& options) {
  ItemsByTag items;
  for (const Clip* clip : select_clips(clips, "event", "", "")) {
    if ((clip->split == "test") == training) continue;
    const auto tag = kTagOfEvent.find(clip->label);
    items[tag == kTagOfEvent.end() ? clip->label : tag->second].push_back(whole(clip));
  }
  for (const auto& [scene, tag] : kTagOfScene) {
    const auto parts = need_clips(clips, "scene", scene, training ? "train" : "test");
    Dice dice(options.seed, concat("minidata/tag/", scene, training ? "/train" : "/test"));
    const std::int64_t count = scaled_count(training ? kTrainExcerpts : kTestExcerpts, options);
    for (std::int64_t i = 0; i < count; ++i) {
      items[tag].push_back(excerpt(parts[static_cast<std::size_t>(i) % parts.size()], dice));
    }
  }
  for (auto& [tag, list] : items) {  // a small scale takes fewer recordings of each class
    const auto keep = static_cast<std::size_t>(scaled_count(static_cast<std::int64_t>(list.size()), options));
    if (keep < list.size()) list.resize(keep);
  }
  return items;
}

}  // namespace

void plan_tag(const std::vector<Clip>& clips, const MinidataOptions& options, Plan& plan, MinidataReport& report) {
  std::set<std::string> names, taken;
  Dice name_dice(options.seed, "minidata/tag/names");
  std::map<std::string, std::string> rows[2];  // file -> labels, of train and test
  for (const bool training : {true, false}) {
    const std::string folder = training ? "train_curated/" : "test/";
    auto& listing = rows[training ? 0 : 1];
    const ItemsByTag items = items_of(clips, training, options);
    std::vector<std::string> tags;
    for (const auto& [tag, list] : items) {
      tags.push_back(tag);
      names.insert(tag);
      for (const Item& item : list) {
        const std::string file = file_name(name_dice, taken);
        listing[file] = tag;
        plan.wavs.push_back(
            {"tag/" + folder + file, options.rate, [item, options] { return finished(samples(item), options); }});
      }
    }
    Dice dice(options.seed, training ? "minidata/tag/mixtures/train" : "minidata/tag/mixtures/test");
    std::int64_t left = scaled_count(training ? kTrainMixtures : kTestMixtures, options);
    for (int tries = 0; left > 0; ++tries) {
      if (tries > 100000) fail(ErrorKind::kData, "clips.csv: no two event clips suit each other for a mixture");
      Mixture mixture;
      std::pair<std::string, std::string> labels;
      if (!draw_mixture(items, tags, dice, mixture, labels)) continue;
      const std::string file = file_name(name_dice, taken);
      listing[file] = concat('"', labels.first, ",", labels.second, '"');
      plan.wavs.push_back(
          {"tag/" + folder + file, options.rate, [mixture, options] { return mixed(mixture, options); }});
      --left;
    }
  }
  report.tag_train = static_cast<std::int64_t>(rows[0].size());
  report.tag_test = static_cast<std::int64_t>(rows[1].size());

  std::string train = "fname,labels\n", test = "fname,labels,usage\n", submission = "fname";
  for (const std::string& name : names) submission += "," + name;
  submission += "\n";
  for (const auto& [file, labels] : rows[0]) train += concat(file, ",", labels, "\n");
  int row = 0;
  for (const auto& [file, labels] : rows[1]) {
    test += concat(file, ",", labels, row++ % 4 == 0 ? ",Public\n" : ",Private\n");
    submission += file;
    for (std::size_t k = 0; k < names.size(); ++k) submission += ",0";
    submission += "\n";
  }
  plan.tables.push_back({"tag/train_curated.csv", train});
  plan.tables.push_back({"tag/test_post_competition.csv", test});
  plan.tables.push_back({"tag/sample_submission.csv", submission});
}

}  // namespace dcase::minidata
