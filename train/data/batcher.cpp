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

std::span<const float> values_of(View<const float> view) { return {view.data, static_cast<std::size_t>(view.size())}; }

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
  const std::int64_t N = options_.batch_size;
  const std::int64_t T = options_.crop_frames;
  Batch batch{.task = source_.task, .x = Tensor({N, tables_.parameters().mels, T, 1}, backend_), .target = {}};
  source_.task == Task::kSed ? make_sed(chosen, step, batch) : make_clips(chosen, step, batch);
  if (options_.mixup_alpha > 0 && step >= options_.mixup_from_step) mix(step, batch);
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

void Batcher::make_clips(const std::vector<Example>& chosen, std::int64_t step, Batch& batch) const {
  const std::int64_t N = options_.batch_size;
  // One sample more than the frames span: pre-emphasis takes it.
  const std::int64_t S = (options_.crop_frames - 1) * tables_.parameters().hop + 1;
  std::vector<float> samples(static_cast<std::size_t>(N * S));
  std::vector<float> target(static_cast<std::size_t>(N * classes_));
  for (std::int64_t n = 0; n < N; ++n) {
    const Example& example = chosen[static_cast<std::size_t>(n)];
    const std::uint64_t draw = (static_cast<std::uint64_t>(step) << 32U) | static_cast<std::uint64_t>(n);
    cut_clip(example, draw, {samples.data() + n * S, {S}});
    const Item& item = source_.dataset->items[static_cast<std::size_t>(example.item)];
    fill_row(source_.task == Task::kAsc ? *item.scene : *item.tags, target.data() + n * classes_,
             static_cast<std::int32_t>(classes_));
  }
  batch.target = Tensor::from({N, classes_}, target, backend_);
  const Tensor pcm = Tensor::from({N, S}, samples, backend_);
  mel_batch_forward(MelBatchForward{.pcm = View<const float>(pcm), .out = batch.x}, tables_, backend_->context());
  mel_normalize({.x = batch.x, .mean = {}, .std = {}}, tables_.parameters(), backend_->context());
}

// Frames of the middle of a recording, with their true neighbours and the statistics of the whole of it.
void Batcher::make_sed(const std::vector<Example>& chosen, std::int64_t step, Batch& batch) const {
  const MelParameters& p = tables_.parameters();
  const std::int64_t T = options_.crop_frames;
  const std::int64_t labels = T / kFramesPerLabel;
  const RandomKey key{options_.seed, purpose("crop", Task::kSed), static_cast<std::uint32_t>(step)};
  std::vector<float> target(chosen.size() * static_cast<std::size_t>(labels * classes_));
  for (std::size_t n = 0; n < chosen.size(); ++n) {
    const PcmCache::Item& audio = source_.cache.item(chosen[n].item);
    const int signal = chosen[n].signal;
    const Item& item = source_.dataset->items[static_cast<std::size_t>(chosen[n].item)];
    // The recording's length in samples, padded or cut where the layout says so, and at least the crop.
    const auto padded = static_cast<std::int64_t>(std::llround(item.padded_seconds * p.sample_rate));
    const std::int64_t length = std::max(padded > 0 ? padded : audio.samples(), T * p.hop);
    const std::int64_t all_labels = length / (kFramesPerLabel * p.hop);
    const auto choices = static_cast<std::uint32_t>(std::max<std::int64_t>(all_labels - labels, 1));
    const auto first_label = static_cast<std::int64_t>(uniform_below(key, n, choices));
    const std::int64_t first_frame = first_label * kFramesPerLabel;

    // Half a window reaches one hop beyond the frames at either side; at the ends of the recording it is mirrored.
    const std::int64_t begin = std::max<std::int64_t>(first_frame - 1, 0) * p.hop;
    const std::int64_t end = std::min(length, (first_frame + T) * p.hop + 1);
    std::vector<float> samples(static_cast<std::size_t>(end - begin));
    read_samples(audio, signal, begin, end - begin, samples.data());
    const Tensor pcm = Tensor::from({end - begin}, samples, backend_);
    const View<float> out(batch.x.data() + static_cast<std::int64_t>(n) * p.mels * T, {p.mels, T});
    mel_forward(MelForward{.pcm = View<const float>(pcm),
                           .first_frame = first_frame - begin / p.hop,
                           .left = begin > 0 ? EdgeRule::kNeighbour : EdgeRule::kReflect,
                           .right = end < length ? EdgeRule::kNeighbour : EdgeRule::kReflect,
                           .out = out},
                tables_, backend_->context());
    const Tensor mean = Tensor::from({p.mels}, values_of(audio.mean(signal)), backend_);
    const Tensor std = Tensor::from({p.mels}, values_of(audio.std(signal)), backend_);
    mel_normalize({.x = out, .mean = mean, .std = std}, p, backend_->context());

    std::vector<float> truth(static_cast<std::size_t>(all_labels * classes_));
    fill_frames(*item.events, truth.data(), all_labels, static_cast<std::int32_t>(classes_));
    std::copy_n(truth.data() + first_label * classes_, labels * classes_,
                target.data() + static_cast<std::int64_t>(n) * labels * classes_);
  }
  batch.target = Tensor::from({static_cast<std::int64_t>(chosen.size()), labels, classes_}, target, backend_);
}

void Batcher::mix(std::int64_t step, Batch& batch) const {
  const std::int64_t N = options_.batch_size;
  const auto draw = static_cast<std::uint32_t>(step);
  const double lam = draw_beta(options_.mixup_alpha, {options_.seed, purpose("mixup", source_.task), draw});
  const auto partners = Array<std::int64_t>::from(
      permutation(N, {options_.seed, purpose("mixup_partner", source_.task), draw}), backend_);
  for (Tensor* tensor : {&batch.x, &batch.target}) {
    const Tensor mixed = tensor->like();
    mixup<float>({.x = *tensor, .perm = partners.view(), .lam = lam, .y = mixed}, backend_->context());
    *tensor = mixed;
  }
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
