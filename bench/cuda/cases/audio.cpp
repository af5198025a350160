// From samples to log-mel: the front end at the batches of joint training, and resampling.

#include <cmath>

#include "bench/cuda/case.hpp"
#include "kernels/mel_stft/mel_stft.hpp"
#include "kernels/resample/resample.hpp"

namespace dcase::bench::gpu {
namespace {

constexpr std::int64_t kRate = 24000;
constexpr double kBound = 1e-5;  // everything is float in every precision

struct Mel {
  MelTables tables;
  Tensor pcm, out;
  MelBatchForward args;
};

Prepared mel(std::int64_t items, std::int64_t samples, const Setting& s) {
  const auto m = std::make_shared<Mel>();
  const MelParameters& p = m->tables.parameters();
  m->pcm = on_device(s, "pcm", {items, samples}, 0.1F);
  m->out = Tensor({items, p.mels, mel_frames(samples)}, s.backend);
  m->args = {.pcm = View<const float>(m->pcm.view()), .out = m->out};
  // A real transform of n points as a complex one of n / 2: 2.5 n log2 n, and two filters a bin.
  const double n = p.n_fft;
  const double frames = static_cast<double>(items * m->out.dim(2));
  const Cost cost{.flops = frames * (2.5 * n * std::log2(n) + 2 * n),
                  .bytes = sizeof(float) * static_cast<double>(m->pcm.size() + m->out.size())};
  Prepared prepared = by_table(cuda::mel_batch_variants(), {m->args, m->tables}, s, {m->out}, cost, m);
  prepared.bound = kBound;
  return prepared;
}

struct Signals {
  explicit Signals(int rate) : filter(rate, static_cast<int>(kRate)) {}
  ResampleFilter filter;
  Tensor x, y;
  ResampleForward args = {};
};

Prepared resampling(int rate, std::int64_t items, std::int64_t samples, const Setting& s) {
  const auto r = std::make_shared<Signals>(rate);
  r->x = on_device(s, "x", {items, samples}, 0.1F);
  r->y = Tensor({items, resampled_length(samples, rate, kRate)}, s.backend);
  r->args = {.x = r->x, .y = r->y};
  const Cost cost{.flops = 2.0 * r->filter.taps() * static_cast<double>(r->y.size()),
                  .bytes = sizeof(float) * static_cast<double>(r->x.size() + r->y.size())};
  Prepared prepared = by_table(cuda::resample_variants(), {r->args, r->filter}, s, {r->y}, cost, r);
  prepared.bound = kBound;
  return prepared;
}

}  // namespace

void add_audio(std::vector<DeviceCase>& cases, bool tiny) {
  for (const auto& [items, seconds] : {std::pair{64, 5}, {24, 30}}) {
    const std::int64_t N = tiny ? 2 : items;
    const std::int64_t samples = tiny ? 1500 : seconds * kRate;
    cases.push_back({concat("mel_batch/", items, "x", seconds, "s"), concat("[", N, ",", samples, "] samples"),
                     [N, samples](const Setting& s) { return mel(N, samples, s); }});
  }
  for (const int rate : {44100, 48000}) {
    const std::int64_t N = tiny ? 1 : 24;
    const std::int64_t samples = tiny ? 2000 : std::int64_t{30} * rate;
    cases.push_back({concat("resample/", rate), concat("[", N, ",", samples, "] samples, ", rate, " -> 24000 Hz"),
                     [rate, N, samples](const Setting& s) { return resampling(rate, N, samples, s); }});
  }
}

}  // namespace dcase::bench::gpu
