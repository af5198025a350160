#include "train/metrics/psds_sweep.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace dcase::detail {

namespace {

/// Calls add(part) with parts of `value` that fit 16 bits.
template <class Add>
void in_parts(std::int64_t value, Add add) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int16_t>::max();
  while (value != 0) {
    const std::int64_t part = std::clamp(value, -kMost, kMost);
    add(static_cast<std::int16_t>(part));
    value -= part;
  }
}

/// Time up to each frame boundary that events of one class cover, one after the other: overlapping ones count twice.
class Covered {
 public:
  Covered(std::span<const SoundEvent> events, std::span<const std::int64_t> times) : until_(times.size()) {
    for (std::size_t t = 0; t < times.size(); ++t) {
      for (const SoundEvent& e : events) until_[t] += std::max<std::int64_t>(0, std::min(times[t], e.offset) - e.onset);
    }
  }
  [[nodiscard]] std::int64_t between(std::size_t first, std::size_t last) const { return until_[last] - until_[first]; }

 private:
  std::vector<std::int64_t> until_;  // [T+1]
};

/// A class that sounds in the recording.
struct Sounding {
  std::int32_t label;
  std::vector<SoundEvent> events;
  Covered covered;
};

[[nodiscard]] std::vector<Sounding> by_class(std::span<const SoundEvent> truth, std::span<const std::int64_t> times) {
  std::vector<SoundEvent> sorted(truth.begin(), truth.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const SoundEvent& a, const SoundEvent& b) { return a.label < b.label; });
  std::vector<Sounding> classes;
  for (std::size_t first = 0; first < sorted.size();) {
    std::vector<SoundEvent> events;
    const std::int32_t label = sorted[first].label;
    for (; first < sorted.size() && sorted[first].label == label; ++first) {
      if (sorted[first].offset > sorted[first].onset) events.push_back(sorted[first]);
    }
    if (events.empty()) continue;
    Covered covered(events, times);
    classes.push_back({label, std::move(events), std::move(covered)});
  }
  return classes;
}

/// Where nothing can be found, every run of frames is a false positive: one more at each peak, one less where two meet
/// in a valley.
void sweep_silent(std::span<const double> s, std::uint32_t recording, PsdsChanges& changes) {
  for (std::size_t first = 0; first < s.size();) {
    std::size_t last = first + 1;  // a plateau is one peak or one valley
    while (last < s.size() && s[last] == s[first]) ++last;
    const bool up_before = first == 0 || s[first - 1] < s[first];
    const bool up_after = last == s.size() || s[last] < s[first];
    if (up_before && up_after) changes.add(s[first], recording, 1, 0);
    if (!up_before && !up_after) changes.add(s[first], recording, -1, 0);
    first = last;
  }
}

/// The state of one rule while the threshold falls.
class RuleState {
 public:
  RuleState(const PsdsRule& rule, const Sounding* own, std::span<const Sounding> all,
            std::span<const std::int64_t> times)
      : rule_(rule), own_(own), times_(times) {
    if (own_ != nullptr) found_time_.assign(own_->events.size(), 0);
    if (rule_.cttc <= 0) return;
    for (const Sounding& other : all) {
      if (&other != own_) others_.push_back(&other);
    }
    crosses_.assign(others_.size(), 0);
  }

  /// Nothing can be found and nothing triggered.
  [[nodiscard]] bool idle() const { return own_ == nullptr && others_.empty(); }

  /// A run of frames [first, last) appears (sign 1) or goes (sign -1).
  void change(std::size_t first, std::size_t last, std::int64_t sign) {
    const std::int64_t length = times_[last] - times_[first];
    if (own_ != nullptr && covers(own_->covered.between(first, last), length, rule_.dtc)) {
      for (std::size_t y = 0; y < own_->events.size(); ++y) {
        const SoundEvent& e = own_->events[y];
        const std::int64_t common = std::min(times_[last], e.offset) - std::max(times_[first], e.onset);
        if (common <= 0) continue;
        found_ -= is_found(y) ? 1 : 0;
        found_time_[y] += sign * common;
        found_ += is_found(y) ? 1 : 0;
      }
      return;
    }
    if (own_ != nullptr) false_positives_ += sign;  // else sweep_silent counts them, for all rules
    for (std::size_t o = 0; o < others_.size(); ++o) {
      if (covers(others_[o]->covered.between(first, last), length, rule_.cttc)) crosses_[o] += sign;
    }
  }

  /// Hands over what has changed since the last call.
  void flush(double score, std::uint32_t recording, PsdsChanges& changes) {
    if (false_positives_ != 0 || found_ != 0) changes.add(score, recording, false_positives_, found_);
    for (std::size_t o = 0; o < others_.size(); ++o) {
      if (crosses_[o] == 0) continue;
      changes.add_cross(score, recording, static_cast<std::uint16_t>(others_[o]->label), crosses_[o]);
      crosses_[o] = 0;
    }
    false_positives_ = 0;
    found_ = 0;
  }

 private:
  [[nodiscard]] bool is_found(std::size_t y) const {
    return covers(found_time_[y], own_->events[y].offset - own_->events[y].onset, rule_.gtc);
  }

  const PsdsRule& rule_;
  const Sounding* own_;  // null: the class does not sound here
  std::span<const std::int64_t> times_;
  std::vector<const Sounding*> others_;
  std::vector<std::int64_t> found_time_;  // of each own event: covered by detections that pass
  std::vector<std::int64_t> crosses_;     // since the last flush, as the next two
  std::int64_t false_positives_ = 0;
  std::int64_t found_ = 0;
};

/// Frames are switched on from the highest score down; each joins the runs beside it.
class Sweep {
 public:
  explicit Sweep(std::size_t frames) : order_(frames), other_end_(frames) {}

  /// Calls change(first, last, sign) for runs that appear and go, flush(score) after each distinct score.
  template <class Change, class Flush>
  void run(std::span<const double> s, Change change, Flush flush) {
    std::iota(order_.begin(), order_.end(), 0U);
    std::sort(order_.begin(), order_.end(),
              [&](std::uint32_t a, std::uint32_t b) { return s[a] != s[b] ? s[a] > s[b] : a < b; });
    std::fill(other_end_.begin(), other_end_.end(), kOff);
    for (std::size_t i = 0; i < order_.size(); ++i) {
      const std::uint32_t t = order_[i];
      std::uint32_t first = t;
      std::uint32_t last = t;  // inclusive
      if (t > 0 && other_end_[t - 1] != kOff) {
        first = other_end_[t - 1];
        change(first, t, -1);
      }
      if (t + 1 < other_end_.size() && other_end_[t + 1] != kOff) {
        last = other_end_[t + 1];
        change(t + 1, last + 1, -1);
      }
      other_end_[t] = t;  // whatever lies inside a run only has to be on
      other_end_[first] = last;
      other_end_[last] = first;
      change(first, last + 1, 1);
      if (i + 1 == order_.size() || s[order_[i + 1]] != s[t]) flush(s[t]);
    }
  }

 private:
  static constexpr std::uint32_t kOff = std::numeric_limits<std::uint32_t>::max();
  std::vector<std::uint32_t> order_;
  std::vector<std::uint32_t> other_end_;  // of the run that ends or begins here
};

}  // namespace

void PsdsChanges::add(double score, std::uint32_t recording, std::int64_t false_positives, std::int64_t found) {
  in_parts(false_positives, [&](std::int16_t part) { counts.push_back({score, recording, part, 0}); });
  if (found == 0) return;
  // Together with the false positives where that fits, as nearly always.
  const bool join = false_positives != 0 && std::int16_t(found) == found;
  if (join) counts.back().found = static_cast<std::int16_t>(found);
  if (!join) in_parts(found, [&](std::int16_t part) { counts.push_back({score, recording, 0, part}); });
}

void PsdsChanges::add_cross(double score, std::uint32_t recording, std::uint16_t other, std::int64_t count) {
  in_parts(count, [&](std::int16_t part) { crosses.push_back({score, recording, other, part}); });
}

void psds_sweep(const FrameScores& scores, std::span<const SoundEvent> truth, std::uint32_t recording,
                std::span<const PsdsRule> rules, std::span<const std::int32_t> classes,
                std::vector<std::vector<PsdsChanges>>& changes) {
  const auto frames = static_cast<std::size_t>(scores.frames());
  const std::vector<Sounding> sounding = by_class(truth, scores.times);
  Sweep sweep(frames);
  std::vector<double> column(frames);
  for (std::size_t at = 0; at < classes.size(); ++at) {
    const std::int32_t label = classes[at];
    for (std::size_t t = 0; t < frames; ++t) {
      column[t] = scores.values[t * static_cast<std::size_t>(scores.classes) + static_cast<std::size_t>(label)];
    }
    const auto own =
        std::find_if(sounding.begin(), sounding.end(), [&](const Sounding& s) { return s.label == label; });
    if (own == sounding.end()) sweep_silent(column, recording, changes[rules.size()][at]);
    std::vector<RuleState> states;
    std::vector<std::size_t> swept;  // rules that need it
    for (std::size_t r = 0; r < rules.size(); ++r) {
      RuleState state(rules[r], own == sounding.end() ? nullptr : &*own, sounding, scores.times);
      if (state.idle()) continue;
      states.push_back(std::move(state));
      swept.push_back(r);
    }
    if (swept.empty()) continue;
    sweep.run(
        column,
        [&](std::size_t first, std::size_t last, std::int64_t sign) {
          for (RuleState& state : states) state.change(first, last, sign);
        },
        [&](double score) {
          for (std::size_t i = 0; i < swept.size(); ++i) states[i].flush(score, recording, changes[swept[i]][at]);
        });
  }
}

}  // namespace dcase::detail
