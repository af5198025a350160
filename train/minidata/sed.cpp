// Events at known times over a real background, on a tetrahedral microphone array in the free field.

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numbers>

#include "kernels/common/error.hpp"
#include "train/minidata/plan.hpp"

namespace dcase::minidata {
namespace {

constexpr double kSeconds = 60;
constexpr int kFrames = 600;  // of 100 ms
// Longer recordings (ringtones, footsteps) enter in excerpts: else two classes would fill most of the minute, and a
// detector that always names the commonest would score well.
constexpr double kEventLevel = 0.05, kLongestEvent = 2.5;

/// Classes in the order of their numbers, with the clips' label. Names are the original's.
struct EventClass {
  const char *name, *label;
};
constexpr std::array<EventClass, 8> kClasses = {{{"crash", "Crash"},
                                                 {"female_scream", "Female_scream"},
                                                 {"female_speech", "Female_speech"},
                                                 {"footsteps", "Footsteps"},
                                                 {"knock", "Knock"},
                                                 {"male_scream", "Male_scream"},
                                                 {"male_speech", "Male_speech"},
                                                 {"phone", "Ringtone"}}};

/// Folds as in the original: 1 test, 2 validation, 3 - 6 training. The three groups share no recording.
struct Fold {
  int number;
  const char* split;
  std::int64_t mixes;
};
constexpr std::array<Fold, 6> kFolds = {
    {{1, "test", 4}, {2, "valid", 1}, {3, "train", 2}, {4, "train", 2}, {5, "train", 2}, {6, "train", 2}}};

struct Placed {
  const Clip* clip;
  std::int64_t at, start, length;  // samples
  double azimuth, elevation, gain;
};

struct Mix {
  std::vector<Placed> events;
  const Clip* background;
  std::int64_t background_start;
  std::array<std::int64_t, 4> shift;  // samples by which each channel's own part of the background is late
  double background_level;
};

/// Clips of every class of one split, each class in random order, dealt again when used up.
class Dealer {
 public:
  Dealer(const std::vector<Clip>& clips, const std::string& split) {
    for (const EventClass& c : kClasses) pool_.push_back(need_clips(clips, "event", c.label, split));
    hand_.resize(pool_.size());
  }
  /// Classes come in turns, in an order shuffled anew each round.
  std::pair<int, const Clip*> deal(Dice& dice) {
    if (order_.empty()) {
      for (std::size_t k = 0; k < pool_.size(); ++k) order_.push_back(static_cast<int>(k));
      dice.shuffle(order_);
    }
    const int k = order_.back();
    order_.pop_back();
    auto& hand = hand_[static_cast<std::size_t>(k)];
    if (hand.empty()) {
      hand = pool_[static_cast<std::size_t>(k)];
      dice.shuffle(hand);
    }
    const Clip* clip = hand.back();
    hand.pop_back();
    return {k, clip};
  }

 private:
  std::vector<std::vector<const Clip*>> pool_, hand_;
  std::vector<int> order_;
};

std::vector<Signal> render(const Mix& mix) {
  const std::int64_t n = samples_of(kSeconds, kClipRate);
  // The background, repeated with a cross-fade of a second where it is short.
  const Signal& source = mix.background->samples;
  const auto size = static_cast<std::int64_t>(source.size());
  const std::int64_t fade = std::min<std::int64_t>(kClipRate, size / 2), period = size - fade;
  Signal background(static_cast<std::size_t>(n));
  for (std::int64_t t = 0; t < n; ++t) {
    const std::int64_t p = (t + mix.background_start) % period;
    double v = source[static_cast<std::size_t>(p)];
    if (p < fade) {
      const double angle = 0.5 * std::numbers::pi * (static_cast<double>(p) + 0.5) / static_cast<double>(fade);
      v = v * std::sin(angle) + source[static_cast<std::size_t>(period + p)] * std::cos(angle);
    }
    background[static_cast<std::size_t>(t)] = static_cast<float>(v);
  }
  const double gain = mix.background_level / rms(background);
  std::vector<Signal> channels(4, Signal(static_cast<std::size_t>(n), 0.0F));
  for (std::size_t m = 0; m < 4; ++m) {
    // Diffuse: one half common to all channels, the other from elsewhere in the recording.
    add_at(channels[m], background, 0, gain * std::sqrt(0.5));
    const auto split = static_cast<std::size_t>(mix.shift[m]);
    const std::span<const float> whole(background);
    add_at(channels[m], whole.first(static_cast<std::size_t>(n) - split), mix.shift[m], gain * std::sqrt(0.5));
    add_at(channels[m], whole.last(split), 0, gain * std::sqrt(0.5));
  }
  for (const Placed& e : mix.events) {
    const auto begin = e.clip->samples.begin() + e.start;
    Signal x(begin, begin + e.length);
    fade_ends(x, samples_of(0.005, kClipRate));
    add_source(channels, x, e.at, e.azimuth, e.elevation, e.gain * kEventLevel / rms(x));
  }
  limit_peak(channels);
  return channels;
}

struct Row {
  int frame, label, track;
  int azimuth, elevation;
  friend auto operator<=>(const Row&, const Row&) = default;
};

/// Fills one track with events and gaps until the minute is over.
void fill_track(Dealer& dealer, Dice& dice, Mix& mix, std::vector<Row>& rows, int& number) {
  constexpr double kQuietEnd = 0.5;
  double t = dice.uniform(0.3, 2.5);
  while (true) {
    const auto [label, clip] = dealer.deal(dice);
    const double length = std::min(clip->offset - clip->onset, kLongestEvent);
    const std::int64_t start = samples_of(dice.uniform(clip->onset, clip->offset - length), kClipRate);
    const std::int64_t end =
        std::min(start + samples_of(length, kClipRate), static_cast<std::int64_t>(clip->samples.size()));
    const double seconds = static_cast<double>(end - start) / kClipRate;
    if (t + seconds > kSeconds - kQuietEnd) return;
    const int azimuth = static_cast<int>(dice.below(36)) * 10 - 170,
              elevation = static_cast<int>(dice.below(9)) * 10 - 40;
    mix.events.push_back({clip, samples_of(t, kClipRate), start, end - start, double(azimuth), double(elevation),
                          std::pow(10.0, dice.uniform(-6, 6) / 20)});
    const int first = static_cast<int>(std::lround(t * 10));
    const int last = std::max(first + 1, static_cast<int>(std::lround((t + seconds) * 10)));
    for (int f = first; f < std::min(last, kFrames); ++f) rows.push_back({f, label, number, azimuth, elevation});
    ++number;
    t += seconds + dice.uniform(0.3, 2.5);
  }
}

/// Recordings without any of the classes. Those of the market hold voices.
std::vector<const Clip*> backgrounds_of(const std::vector<Clip>& clips, const std::string& split) {
  auto chosen = need_clips(clips, "background", "", split);
  for (const char* scene : {"forest", "river", "seaside"}) {
    for (const Clip* clip : select_clips(clips, "scene", scene, split)) chosen.push_back(clip);
  }
  return chosen;
}

}  // namespace

void plan_sed(const std::vector<Clip>& clips, const MinidataOptions& options, Plan& plan, MinidataReport& report) {
  std::string classes = "index,name\n";
  for (std::size_t k = 0; k < kClasses.size(); ++k) classes += concat(k, ",", kClasses[k].name, "\n");
  plan.tables.push_back({"sed/classes.csv", classes});

  std::map<std::string, Dealer> dealers;
  std::map<std::string, std::vector<const Clip*>> unused;  // backgrounds of a split not heard yet
  for (const Fold& fold : kFolds) {
    // A minute takes 11.5 MB: small scales leave out folds 4 - 6, not a whole split.
    const std::int64_t count = scaled_count(fold.mixes, options, fold.number <= 3 ? 1 : 0);
    for (std::int64_t i = 1; i <= count; ++i) {
      const int polyphony = i % 2 == 1 ? 2 : 1;
      std::string digits = std::to_string(i);
      digits.insert(0, digits.size() < 3 ? 3 - digits.size() : 0, '0');
      const std::string name = concat("fold", fold.number, "_room1_mix", digits, "_ov", polyphony);
      Dice dice(options.seed, "minidata/sed/" + name);
      Dealer& dealer = dealers.try_emplace(fold.split, clips, fold.split).first->second;
      Mix mix{};
      std::vector<Row> rows;
      int number = 0;
      for (int track = 0; track < polyphony; ++track) fill_track(dealer, dice, mix, rows, number);
      auto& left = unused[fold.split];
      if (left.empty()) {
        left = backgrounds_of(clips, fold.split);
        dice.shuffle(left);
      }
      mix.background = left.back();
      left.pop_back();
      mix.background_start = static_cast<std::int64_t>(dice.below(mix.background->samples.size()));
      for (auto& shift : mix.shift) shift = static_cast<std::int64_t>(dice.uniform(1, 20) * kClipRate);
      mix.background_level = kEventLevel * std::pow(10.0, -dice.uniform(6, 24) / 20);
      plan.wavs.push_back({concat("sed/mic_dev/", name, ".wav"), kClipRate, [mix] { return render(mix); }});
      std::sort(rows.begin(), rows.end());
      std::string text;
      for (const Row& r : rows) {
        text += concat(r.frame, ",", r.label, ",", r.track, ",", r.azimuth, ",", r.elevation, "\n");
      }
      plan.tables.push_back({concat("sed/metadata_dev/", name, ".csv"), text});
      ++(fold.number == 1 ? report.sed_test : fold.number == 2 ? report.sed_valid : report.sed_train);
    }
  }
}

}  // namespace dcase::minidata
