#include <omp.h>

#include <algorithm>

#include "kernels/mel_stft/mel_edge.hpp"
#include "kernels/mel_stft/mel_plan.hpp"
#include "kernels/mel_stft/mel_stft.hpp"
#include "kernels/mel_stft/mel_variants.hpp"

namespace dcase {

void check(const MelForward& a, const MelParameters& p) {
  DCASE_CHECK(a.pcm.f32.present() != a.pcm.i16.present(), "mel_forward: pcm needs either float or 16-bit samples");
  DCASE_CHECK(a.pcm.rank() == 1, "mel_forward: pcm has ", a.pcm.rank(), " axes, expected [S]");
  const std::int64_t S = a.pcm.dim(0);
  DCASE_CHECK(S >= 2, "mel_forward: pcm has ", S, " samples; a frame needs at least 2");
  DCASE_CHECK(a.out.rank == 2, "mel_forward: out has shape ", shape_string(a.out), ", expected [M,T]");
  const std::int64_t T = a.out.dim(1);
  check_shape("mel_forward", "out", a.out, {p.mels, T});
  const std::int64_t available = mel_frames(S, p);
  DCASE_CHECK(a.first_frame >= 0 && a.first_frame <= available && T <= available - a.first_frame,
              "mel_forward: frames ", a.first_frame, " .. ", a.first_frame + T, " of ", available, " (", S,
              " samples)");
  if (T == 0) return;
  const std::int64_t half = p.window / 2;
  DCASE_CHECK(a.left == EdgeRule::kReflect || a.first_frame * p.hop >= half, "mel_forward: frame ", a.first_frame,
              " reaches beyond the left end of the pcm, which is not an end of the signal");
  const std::int64_t last = a.first_frame + T - 1;
  DCASE_CHECK(a.right == EdgeRule::kReflect || last * p.hop + half < S, "mel_forward: frame ", last,
              " reaches beyond the right end of the pcm (", S, " samples), which is not an end of the signal");
}

namespace {

// `samples` of them from pcm[begin] on.
PcmView part_of(const PcmView& pcm, std::int64_t begin, std::int64_t samples) {
  return pcm.f32.present() ? PcmView(View<const float>(pcm.f32.data + begin, {samples}))
                           : PcmView(View<const std::int16_t>(pcm.i16.data + begin, {samples}), pcm.scale);
}

// Item n of a batch of equal lengths.
MelForward batch_item(const MelBatchForward& a, std::int64_t n) {
  const std::int64_t S = a.pcm.dim(1);
  const std::int64_t M = a.out.dim(1);
  const std::int64_t T = a.out.dim(2);
  return {.pcm = part_of(a.pcm, n * S, S),
          .first_frame = a.first_frame,
          .left = a.left,
          .right = a.right,
          .log = a.log,
          .out = View<float>(a.out.data + n * M * T, {M, T})};
}

// Item n of a pool in memory of the CPU.
MelForward pool_item(const MelBatchForward& a, std::int64_t n) {
  const MelCrop& crop = a.crops[n];
  const std::int64_t P = a.pcm.dim(0);
  DCASE_CHECK(crop.begin >= 0 && crop.samples >= 0 && crop.begin <= P && crop.samples <= P - crop.begin,
              "mel_batch_forward: crop ", n, " is of ", crop.samples, " samples from ", crop.begin,
              " on, the pool has ", P);
  const std::int64_t M = a.out.dim(1);
  const std::int64_t T = a.out.dim(2);
  return {.pcm = part_of(a.pcm, crop.begin, crop.samples),
          .first_frame = crop.first_frame,
          .log = a.log,
          .out = View<float>(a.out.data + n * M * T, {M, T})};
}

}  // namespace

void check(const MelBatchForward& a, const MelParameters& p) {
  DCASE_CHECK(a.pcm.f32.present() != a.pcm.i16.present(),
              "mel_batch_forward: pcm needs either float or 16-bit samples");
  const bool pool = a.crops.present();
  DCASE_CHECK(a.pcm.rank() == (pool ? 1 : 2), "mel_batch_forward: ", pool ? "a pool" : "a batch", " of pcm has ",
              a.pcm.rank(), " axes, expected ", pool ? "[P]" : "[N,S]");
  DCASE_CHECK(!pool || a.crops.rank == 1, "mel_batch_forward: crops has shape ", shape_string(a.crops),
              ", expected [N]");
  const std::int64_t N = pool ? a.crops.dim(0) : a.pcm.dim(0);
  const std::int64_t T = a.out.rank >= 3 ? a.out.dim(2) : 0;
  if (a.out.rank == 4) {
    check_shape("mel_batch_forward", "out", a.out, {N, p.mels, T, 1});
  } else {
    check_shape("mel_batch_forward", "out", a.out, {N, p.mels, T});
  }
  if (N > 0 && !pool) check(batch_item(a, 0), p);
}

namespace cpu {

namespace {

bool always() { return true; }

#if defined(DCASE_X86_VARIANTS)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}
constexpr MelVariant kVariants[] = {
    {.name = "avx512", .lanes = avx512::kLanes, .supported = has_avx512, .run = avx512::mel_lanes},
    {.name = "avx2", .lanes = avx2::kLanes, .supported = has_avx2, .run = avx2::mel_lanes},
    {.name = "baseline", .lanes = baseline::kLanes, .supported = always, .run = baseline::mel_lanes},
};
#else
constexpr MelVariant kVariants[] = {
    {.name = "baseline", .lanes = baseline::kLanes, .supported = always, .run = baseline::mel_lanes},
};
#endif

/// y[first .. first+count-1] of the pre-emphasised, mirrored signal.
template <class Sample>
void preemphasise(const Sample* x, float scale, std::int64_t length, std::int64_t first, std::int64_t count,
                  float factor, float* y) {
  const auto value = [x, scale, factor](std::int64_t n) {
    return static_cast<float>(x[n + 1]) * scale - factor * (static_cast<float>(x[n]) * scale);
  };
  const std::int64_t inner_begin = std::clamp<std::int64_t>(-first, 0, count);
  const std::int64_t inner_end = std::clamp<std::int64_t>(length - first, inner_begin, count);
  for (std::int64_t i = 0; i < inner_begin; ++i) y[i] = value(mirrored(first + i, length));
  for (std::int64_t i = inner_begin; i < inner_end; ++i) y[i] = value(first + i);
  for (std::int64_t i = inner_end; i < count; ++i) y[i] = value(mirrored(first + i, length));
}

}  // namespace

std::span<const MelVariant> mel_variants() { return kVariants; }

void mel_forward(std::span<const MelForward> items, const MelTables& tables, const Context& context,
                 const MelVariant& variant) {
  const MelPlan& plan = tables.plan();
  const MelParameters& p = plan.parameters;
  const std::int64_t lanes = variant.lanes;
  std::vector<std::int64_t> first_block = {0};  // of item i; one more than there are items
  for (const MelForward& a : items) {
    check(a, p);
    first_block.push_back(first_block.back() + (a.out.dim(1) + lanes - 1) / lanes);
  }
  const std::int64_t blocks = first_block.back();
  if (blocks == 0) return;

  const MelLanes shared = {.n_fft = p.n_fft,
                           .rows = plan.rows,
                           .window_size = p.window,
                           .hop = p.hop,
                           .mels = p.mels,
                           .levels = static_cast<int>(plan.levels.size()),
                           .window = plan.window_f.data(),
                           .twiddles = plan.twiddles.data(),
                           .level = plan.levels.data(),
                           .passes = plan.passes.data(),
                           .bins = plan.bins.data(),
                           .filters = plan.filters.data(),
                           .weights = plan.weights_f.data(),
                           .zero_floor = static_cast<float>(p.zero_floor)};
  const int threads = static_cast<int>(std::min<std::int64_t>(blocks, omp_get_max_threads()));
  const std::int64_t samples = (lanes - 1) * p.hop + p.window;
  const std::int64_t lane_floats = lanes * (plan.rows + p.n_fft + 1);
  const std::int64_t floats = (lane_floats + samples + 15) / 16 * 16;  // of one thread, whole cache lines
  const Scratch<float> scratch(context, floats * threads);
  const float factor = static_cast<float>(p.preemphasis);

#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t block = 0; block < blocks; ++block) {
    const auto next = std::upper_bound(first_block.begin(), first_block.end(), block);
    const MelForward& a = items[static_cast<std::size_t>(next - first_block.begin() - 1)];
    const std::int64_t t = (block - *(next - 1)) * lanes;
    const std::int64_t T = a.out.dim(1);
    MelLanes lane_block = shared;
    lane_block.scratch = scratch.data() + floats * omp_get_thread_num();
    lane_block.log = a.log;
    lane_block.frames = static_cast<int>(std::min(lanes, T - t));
    lane_block.out = a.out.data + t;
    lane_block.out_stride = T;
    float* y = lane_block.scratch + lane_floats;
    lane_block.samples = y;
    const std::int64_t first = (a.first_frame + t) * p.hop - p.window / 2;
    const std::int64_t used = (lane_block.frames - 1) * p.hop + p.window;
    const std::int64_t length = a.pcm.dim(0) - 1;
    if (a.pcm.f32.present()) {
      preemphasise(a.pcm.f32.data, 1.0F, length, first, used, factor, y);
    } else {
      preemphasise(a.pcm.i16.data, a.pcm.scale, length, first, used, factor, y);
    }
    std::fill(y + used, y + samples, 0.0F);  // lanes without a frame
    variant.run(lane_block);
  }
}

void mel_forward(std::span<const MelForward> items, const MelTables& tables, const Context& context) {
  const auto variant =
      std::find_if(std::begin(kVariants), std::end(kVariants), [](const MelVariant& v) { return v.supported(); });
  mel_forward(items, tables, context, *variant);
}

void mel_batch_forward(const MelBatchForward& a, const MelTables& tables, const Context& context) {
  check(a, tables.parameters());
  std::vector<MelForward> items;
  for (std::int64_t n = 0; n < a.out.dim(0); ++n) {
    items.push_back(a.crops.present() ? pool_item(a, n) : batch_item(a, n));
  }
  cpu::mel_forward(items, tables, context);
}

}  // namespace cpu

}  // namespace dcase
