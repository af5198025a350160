#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <queue>
#include <tuple>

#include "kernels/common/error.hpp"
#include "train/metrics/sed_metrics.hpp"
#include "train/metrics/sed_score.hpp"

namespace dcase {

namespace {

using Matching = EventOptions::Matching;

constexpr std::size_t kFree = static_cast<std::size_t>(-1);

/// Says whether a reference and an output agree in time. The share is taken in thousandths, so that all is integer.
class TimeRule {
 public:
  explicit TimeRule(const EventOptions& options)
      : options_(options), share_(std::llround(options.offset_share * kUnit)) {}

  [[nodiscard]] bool agree(const SoundEvent& truth, const SoundEvent& output) const {
    if (std::abs(truth.onset - output.onset) > options_.collar_us) return false;
    if (!options_.test_offset) return true;
    const std::int64_t difference = std::abs(truth.offset - output.offset);
    if (difference <= options_.collar_us) return true;
    return difference * kUnit <= share_ * (truth.offset - truth.onset);  // below 10^18
  }

 private:
  static constexpr std::int64_t kUnit = 1000;
  EventOptions options_;
  std::int64_t share_;
};

/// For each reference the outputs that agree with it, from events sorted by onset.
[[nodiscard]] std::vector<std::vector<std::size_t>> candidates(const std::vector<SoundEvent>& truth,
                                                               const std::vector<SoundEvent>& output,
                                                               const EventOptions& options, bool same_label) {
  const TimeRule rule(options);
  std::vector<std::vector<std::size_t>> edges(truth.size());
  for (std::size_t r = 0; r < truth.size(); ++r) {
    const auto first = std::lower_bound(output.begin(), output.end(), truth[r].onset - options.collar_us,
                                        [](const SoundEvent& e, std::int64_t onset) { return e.onset < onset; });
    for (auto e = first; e != output.end() && e->onset <= truth[r].onset + options.collar_us; ++e) {
      if ((e->label == truth[r].label) == same_label && rule.agree(truth[r], *e)) {
        edges[r].push_back(static_cast<std::size_t>(e - output.begin()));
      }
    }
  }
  return edges;
}

/// Partner of each reference and of each output; kFree where there is none.
struct Pairs {
  std::vector<std::size_t> of_truth;
  std::vector<std::size_t> of_output;
};

/// Searches an augmenting path from a free reference, breadth first (no recursion: a path may be as long as the file
/// has events), and flips it.
void augment(std::size_t start, const std::vector<std::vector<std::size_t>>& edges, Pairs& pairs,
             std::vector<std::size_t>& reached_from, std::vector<std::size_t>& touched) {
  std::queue<std::size_t> queue;  // references
  queue.push(start);
  std::optional<std::size_t> end;
  while (!queue.empty() && !end) {
    const std::size_t r = queue.front();
    queue.pop();
    for (const std::size_t e : edges[r]) {
      if (reached_from[e] != kFree) continue;
      reached_from[e] = r;
      touched.push_back(e);
      if (pairs.of_output[e] == kFree) {
        end = e;
        break;
      }
      queue.push(pairs.of_output[e]);
    }
  }
  while (end) {
    const std::size_t e = *end;
    const std::size_t r = reached_from[e];
    const std::size_t before = pairs.of_truth[r];
    pairs.of_output[e] = r;
    pairs.of_truth[r] = e;
    end = before == kFree ? std::nullopt : std::optional(before);
  }
  for (const std::size_t e : touched) reached_from[e] = kFree;
  touched.clear();
}

[[nodiscard]] Pairs match(const std::vector<std::vector<std::size_t>>& edges, std::size_t outputs, Matching matching) {
  Pairs pairs{.of_truth = std::vector<std::size_t>(edges.size(), kFree),
              .of_output = std::vector<std::size_t>(outputs, kFree)};
  std::vector<std::size_t> reached_from(outputs, kFree);
  std::vector<std::size_t> touched;
  for (std::size_t r = 0; r < edges.size(); ++r) {
    const auto free =
        std::find_if(edges[r].begin(), edges[r].end(), [&](std::size_t e) { return pairs.of_output[e] == kFree; });
    if (free != edges[r].end()) {
      pairs.of_truth[r] = *free;
      pairs.of_output[*free] = r;
    } else if (matching == Matching::kOptimal) {
      augment(r, edges, pairs, reached_from, touched);
    }
  }
  return pairs;
}

/// Pairs that the matching left over and that agree in time but not in label: each reference takes the first.
[[nodiscard]] std::int64_t count_substitutions(const std::vector<std::vector<std::size_t>>& others, Pairs& pairs) {
  std::int64_t substitutions = 0;
  for (std::size_t r = 0; r < others.size(); ++r) {
    if (pairs.of_truth[r] != kFree) continue;
    for (const std::size_t e : others[r]) {
      if (pairs.of_output[e] != kFree) continue;
      pairs.of_output[e] = r;
      ++substitutions;
      break;
    }
  }
  return substitutions;
}

void check(const EventOptions& options) {
  DCASE_CHECK(options.collar_us >= 0, "event_metrics: a collar of ", options.collar_us, " microseconds");
  DCASE_CHECK(options.offset_share >= 0 && options.offset_share <= 1, "event_metrics: an offset share of ",
              options.offset_share, ", expected 0 to 1");
}

[[nodiscard]] std::vector<SoundEvent> cut_and_sorted(std::vector<SoundEvent> events, std::int64_t length) {
  for (SoundEvent& e : events) e.offset = std::min(e.offset, length);
  events.erase(std::remove_if(events.begin(), events.end(), [](const SoundEvent& e) { return e.onset >= e.offset; }),
               events.end());
  std::stable_sort(events.begin(), events.end(), [](const SoundEvent& a, const SoundEvent& b) {
    return std::tie(a.onset, a.offset, a.label) < std::tie(b.onset, b.offset, b.label);
  });
  return events;
}

}  // namespace

SedTally event_tally(std::int64_t classes, const SedItem& item, const EventOptions& options) {
  check(options);
  detail::check_item(classes, item);
  const std::vector<SoundEvent> truth = cut_and_sorted(item.truth, item.length);
  const std::vector<SoundEvent> output = cut_and_sorted(item.output, item.length);
  Pairs pairs = match(candidates(truth, output, options, true), output.size(), options.matching);
  std::vector<Counts> by_class(static_cast<std::size_t>(classes));
  std::int64_t matched = 0;
  for (std::size_t r = 0; r < truth.size(); ++r) {
    Counts& counts = by_class[static_cast<std::size_t>(truth[r].label)];
    const bool found = pairs.of_truth[r] != kFree;
    ++(found ? counts.tp : counts.fn);
    matched += found ? 1 : 0;
  }
  for (std::size_t e = 0; e < output.size(); ++e) {
    if (pairs.of_output[e] == kFree) ++by_class[static_cast<std::size_t>(output[e].label)].fp;
  }
  SedTally tally{.rows = detail::rows_of(by_class)};
  tally.substitutions = count_substitutions(candidates(truth, output, options, false), pairs);
  tally.deletions = static_cast<std::int64_t>(truth.size()) - matched - tally.substitutions;
  tally.insertions = static_cast<std::int64_t>(output.size()) - matched - tally.substitutions;
  return tally;
}

EventMetrics sum_events(std::span<const std::string> classes, std::span<const SedTally> tallies,
                        const EventOptions& options, std::span<const std::uint32_t> weights) {
  EventMetrics m;
  m.options = options;
  static_cast<void>(detail::add_tallies(m, classes, tallies, weights));
  detail::finish_sed_score(m, options.undefined);
  return m;
}

EventMetrics event_metrics(std::span<const std::string> classes, std::span<const SedItem> items,
                           const EventOptions& options) {
  check(options);
  std::vector<SedTally> tallies;
  for (const SedItem& item : items) {
    tallies.push_back(event_tally(static_cast<std::int64_t>(classes.size()), item, options));
  }
  return sum_events(classes, tallies, options);
}

}  // namespace dcase
