#include "train/metrics/frame_scores.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <limits>
#include <utility>

#include "kernels/common/error.hpp"

namespace dcase {

namespace {

using Column = std::vector<double>;

/// Median over an odd window about each frame, ends mirrored as `decide` does.
[[nodiscard]] Column median(const Column& x, std::int64_t length) {
  const auto frames = static_cast<std::int64_t>(x.size());
  const std::int64_t half = length / 2;
  const auto value = [&](std::int64_t t) { return x[static_cast<std::size_t>(mirrored_index(t, frames))]; };
  Column window;  // sorted
  for (std::int64_t t = -half; t <= half; ++t) window.push_back(value(t));
  std::sort(window.begin(), window.end());
  Column y(x.size());
  for (std::int64_t t = 0; t < frames; ++t) {
    y[static_cast<std::size_t>(t)] = window[static_cast<std::size_t>(half)];
    window.erase(std::lower_bound(window.begin(), window.end(), value(t - half)));
    const double next = value(t + half + 1);
    window.insert(std::upper_bound(window.begin(), window.end(), next), next);
  }
  return y;
}

/// best over frames [t - before, t + after], cut at the ends; `better(a, b)` says that a wins.
template <class Better>
[[nodiscard]] Column best_around(const Column& x, std::int64_t before, std::int64_t after, Better better) {
  const auto frames = static_cast<std::int64_t>(x.size());
  std::deque<std::int64_t> candidates;  // frames whose values get worse
  Column y(x.size());
  const auto at = [&](std::int64_t t) { return x[static_cast<std::size_t>(t)]; };
  std::int64_t next = 0;
  for (std::int64_t t = 0; t < frames; ++t) {
    for (; next < frames && next <= t + after; ++next) {
      while (!candidates.empty() && !better(at(candidates.back()), at(next))) candidates.pop_back();
      candidates.push_back(next);
    }
    while (candidates.front() < t - before) candidates.pop_front();
    y[static_cast<std::size_t>(t)] = at(candidates.front());
  }
  return y;
}

/// With windows of `length` frames that lie inside the recording: first(of each window), then second(of all windows
/// that hold a frame). Lowest then highest removes peaks shorter than `length`, the reverse fills such valleys.
template <class First, class Second>
[[nodiscard]] Column open_or_close(const Column& x, std::int64_t length, First first, Second second) {
  const auto frames = static_cast<std::int64_t>(x.size());
  Column windows = best_around(x, 0, length - 1, first);          // window t begins at frame t
  windows.resize(static_cast<std::size_t>(frames - length + 1));  // the others do not fit
  Column padded(x.size(), windows.back());
  std::copy(windows.begin(), windows.end(), padded.begin());
  return best_around(padded, length - 1, 0, second);
}

/// Valleys of at most `longest` frames are filled up to the lower side; none at the ends.
[[nodiscard]] Column close_gaps(const Column& x, std::int64_t longest) {
  const auto frames = static_cast<std::int64_t>(x.size());
  if (frames < 3) return x;
  // Frames beyond the ends are below everything, so a pause at an end lies between nothing.
  const std::int64_t length = std::min(longest, frames - 2) + 1;
  Column padded(static_cast<std::size_t>(frames + 2 * length), -std::numeric_limits<double>::infinity());
  std::copy(x.begin(), x.end(), padded.begin() + static_cast<std::ptrdiff_t>(length));
  padded = open_or_close(padded, length, std::greater<>(), std::less<>());
  return {padded.begin() + static_cast<std::ptrdiff_t>(length), padded.end() - static_cast<std::ptrdiff_t>(length)};
}

}  // namespace

FrameScores frame_scores(std::vector<double> values, std::int64_t classes, std::int64_t frame_us) {
  DCASE_CHECK(classes > 0 && frame_us > 0 && static_cast<std::int64_t>(values.size()) % classes == 0,
              "frame_scores: ", values.size(), " values of ", classes, " classes in frames of ", frame_us,
              " microseconds");
  FrameScores scores{.classes = classes, .values = std::move(values)};
  const std::int64_t frames = static_cast<std::int64_t>(scores.values.size()) / classes;
  for (std::int64_t t = 0; frames > 0 && t <= frames; ++t) scores.times.push_back(t * frame_us);
  return scores;
}

void check_frame_scores(const FrameScores& s) {
  DCASE_CHECK(s.classes > 0 && static_cast<std::int64_t>(s.values.size()) == s.frames() * s.classes,
              "frame scores: ", s.values.size(), " values for ", s.frames(), " frames of ", s.classes, " classes");
  for (std::size_t t = 1; t < s.times.size(); ++t) {
    DCASE_CHECK(s.times[t - 1] >= 0 && s.times[t] > s.times[t - 1] && s.times[t] <= kLatestMicrosecond,
                "frame scores: frame ", t - 1, " lasts from ", s.times[t - 1], " to ", s.times[t], " microseconds");
  }
  for (std::size_t i = 0; i < s.values.size(); ++i) {
    if (!std::isfinite(s.values[i])) {
      const auto width = static_cast<std::size_t>(s.classes);
      fail(ErrorKind::kNumeric, "frame scores: frame ", i / width, ", class ", i % width, " has the score ",
           s.values[i]);
    }
  }
}

FrameScores filtered(const FrameScores& scores, const DecisionRules& rules) {
  check_frame_scores(scores);
  check_rules(rules, scores.classes);
  FrameScores out = scores;
  const std::int64_t frames = scores.frames();
  const auto width = static_cast<std::size_t>(scores.classes);
  for (std::size_t c = 0; c < width && frames > 0; ++c) {
    if (of_class(rules.median_frames, c) <= 1 && of_class(rules.close_gap_frames, c) == 0 &&
        of_class(rules.minimum_frames, c) <= 1) {
      continue;
    }
    Column x(static_cast<std::size_t>(frames));
    for (std::size_t t = 0; t < x.size(); ++t) x[t] = scores.values[t * width + c];
    const std::int64_t window = of_class(rules.median_frames, c);
    const std::int64_t gap = of_class(rules.close_gap_frames, c);
    const std::int64_t minimum = of_class(rules.minimum_frames, c);
    if (window > 1) x = median(x, window);
    if (gap > 0) x = close_gaps(x, gap);
    if (minimum > frames) {
      x.assign(x.size(), std::numeric_limits<double>::lowest());  // no event can be that long
    } else if (minimum > 1) {
      x = open_or_close(x, minimum, std::less<>(), std::greater<>());
    }
    for (std::size_t t = 0; t < x.size(); ++t) out.values[t * width + c] = x[t];
  }
  return out;
}

std::vector<SoundEvent> events_of(const Roll& roll, std::span<const std::int64_t> times) {
  DCASE_CHECK(roll.frames == 0 || static_cast<std::int64_t>(times.size()) == roll.frames + 1,
              "events_of: ", times.size(), " times for ", roll.frames, " frames");
  std::vector<SoundEvent> events = events_of(roll, 1);
  for (SoundEvent& e : events) {
    e.onset = times[static_cast<std::size_t>(e.onset)];
    e.offset = times[static_cast<std::size_t>(e.offset)];
  }
  return events;
}

}  // namespace dcase
