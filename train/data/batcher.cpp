#include "train/data/batcher.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/array.hpp"
#include "kernels/mixup/mixup.hpp"

namespace dcase {
namespace {

constexpr std::int64_t kFramesPerLabel = 5;  // a label frame is 100 ms, an input frame 20 ms

std::uint32_t purpose(const char* what, Task task) { return purpose_id(concat(what, "/", task_name(task))); }

// Fisher-Yates with one draw a position.
std::vector<std::int64_t> permutation(std::int64_t n, const RandomKey& key) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t i = n - 1; i > 0; --i) {
    const auto j = uniform_below(key, static_cast<std::uint64_t>(i), static_cast<std::uint32_t>(i + 1));
    std::swap(order[static_cast<std::size_t>(i)], order[j]);
  }
  return order;
}

}  // namespace

void read_samples(const PcmCache::Item& item, int signal, std::int64_t first, std::int64_t count, float* out) {
  const std::int64_t there = std::clamp<std::int64_t>(item.samples() - first, 0, count);
  if (there > 0) {
    const PcmView pcm = item.pcm(signal, first, there);
    for (std::int64_t i = 0; i < there; ++i) {
      out[i] = pcm.f32.present() ? pcm.f32[i] : static_cast<float>(pcm.i16[i]) * pcm.scale;
    }
  }
  std::fill(out + there, out + count, 0.0F);
}

std::vector<Example> training_examples(const TaskSource& source) {
  auto list = examples(*source.dataset, Split::kTrain, source.task,
                       [&](std::int32_t item) { return source.cache.item(item).signals(); });
  std::erase_if(list, [&](const Example& e) { return !source.cache.item(e.item).usable(); });
  if (list.empty()) {
    fail(ErrorKind::kData, source.dataset->root, ": nothing to train ", task_name(source.task),
         " on: ", source.dataset->items.size(), " recordings, none in the training part with a label for it");
  }
  return list;
}

Batcher::Batcher(TaskSource source, const BatchOptions& options, MelTables tables, BackendPtr backend)
    : source_(std::move(source)),
      options_(options),
      backend_(std::move(backend)),
      tables_(std::move(tables)),
      examples_(training_examples(source_)),
      classes_(source_.dataset->labels[source_.task].size()) {
  const std::string key = concat("data.", task_name(source_.task));
  if (options_.batch_size < 1)
    fail(ErrorKind::kUsage, key, ".batch_size is ", options_.batch_size, ", at least 1 is needed");
  if (options_.crop_frames < 40 || (source_.task == Task::kSed && options_.crop_frames % kFramesPerLabel != 0)) {
    fail(ErrorKind::kUsage, key, ".crop_frames is ", options_.crop_frames,
         ", at least 40 are needed, for sound events a multiple of 5");
  }
}

std::vector<Example> Batcher::choose(std::int64_t step) const {
  const std::int64_t n = example_count();
  std::vector<Example> chosen;
  std::vector<std::int64_t> order;
  std::int64_t pass_of_order = -1;
  for (std::int64_t i = step * options_.batch_size; i < (step + 1) * options_.batch_size; ++i) {
    if (i / n != pass_of_order) {
      pass_of_order = i / n;
      order =
          permutation(n, {options_.seed, purpose("order", source_.task), static_cast<std::uint32_t>(pass_of_order)});
    }
    chosen.push_back(examples_[static_cast<std::size_t>(order[static_cast<std::size_t>(i % n)])]);
  }
  return chosen;
}

Batch Batcher::make(std::int64_t step) const {
  const std::vector<Example> chosen = choose(step);
  const Audio audio = source_.task == Task::kSed ? cut_recordings(chosen, step) : cut_clips(chosen, step);
  const MelParameters& p = tables_.parameters();
  const auto N = static_cast<std::int64_t>(chosen.size());
  const Context& context = backend_->context();

  const auto pool = Array<float>::from(audio.pool, backend_);
  const auto crops = Array<MelCrop>::from(audio.crops, backend_);
  const Tensor log_mel({N, p.mels, options_.crop_frames, 1}, backend_);
  mel_batch_forward({.pcm = PcmView(pool.view()), .crops = crops.view(), .out = log_mel}, tables_, context);
  Tensor mean;
  Tensor std;
  if (!audio.mean.empty()) {
    mean = Tensor::from({N, p.mels}, audio.mean, backend_);
    std = Tensor::from({N, p.mels}, audio.std, backend_);
  }
  const Shape labels =
      source_.task == Task::kSed ? Shape{N, options_.crop_frames / kFramesPerLabel, classes_} : Shape{N, classes_};
  Batch batch{.task = source_.task, .x = log_mel, .target = Tensor::from(labels, audio.target, backend_)};
  if (options_.mixup_alpha <= 0 || step < options_.mixup_from_step) {
    mel_normalize({.x = batch.x, .mean = mean, .std = std}, p, context);
    return batch;
  }
  const auto draw = static_cast<std::uint32_t>(step);
  const double lam = draw_beta(options_.mixup_alpha, {options_.seed, purpose("mixup", source_.task), draw});
  const auto partners = Array<std::int64_t>::from(
      permutation(N, {options_.seed, purpose("mixup_partner", source_.task), draw}), backend_);
  batch.x = log_mel.like();
  mel_normalize_mixup({.x = log_mel, .mean = mean, .std = std, .perm = partners.view(), .lam = lam, .y = batch.x}, p,
                      context);
  const Tensor target = batch.target.like();
  mixup<float>({.x = batch.target, .perm = partners.view(), .lam = lam, .y = target}, context);
  batch.target = target;
  return batch;
}

// A random stretch of the clip. A clip that is too short is joined with itself until it is long enough.
void Batcher::cut_clip(const Example& example, std::uint64_t draw, View<float> out) const {
  const PcmCache::Item& item = source_.cache.item(example.item);
  const std::int64_t need = out.size();
  std::int64_t length = item.samples();
  while (length < need) length *= 2;
  const RandomKey key{options_.seed, purpose("crop", source_.task), static_cast<std::uint32_t>(draw >> 32U)};
  const auto choices = static_cast<std::uint32_t>(std::min<std::int64_t>(length - need + 1, UINT32_MAX));
  std::int64_t first = static_cast<std::int64_t>(uniform_below(key, draw & 0xFFFFFFFFU, choices));
  for (std::int64_t done = 0; done < need;) {
    const std::int64_t at = first % item.samples();
    const std::int64_t count = std::min(need - done, item.samples() - at);
    read_samples(item, example.signal, at, count, out.data + done);
    done += count;
    first += count;
  }
}

Batcher::Audio Batcher::cut_clips(const std::vector<Example>& chosen, std::int64_t step) const {
  // One sample more than the frames span: pre-emphasis takes it.
  const std::int64_t S = (options_.crop_frames - 1) * tables_.parameters().hop + 1;
  const auto N = static_cast<std::int64_t>(chosen.size());
  Audio audio{.pool = std::vector<float>(static_cast<std::size_t>(N * S)),
              .target = std::vector<float>(static_cast<std::size_t>(N * classes_))};
  for (std::int64_t n = 0; n < N; ++n) {
    const Example& example = chosen[static_cast<std::size_t>(n)];
    const std::uint64_t draw = (static_cast<std::uint64_t>(step) << 32U) | static_cast<std::uint64_t>(n);
    cut_clip(example, draw, {audio.pool.data() + n * S, {S}});
    audio.crops.push_back({.begin = n * S, .samples = S});
    const Item& item = source_.dataset->items[static_cast<std::size_t>(example.item)];
    fill_row(source_.task == Task::kAsc ? *item.scene : *item.tags, audio.target.data() + n * classes_,
             static_cast<std::int32_t>(classes_));
  }
  return audio;
}

// Frames of the middle of a recording, with their true neighbours and the statistics of the whole of it.
Batcher::Audio Batcher::cut_recordings(const std::vector<Example>& chosen, std::int64_t step) const {
  const MelParameters& p = tables_.parameters();
  const std::int64_t T = options_.crop_frames;
  const std::int64_t labels = T / kFramesPerLabel;
  const RandomKey key{options_.seed, purpose("crop", Task::kSed), static_cast<std::uint32_t>(step)};
  Audio audio;
  for (std::size_t n = 0; n < chosen.size(); ++n) {
    const PcmCache::Item& recording = source_.cache.item(chosen[n].item);
    const int signal = chosen[n].signal;
    const Item& item = source_.dataset->items[static_cast<std::size_t>(chosen[n].item)];
    // The recording's length in samples, padded or cut where the layout says so, and at least the crop.
    const auto padded = static_cast<std::int64_t>(std::llround(item.padded_seconds * p.sample_rate));
    const std::int64_t length = std::max(padded > 0 ? padded : recording.samples(), T * p.hop);
    const std::int64_t all_labels = length / (kFramesPerLabel * p.hop);
    const auto choices = static_cast<std::uint32_t>(std::max<std::int64_t>(all_labels - labels, 1));
    const auto first_label = static_cast<std::int64_t>(uniform_below(key, n, choices));
    const std::int64_t first_frame = first_label * kFramesPerLabel;

    // Half a window reaches one hop beyond the frames at either side: the frames themselves never see the ends of the
    // stretch, unless those are ends of the recording, which is mirrored there.
    const std::int64_t begin = std::max<std::int64_t>(first_frame - 1, 0) * p.hop;
    const std::int64_t end = std::min(length, (first_frame + T) * p.hop + 1);
    const std::size_t at = audio.pool.size();
    audio.pool.resize(at + static_cast<std::size_t>(end - begin));
    read_samples(recording, signal, begin, end - begin, audio.pool.data() + at);
    audio.crops.push_back(
        {.begin = static_cast<std::int64_t>(at), .samples = end - begin, .first_frame = first_frame - begin / p.hop});
    const auto append = [](std::vector<float>& to, View<const float> row) {
      to.insert(to.end(), row.data, row.data + row.size());
    };
    append(audio.mean, recording.mean(signal));
    append(audio.std, recording.std(signal));

    std::vector<float> truth(static_cast<std::size_t>(all_labels * classes_));
    fill_frames(*item.events, truth.data(), all_labels, static_cast<std::int32_t>(classes_));
    append(audio.target, {truth.data() + first_label * classes_, {labels * classes_}});
  }
  return audio;
}

double draw_beta(double alpha, const RandomKey& key) {
  // Joehnk: accept (u, v) with u^(1/a) + v^(1/a) <= 1. For the alphas of mix-up (0.1 .. 1) nearly every pair passes;
  // in logarithms, because u^10 underflows.
  for (std::uint64_t attempt = 0;; attempt += 2) {
    const double u = std::log(1 - uniform_double(key, attempt)) / alpha;
    const double v = std::log(1 - uniform_double(key, attempt + 1)) / alpha;
    const double top = std::max(u, v);
    const double log_sum = top + std::log(std::exp(u - top) + std::exp(v - top));
    if (log_sum <= 0) return std::exp(u - log_sum);
  }
}

}  // namespace dcase
