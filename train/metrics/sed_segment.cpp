#include <algorithm>
#include <limits>

#include "kernels/common/error.hpp"
#include "train/metrics/sed_metrics.hpp"
#include "train/metrics/sed_score.hpp"

namespace dcase {

namespace {

/// Activity by segment and class of one item.
[[nodiscard]] Roll segments_of(const std::vector<SoundEvent>& events, std::int64_t segments, std::int64_t classes,
                               const SedItem& item, std::int64_t segment_us) {
  Roll roll{.frames = segments, .classes = classes};
  roll.active.assign(static_cast<std::size_t>(segments * classes), 0);
  for (const SoundEvent& e : events) {
    const std::int64_t last = std::min(e.offset, item.length);
    if (e.onset >= last) continue;  // empty, or wholly beyond the end
    for (std::int64_t s = e.onset / segment_us; s <= (last - 1) / segment_us; ++s) {
      roll.active[static_cast<std::size_t>(s * classes + e.label)] = 1;
    }
  }
  return roll;
}

/// Frames of all rolls in one, one block a row: the maximum over the block without its last frame.
[[nodiscard]] Roll released_blocks(std::span<const Roll> rolls, std::int64_t block) {
  Roll all{.frames = 0, .classes = rolls.empty() ? 0 : rolls[0].classes};
  for (const Roll& roll : rolls) {
    DCASE_CHECK(roll.classes == all.classes, "reference_sed_metrics: rolls of ", roll.classes, " and ", all.classes,
                " classes");
    all.frames += roll.frames;
    all.active.insert(all.active.end(), roll.active.begin(), roll.active.end());
  }
  Roll blocks{.frames = (all.frames + block - 1) / block, .classes = all.classes};
  blocks.active.assign(static_cast<std::size_t>(blocks.frames * blocks.classes), 0);
  for (std::int64_t t = 0; t < all.frames; ++t) {
    if (t % block == block - 1) continue;
    for (std::int64_t c = 0; c < all.classes; ++c) {
      if (all.at(t, c)) blocks.active[static_cast<std::size_t>(t / block * all.classes + c)] = 1;
    }
  }
  return blocks;
}

/// Outcome of one class in one segment.
[[nodiscard]] Counts outcome(const Roll& truth, const Roll& output, std::int64_t segment, std::int64_t c) {
  const bool reference = truth.at(segment, c);
  const bool detected = output.at(segment, c);
  return {.tp = reference && detected, .fp = detected && !reference, .fn = reference && !detected};
}

}  // namespace

SedTally segment_tally(std::int64_t classes, const SedItem& item, const SegmentOptions& options) {
  DCASE_CHECK(options.segment_us > 0, "segment_metrics: a segment of ", options.segment_us, " microseconds");
  detail::check_item(classes, item);
  SedTally tally{.segments = (item.length + options.segment_us - 1) / options.segment_us};
  const Roll truth = segments_of(item.truth, tally.segments, classes, item, options.segment_us);
  const Roll output = segments_of(item.output, tally.segments, classes, item, options.segment_us);
  std::vector<Counts> by_class(static_cast<std::size_t>(classes));
  for (std::int64_t s = 0; s < tally.segments; ++s) {
    Counts counts;  // of all classes
    for (std::int64_t c = 0; c < classes; ++c) {
      const Counts one = outcome(truth, output, s, c);
      by_class[static_cast<std::size_t>(c)] += one;
      counts += one;
    }
    tally.substitutions += std::min(counts.fp, counts.fn);
    tally.deletions += std::max<std::int64_t>(0, counts.fn - counts.fp);
    tally.insertions += std::max<std::int64_t>(0, counts.fp - counts.fn);
  }
  tally.rows = detail::rows_of(by_class);
  return tally;
}

SegmentMetrics sum_segments(std::span<const std::string> classes, std::span<const SedTally> tallies,
                            const SegmentOptions& options, std::span<const std::uint32_t> weights) {
  SegmentMetrics m;
  m.options = options;
  m.segments = detail::add_tallies(m, classes, tallies, weights);
  detail::finish_sed_score(m, options.undefined);
  const auto width = static_cast<std::int64_t>(classes.size());
  const Counts everything_on = {.tp = m.counts.references(), .fp = m.segments * width - m.counts.references()};
  m.everything_on_f1 = m.counts.references() == 0 ? std::numeric_limits<double>::quiet_NaN()
                                                  : ratios(everything_on, options.undefined).f1;
  return m;
}

SegmentMetrics segment_metrics(std::span<const std::string> classes, std::span<const SedItem> items,
                               const SegmentOptions& options) {
  DCASE_CHECK(options.segment_us > 0, "segment_metrics: a segment of ", options.segment_us, " microseconds");
  std::vector<SedTally> tallies;
  for (const SedItem& item : items) {
    tallies.push_back(segment_tally(static_cast<std::int64_t>(classes.size()), item, options));
  }
  return sum_segments(classes, tallies, options);
}

ReferenceSedMetrics reference_sed_metrics(std::span<const Roll> truth, std::span<const Roll> output,
                                          std::int64_t block_frames) {
  DCASE_CHECK(block_frames > 1, "reference_sed_metrics: blocks of ", block_frames, " frames");
  DCASE_CHECK(truth.size() == output.size(), "reference_sed_metrics: ", truth.size(), " and ", output.size(), " files");
  std::int64_t frames = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    DCASE_CHECK(truth[i].frames == output[i].frames && truth[i].classes == output[i].classes,
                "reference_sed_metrics: file ", i, " has ", truth[i].frames, "x", truth[i].classes, " labels and ",
                output[i].frames, "x", output[i].classes, " decisions");
    frames += truth[i].frames;
  }
  const Roll reference = released_blocks(truth, block_frames);
  const Roll detected = released_blocks(output, block_frames);
  Counts all;
  std::int64_t errors = 0;
  std::int64_t references = 0;  // of the complete blocks
  for (std::int64_t b = 0; b < reference.frames; ++b) {
    Counts counts;
    for (std::int64_t c = 0; c < reference.classes; ++c) counts += outcome(reference, detected, b, c);
    all += counts;
    if (b < frames / block_frames) {
      errors += std::max(counts.fp, counts.fn);  // = S + D + I
      references += counts.references();
    }
  }
  constexpr double kEpsilon = 1e-8;  // of the released code
  const auto tp = static_cast<double>(all.tp);
  const double precision = tp / (static_cast<double>(all.outputs()) + kEpsilon);
  const double recall = tp / (static_cast<double>(all.references()) + kEpsilon);
  return {.block_frames = block_frames,
          .f1 = 2 * precision * recall / (precision + recall + kEpsilon),
          .error_rate = ratio(static_cast<double>(errors), static_cast<double>(references))};
}

}  // namespace dcase
