#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <vector>

#include "kernels/common/launch.hpp"
#include "kernels/mel_stft/mel_plan.hpp"
#include "kernels/mel_stft/mel_stft.hpp"
#include "kernels/mel_stft/mel_stft_kernels.cuh"

namespace dcase::cuda {
namespace {

// exp(-2 pi i turns)
float2 root(double turns) {
  const double angle = 2 * std::numbers::pi * turns;
  return {static_cast<float>(std::cos(angle)), static_cast<float>(-std::sin(angle))};
}

// The tables in the memory of the context's device; the first use there copies them, in one block.
MelDeviceTables device_tables(const MelTables& tables, const Context& context) {
  const cpu::MelPlan& plan = tables.plan();
  const auto n_fft = static_cast<std::size_t>(plan.parameters.n_fft);
  std::size_t bytes = 0;
  const auto reserve = [&bytes](std::size_t size) {
    const std::size_t at = bytes;
    bytes += (size + 15) / 16 * 16;
    return at;
  };
  const std::size_t window = reserve(plan.window.size() * sizeof(double));
  const std::size_t cosine = reserve(n_fft * sizeof(double));
  const std::size_t weights = reserve(plan.weights_f.size() * sizeof(float));
  const std::size_t filters = reserve(plan.filters.size() * sizeof(MelFilter));
  const std::size_t half_window = reserve(plan.window.size() * sizeof(float));
  const std::size_t turns = reserve(std::size_t{12 * 32} * sizeof(float2));
  const std::size_t separation = reserve(std::size_t{kFftPoints} / 2 * sizeof(float2));

  const std::byte* const block =
      plan.device_copies.get(static_cast<std::int64_t>(bytes), context, [&](std::byte* device) {
        std::vector<std::byte> host(bytes);
        const auto put = [&host](std::size_t at, const auto& values) {
          std::memcpy(host.data() + at, values.data(), values.size() * sizeof(values[0]));
        };
        std::vector<double> cosines;
        for (std::size_t i = 0; i < n_fft; ++i) {
          cosines.push_back(std::cos(2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(n_fft)));
        }
        std::vector<float> halves;
        for (const float value : plan.window_f) halves.push_back(0.5F * value);
        std::vector<float2> turned;
        for (const int step : {1, 4}) {
          for (int power = 0; power < (step == 1 ? 4 : 8) * step; power += step) {
            for (int n = 0; n < 32; ++n) turned.push_back(root(static_cast<double>(power * n) / kFftPoints));
          }
        }
        std::vector<float2> separating;
        for (int k = 0; k < kFftPoints / 2; ++k) separating.push_back(root(static_cast<double>(k) / kFftSize));
        put(window, plan.window);
        put(cosine, cosines);
        put(weights, plan.weights_f);
        put(filters, plan.filters);
        put(half_window, halves);
        put(turns, turned);
        put(separation, separating);
        // The runtime has taken pageable memory when the call returns.
        DCASE_CUDA_CALL(cudaMemcpyAsync(device, host.data(), bytes, cudaMemcpyHostToDevice,
                                        static_cast<cudaStream_t>(context.stream.handle)));
      });
  return {.window = reinterpret_cast<const double*>(block + window),
          .cosine = reinterpret_cast<const double*>(block + cosine),
          .weights = reinterpret_cast<const float*>(block + weights),
          .filters = reinterpret_cast<const MelFilter*>(block + filters),
          .half_window = reinterpret_cast<const float*>(block + half_window),
          .turns = reinterpret_cast<const float2*>(block + turns),
          .separation = reinterpret_cast<const float2*>(block + separation)};
}

template <class Sample>
MelArguments<Sample> arguments(const MelBatch& batch, const View<const Sample>& pcm, const Context& context) {
  const MelBatchForward& a = batch.args;
  const MelParameters& p = batch.tables.parameters();
  return {.pcm = pcm.data,
          .scale = a.pcm.scale,
          .crops = a.crops.data,
          .samples = pcm.dim(a.crops.present() ? 0 : 1),
          .first_frame = a.first_frame,
          .items = a.out.dim(0),
          .frames = a.out.dim(2),
          .out = a.out.data,
          .window = p.window,
          .hop = p.hop,
          .mels = p.mels,
          .n_fft = p.n_fft,
          .preemphasis = static_cast<float>(p.preemphasis),
          .zero_floor = static_cast<float>(p.zero_floor),
          .log = a.log ? 1 : 0,
          .tables = device_tables(batch.tables, context)};
}

unsigned checked_blocks(std::int64_t blocks) {
  DCASE_CHECK(blocks <= std::numeric_limits<int>::max(), "mel_forward: ", blocks,
              " blocks, at most 2147483647: fewer items at a time");
  return static_cast<unsigned>(blocks);
}

template <class Sample>
void launch_fft(const MelArguments<Sample>& g, const Context& context) {
  launch(mel_fft_kernel<Sample>,
         {.grid = checked_blocks((g.frames + kFftFrames - 1) / kFftFrames * g.items),
          .block = kFftThreads,
          .smem = kFftSharedBytes,
          .stream = context.stream,
          .name = "mel_fft"},
         g);
}

template <class Sample>
void launch_simple(const MelArguments<Sample>& g, const Context& context) {
  launch(mel_simple_kernel<Sample>,
         {.grid = checked_blocks((g.items * g.mels * g.frames + kMelSimpleThreads - 1) / kMelSimpleThreads),
          .block = kMelSimpleThreads,
          .stream = context.stream,
          .name = "mel_simple"},
         g);
}

bool takes_fft(const MelBatch& batch, const Context&) {
  const MelParameters& p = batch.tables.parameters();
  return p.n_fft == kFftSize && p.window <= kLongestWindow;
}
void run_fft(const MelBatch& batch, const Context& context) {
  const PcmView& pcm = batch.args.pcm;
  pcm.f32.present() ? launch_fft(arguments(batch, pcm.f32, context), context)
                    : launch_fft(arguments(batch, pcm.i16, context), context);
}

bool takes_all(const MelBatch&, const Context&) { return true; }
void run_simple(const MelBatch& batch, const Context& context) {
  const PcmView& pcm = batch.args.pcm;
  pcm.f32.present() ? launch_simple(arguments(batch, pcm.f32, context), context)
                    : launch_simple(arguments(batch, pcm.i16, context), context);
}

constexpr Variant<MelBatch> kVariants[] = {{.name = "fft", .takes = takes_fft, .run = run_fft},
                                           {.name = "simple", .takes = takes_all, .run = run_simple}};

}  // namespace

std::span<const Variant<MelBatch>> mel_batch_variants() { return kVariants; }

void mel_batch_forward(const MelBatchForward& a, const MelTables& tables, const Context& context) {
  check(a, tables.parameters());
  if (a.out.size() == 0) return;
  const MelBatch batch{a, tables};
  choose_variant(mel_batch_variants(), batch, context).run(batch, context);
}

// One launch each: items differ in length.
void mel_forward(std::span<const MelForward> items, const MelTables& tables, const Context& context) {
  for (const MelForward& a : items) check(a, tables.parameters());
  for (const MelForward& a : items) {
    const std::int64_t S = a.pcm.dim(0);
    const PcmView pcm = a.pcm.f32.present() ? PcmView(View<const float>(a.pcm.f32.data, {1, S}))
                                            : PcmView(View<const std::int16_t>(a.pcm.i16.data, {1, S}), a.pcm.scale);
    cuda::mel_batch_forward({.pcm = pcm,
                             .crops = {},
                             .first_frame = a.first_frame,
                             .left = a.left,
                             .right = a.right,
                             .log = a.log,
                             .out = View<float>(a.out.data, {1, a.out.dim(0), a.out.dim(1)})},
                            tables, context);
  }
}

}  // namespace dcase::cuda
