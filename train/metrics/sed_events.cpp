#include "train/metrics/sed_events.hpp"

#include <cmath>

#include "kernels/common/error.hpp"

namespace dcase {

namespace {

/// One class of a roll over time.
using Track = std::vector<std::uint8_t>;

/// Median of 0 and 1 over an odd window: the majority. The count is updated from frame to frame.
[[nodiscard]] Track median(const Track& x, std::int64_t length) {
  const auto frames = static_cast<std::int64_t>(x.size());
  const std::int64_t half = length / 2;
  const auto value = [&](std::int64_t t) {
    return std::int64_t{x[static_cast<std::size_t>(mirrored_index(t, frames))]};
  };
  Track y(x.size());
  std::int64_t ones = 0;
  for (std::int64_t t = -half; t <= half; ++t) ones += value(t);
  for (std::int64_t t = 0; t < frames; ++t) {
    y[static_cast<std::size_t>(t)] = ones > half ? 1 : 0;
    ones += value(t + half + 1) - value(t - half);
  }
  return y;
}

/// Calls run(first, last, value) for each maximal run of equal values over [first, last).
template <class Run>
void for_each_run(const Track& x, Run run) {
  for (std::size_t first = 0; first < x.size();) {
    std::size_t last = first + 1;
    while (last < x.size() && x[last] == x[first]) ++last;
    run(first, last, x[first] != 0);
    first = last;
  }
}

void close_gaps(Track& x, std::int64_t longest) {
  const Track before = x;
  for_each_run(before, [&](std::size_t first, std::size_t last, bool active) {
    const bool inside = first > 0 && last < x.size();  // a pause at an end lies between nothing
    if (!active && inside && static_cast<std::int64_t>(last - first) <= longest) {
      for (std::size_t t = first; t < last; ++t) x[t] = 1;
    }
  });
}

void drop_short(Track& x, std::int64_t shortest) {
  const Track before = x;
  for_each_run(before, [&](std::size_t first, std::size_t last, bool active) {
    if (active && static_cast<std::int64_t>(last - first) < shortest) {
      for (std::size_t t = first; t < last; ++t) x[t] = 0;
    }
  });
}

[[nodiscard]] Track track_of(const Roll& roll, std::int64_t c) {
  Track track(static_cast<std::size_t>(roll.frames));
  for (std::int64_t t = 0; t < roll.frames; ++t) track[static_cast<std::size_t>(t)] = roll.at(t, c) ? 1 : 0;
  return track;
}

void check_size(const char* op, std::size_t size, std::int64_t frames, std::int64_t classes) {
  DCASE_CHECK(frames >= 0 && classes > 0 && static_cast<std::int64_t>(size) == frames * classes, op, ": ", size,
              " values for ", frames, " frames of ", classes, " classes");
}

}  // namespace

std::int64_t mirrored_index(std::int64_t t, std::int64_t frames) {
  const std::int64_t period = 2 * frames;
  t = ((t % period) + period) % period;
  return t < frames ? t : period - 1 - t;
}

void check_rules(const DecisionRules& rules, std::int64_t classes) {
  const auto fits = [&](const auto& values) {
    return values.size() == 1 || static_cast<std::int64_t>(values.size()) == classes;
  };
  DCASE_CHECK(fits(rules.thresholds), "decide: ", rules.thresholds.size(), " thresholds for ", classes, " classes");
  DCASE_CHECK(fits(rules.median_frames) && fits(rules.close_gap_frames) && fits(rules.minimum_frames),
              "decide: ", rules.median_frames.size(), " medians, ", rules.close_gap_frames.size(), " gaps and ",
              rules.minimum_frames.size(), " minimum lengths for ", classes, " classes");
  for (const std::int64_t length : rules.median_frames) {
    DCASE_CHECK(length > 0 && length % 2 == 1 && length <= kLongestMedian, "decide: a median over ", length,
                " frames; the length is odd and at most ", kLongestMedian);
  }
  for (const auto* lengths : {&rules.close_gap_frames, &rules.minimum_frames}) {
    for (const std::int64_t length : *lengths) DCASE_CHECK(length >= 0, "decide: a length of ", length, " frames");
  }
}

std::int64_t microseconds(double seconds) {
  if (!(std::abs(seconds) * 1e6 <= static_cast<double>(kLatestMicrosecond)))
    fail(ErrorKind::kNumeric, "a time of ", seconds, " seconds");
  return std::llround(seconds * 1e6);
}

Roll decide(std::span<const double> probabilities, std::int64_t frames, std::int64_t classes,
            const DecisionRules& rules) {
  check_size("decide", probabilities.size(), frames, classes);
  check_rules(rules, classes);
  Roll roll{.frames = frames, .classes = classes, .active = std::vector<std::uint8_t>(probabilities.size())};
  for (std::int64_t c = 0; c < classes; ++c) {
    const auto at = static_cast<std::size_t>(c);
    const double threshold = of_class(rules.thresholds, at);
    const std::int64_t window = of_class(rules.median_frames, at);
    const std::int64_t gap = of_class(rules.close_gap_frames, at);
    const std::int64_t minimum = of_class(rules.minimum_frames, at);
    Track track(static_cast<std::size_t>(frames));
    for (std::int64_t t = 0; t < frames; ++t) {
      const double p = probabilities[static_cast<std::size_t>(t * classes + c)];
      if (!std::isfinite(p)) fail(ErrorKind::kNumeric, "decide: frame ", t, ", class ", c, " has the probability ", p);
      track[static_cast<std::size_t>(t)] = p > threshold ? 1 : 0;
    }
    if (window > 1 && frames > 0) track = median(track, window);
    if (gap > 0) close_gaps(track, gap);
    if (minimum > 1) drop_short(track, minimum);
    for (std::int64_t t = 0; t < frames; ++t) {
      roll.active[static_cast<std::size_t>(t * classes + c)] = track[static_cast<std::size_t>(t)];
    }
  }
  return roll;
}

Roll roll_of(std::span<const std::uint8_t> labels, std::int64_t frames, std::int64_t classes) {
  check_size("roll_of", labels.size(), frames, classes);
  Roll roll{.frames = frames, .classes = classes, .active = {labels.begin(), labels.end()}};
  for (const std::uint8_t v : roll.active) DCASE_CHECK(v <= 1, "roll_of: a label of ", int{v}, ", expected 0 or 1");
  return roll;
}

std::vector<SoundEvent> events_of(const Roll& roll, std::int64_t frame_us) {
  DCASE_CHECK(frame_us > 0, "events_of: a frame of ", frame_us, " microseconds");
  std::vector<SoundEvent> events;
  for (std::int64_t c = 0; c < roll.classes; ++c) {
    for_each_run(track_of(roll, c), [&](std::size_t first, std::size_t last, bool active) {
      if (!active) return;
      events.push_back({static_cast<std::int64_t>(first) * frame_us, static_cast<std::int64_t>(last) * frame_us,
                        static_cast<std::int32_t>(c)});
    });
  }
  return events;
}

}  // namespace dcase
