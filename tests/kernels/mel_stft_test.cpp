#include <omp.h>

#include <cmath>
#include <string>
#include <vector>

#include "engine/archive.hpp"
#include "kernels/mel_stft/mel_stft.hpp"
#include "kernels/mel_stft/mel_stft_ref.hpp"
#include "kernels/mel_stft/mel_variants.hpp"
#include "kernels/mixup/mixup.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/test.hpp"

namespace dcase {

namespace {

using test::Buffer;
using test::check_close;
using test::CpuContext;

template <class T>
View<const T> view_of(const std::vector<T>& values) {
  return View<const T>(values.data(), {static_cast<std::int64_t>(values.size())});
}

std::vector<std::int16_t> pcm16(const Archive& archive, const std::string& name) {
  std::vector<std::int16_t> samples;
  for (const std::int64_t v : archive.integers(name)) samples.push_back(static_cast<std::int16_t>(v));
  return samples;
}

/// A parameter set far from the default: window above n_fft/2, odd number of mels, hop that divides nothing.
MelParameters other_parameters() {
  return {.sample_rate = 8000, .n_fft = 256, .window = 150, .hop = 37, .mels = 13, .f_min = 50, .f_max = 3700};
}

/// Deterministic noise with a slow swell, so that no two frames are alike.
std::vector<float> noise(std::int64_t samples) {
  Buffer<float> buffer({samples});
  buffer.fill_uniform("mel noise", -0.5, 0.5);
  std::vector<float> x;
  for (std::int64_t i = 0; i < samples; ++i)
    x.push_back(buffer[i] * static_cast<float>(0.2 + std::abs(std::sin(0.001 * static_cast<double>(i)))));
  return x;
}

/// All frames of a whole signal.
std::vector<float> log_mel(const std::vector<float>& x, const MelTables& tables, const Context& context) {
  const std::int64_t M = tables.parameters().mels;
  const std::int64_t T = mel_frames(static_cast<std::int64_t>(x.size()), tables.parameters());
  std::vector<float> out(static_cast<std::size_t>(M * T));
  mel_forward({.pcm = view_of(x), .out = View<float>(out.data(), {M, T})}, tables, context);
  return out;
}

}  // namespace

TEST_CASE("mel_stft: stored reference signals", "[mel_stft]") {
  struct Signal {
    const char* name;
    double log_tolerance;
    double norm_tolerance;
  };
  // Tones leave bins far below the frame's peak, where float rounding of the transform shows (golden/README.md).
  // In silence the norm is the rounding of a mean divided by the floor 0.001.
  const auto signal =
      GENERATE(Signal{"sweep", 2e-3, 1e-3}, Signal{"noise", 5e-4, 5e-4}, Signal{"clicks", 5e-4, 5e-4},
               Signal{"silence", 1e-6, 5e-3}, Signal{"half_silence", 5e-4, 5e-4}, Signal{"short_0p3s", 5e-4, 5e-4},
               Signal{"long_10s", 2e-3, 1e-3}, Signal{"quiet", 5e-4, 5e-4});
  const Archive archive = Archive::open(test::golden("mel.safetensors"));
  const CpuContext context;
  const MelTables tables;
  const std::string name = signal.name;
  const std::vector<std::int16_t> pcm = pcm16(archive, name + ".pcm16");
  const std::vector<float> logmel = archive.floats(name + ".logmel");
  const std::vector<float> norm = archive.floats(name + ".norm");
  const std::int64_t T = mel_frames(static_cast<std::int64_t>(pcm.size()));
  REQUIRE(static_cast<std::int64_t>(logmel.size()) == 128 * T);
  for (const cpu::MelVariant& variant : cpu::mel_variants()) {
    if (!variant.supported()) continue;
    const std::string what = name + " by " + variant.name;
    Buffer<float> out({128, T});
    const MelForward item = {.pcm = PcmView(view_of(pcm)), .out = out.view()};
    cpu::mel_forward(std::span(&item, 1), tables, context, variant);
    CHECK(out.guards_intact());
    check_close(what + ", logmel", out.view(), view_of(logmel), signal.log_tolerance, 0);
    mel_normalize({.x = out.view()}, tables.parameters(), context);
    check_close(what + ", norm", out.view(), view_of(norm), signal.norm_tolerance, 0);
    if (name == "silence") continue;
    double difference = 0;
    double total = 0;
    for (std::int64_t i = 0; i < out.size(); ++i) {
      difference += std::pow(out[i] - norm[static_cast<std::size_t>(i)], 2);
      total += std::pow(norm[static_cast<std::size_t>(i)], 2);
    }
    INFO(what);
    CHECK(std::sqrt(difference / total) < 2e-5);
  }
}

TEST_CASE("mel_stft: a clip below 40 frames, repeated for tagging", "[mel_stft]") {
  const Archive archive = Archive::open(test::golden("mel.safetensors"));
  const CpuContext context;
  const MelTables tables;
  const std::vector<std::int16_t> pcm = pcm16(archive, "short_0p3s.pcm16");
  const std::int64_t T = mel_frames(static_cast<std::int64_t>(pcm.size()));
  const std::int64_t T2 = doubled_frames(T, 40);
  REQUIRE(T == 15);
  REQUIRE(T2 == 60);
  Buffer<float> once({128, T});
  Buffer<float> repeated({128, T2});
  mel_forward({.pcm = PcmView(view_of(pcm)), .out = once.view()}, tables, context);
  mel_repeat({.x = once.view(), .y = repeated.view()}, context);
  check_close("logmel", repeated.view(), view_of(archive.floats("short_0p3s_tageval.logmel")), 5e-4, 0);
  mel_normalize({.x = repeated.view()}, tables.parameters(), context);
  check_close("norm", repeated.view(), view_of(archive.floats("short_0p3s_tageval.norm")), 5e-4, 0);
}

TEST_CASE("mel_stft: the filter bank and pre-emphasis are the stored ones", "[mel_stft]") {
  const Archive archive = Archive::open(test::golden("mel.safetensors"));
  const MelTables tables;
  const std::vector<float> bank = archive.floats("fb64");  // [1025, 128]
  std::vector<float> dense(1025 * 128);
  for (std::size_t m = 0; m < 128; ++m) {
    const MelFilter filter = tables.filters()[m];
    CHECK(filter.bins > 0);
    for (int i = 0; i < filter.bins; ++i)
      dense[static_cast<std::size_t>(filter.first_bin + i) * 128 + m] =
          static_cast<float>(tables.weights()[static_cast<std::size_t>(filter.offset + i)]);
  }
  check_close("filter bank", view_of(dense), view_of(bank), 1e-6, 0);

  std::vector<double> x;
  for (const std::int16_t v : pcm16(archive, "noise.pcm16")) x.push_back(v / 32768.0);
  x.resize(4097);
  check_close("pre-emphasis", view_of(ref::preemphasis(x, 0.97)), view_of(archive.doubles("preemph.noise")), 1e-7, 0);
}

TEST_CASE("mel_stft: every variant equals the double reference", "[mel_stft]") {
  const bool other = GENERATE(false, true);
  const MelParameters p = other ? other_parameters() : MelParameters{};
  // Lengths around the mirrored edge: one pre-emphasised sample, less than half a window, less than n_fft/2, whole
  // frames.
  const std::int64_t S = GENERATE(2, 3, 72, 481, 900, 2600);
  const std::vector<float> x = noise(S);
  const std::int64_t T = mel_frames(S, p);
  const std::vector<double> power = ref::mel_power(std::vector<double>(x.begin(), x.end()), p, 0, T);
  const std::vector<double> logs = ref::mel_log(power, p);
  const CpuContext context;
  const MelTables tables(p);
  for (const cpu::MelVariant& variant : cpu::mel_variants()) {
    if (!variant.supported()) continue;
    for (const bool log : {true, false}) {
      Buffer<float> out({p.mels, T});
      const MelForward item = {.pcm = view_of(x), .log = log, .out = out.view()};
      cpu::mel_forward(std::span(&item, 1), tables, context, variant);
      CHECK(out.guards_intact());
      // Rounding of the transform is relative to the frame's largest bin, not to each mel row: 1e-4 of a log, where
      // noise has no deep valleys.
      const std::string what = concat(variant.name, ", n_fft ", p.n_fft, ", S ", S);
      check_close(what, out.view(), view_of(log ? logs : power), log ? 1e-4 : 1e-7, log ? 0 : 1e-4);
    }
  }
}

TEST_CASE("mel_stft: a part of a recording has the frames of the whole, bit for bit", "[mel_stft]") {
  const CpuContext context;
  const MelTables tables;
  const std::int64_t S = 48123;
  const std::vector<float> x = noise(S);
  const std::int64_t T = mel_frames(S);
  const std::vector<float> whole = log_mel(x, tables, context);
  const auto check_part = [&](const MelForward& item, std::int64_t first) {
    mel_forward(item, tables, context);
    std::int64_t different = 0;
    for (std::int64_t m = 0; m < 128; ++m)
      for (std::int64_t t = 0; t < item.out.dim(1); ++t)
        different += item.out[m * item.out.dim(1) + t] != whole[static_cast<std::size_t>(m * T + first + t)];
    CHECK(different == 0);
  };

  Buffer<float> out({128, 37});
  SECTION("the pcm is whole, frames are asked for from the middle, the start and the end") {
    const std::int64_t first = GENERATE(41, 0, 64);
    check_part({.pcm = view_of(x), .first_frame = first, .out = out.view()}, first);
  }
  SECTION("the pcm is a span whose neighbours stand in it") {
    const std::int64_t hop = tables.parameters().hop;
    // Frames 41 .. 77 of the recording from samples of frame 40 to just what frame 77 needs.
    const View<const float> span(x.data() + 40 * hop, {37 * hop + hop + 1});
    check_part(
        {.pcm = span, .first_frame = 1, .left = EdgeRule::kNeighbour, .right = EdgeRule::kNeighbour, .out = out.view()},
        41);
    // Its last block ends the recording, its first one starts it.
    const View<const float> tail(x.data() + 40 * hop, {S - 40 * hop});
    check_part({.pcm = tail, .first_frame = 24, .left = EdgeRule::kNeighbour, .out = out.view()}, 64);
    const View<const float> head(x.data(), {37 * hop + 1});
    check_part({.pcm = head, .right = EdgeRule::kNeighbour, .out = out.view()}, 0);
    // One sample fewer, or one frame earlier, and the neighbour is missing.
    const View<const float> cut(x.data(), {37 * hop});
    CHECK_THROWS_AS(mel_forward({.pcm = cut, .right = EdgeRule::kNeighbour, .out = out.view()}, tables, context),
                    Error);
    CHECK_THROWS_AS(mel_forward({.pcm = tail, .left = EdgeRule::kNeighbour, .out = out.view()}, tables, context),
                    Error);
  }
}

TEST_CASE("mel_stft: results do not depend on batch, sample type, threads", "[mel_stft]") {
  const CpuContext context;
  const MelTables tables;
  const std::int64_t N = 3;
  const std::int64_t S = 9700;
  const std::int64_t T = mel_frames(S);
  std::vector<std::int16_t> pcm;  // [N,S], a part of it silent
  std::vector<float> x;
  for (const float v : noise(N * S)) {
    pcm.push_back(static_cast<std::int16_t>(pcm.size() < 4000 ? 0 : std::lround(v * 30000)));
    x.push_back(static_cast<float>(pcm.back()) * 0x1p-17F);
  }
  const std::vector<float> threads_1 = [&] {
    std::vector<float> out;
    for (std::int64_t n = 0; n < N; ++n) {
      const std::vector<float> item(x.begin() + n * S, x.begin() + (n + 1) * S);
      const std::vector<float> one = log_mel(item, tables, context);
      out.insert(out.end(), one.begin(), one.end());
    }
    return out;
  }();
  CHECK(threads_1[0] == std::log(1e-7F));  // the first frame of silence, beside frames that are not silent
  const int threads = omp_get_max_threads();
  for (const int count : {1, 2, 5}) {
    omp_set_num_threads(count);
    Buffer<float> out({N, 128, T, 1});
    mel_batch_forward({.pcm = PcmView(View<const std::int16_t>(pcm.data(), {N, S}), 0x1p-17F), .out = out.view()},
                      tables, context);
    CHECK(out.guards_intact());
    CHECK(std::equal(threads_1.begin(), threads_1.end(), out.view().data));
    Buffer<float> from_float({N, 128, T});
    mel_batch_forward({.pcm = View<const float>(x.data(), {N, S}), .out = from_float.view()}, tables, context);
    CHECK(std::equal(threads_1.begin(), threads_1.end(), from_float.view().data));
  }
  omp_set_num_threads(threads);
}

TEST_CASE("mel_stft: an item cut from a pool is the same signal on its own", "[mel_stft]") {
  const CpuContext context;
  const MelTables tables;
  constexpr std::int64_t kFrames = 3;
  const std::vector<float> x = noise(6000);
  const std::vector<MelCrop> crops = {{0, 1441, 0}, {777, 2500, 2}, {3000, 3000, 4}};
  Buffer<float> out({3, 128, kFrames, 1});
  mel_batch_forward({.pcm = view_of(x), .crops = View<const MelCrop>(crops.data(), {3}), .out = out.view()}, tables,
                    context);
  CHECK(out.guards_intact());
  for (std::size_t n = 0; n < crops.size(); ++n) {
    Buffer<float> alone({128, kFrames});
    mel_forward({.pcm = View<const float>(x.data() + crops[n].begin, {crops[n].samples}),
                 .first_frame = crops[n].first_frame,
                 .out = alone.view()},
                tables, context);
    CHECK(std::equal(alone.view().data, alone.view().data + alone.size(),
                     out.view().data + static_cast<std::int64_t>(n) * alone.size()));
  }
  for (const MelCrop bad : {MelCrop{-1, 1441, 0}, MelCrop{4560, 1441, 0}, MelCrop{0, 1440, 1}, MelCrop{0, 1440, -1},
                            MelCrop{0, INT64_MAX, 0}, MelCrop{6001, 0, 0}}) {
    CHECK_THROWS_AS(mel_batch_forward({.pcm = view_of(x),
                                       .crops = View<const MelCrop>(&bad, {1}),
                                       .out = View<float>(out.view().data, {1, 128, kFrames})},
                                      tables, context),
                    Error);
  }
}

TEST_CASE("mel_stft: mix-up in the pass that normalises is normalisation and then mix-up", "[mel_stft]") {
  const CpuContext context;
  const MelParameters p;
  Buffer<float> x({3, 4, 21, 1});
  x.fill_uniform("mixed rows", -20, 5);
  Buffer<float> means({3, 4});
  Buffer<float> stds({3, 4});
  means.fill_uniform("means", -10, 0);
  stds.fill_uniform("stds", 0.5, 3);  // values up to 30, whose last digit is 1.9e-6
  const std::vector<std::int64_t> partners = {2, 1, 0};
  for (const bool own : {true, false}) {
    const View<const float> mean = own ? View<const float>() : View<const float>(means.view());
    const View<const float> std = own ? View<const float>() : View<const float>(stds.view());
    Buffer<float> y({3, 4, 21, 1});
    mel_normalize_mixup({.x = x.view(),
                         .mean = mean,
                         .std = std,
                         .perm = View<const std::int64_t>(partners.data(), {3}),
                         .lam = 0.7,
                         .y = y.view()},
                        p, context);
    CHECK(y.guards_intact());
    Buffer<float> normal({3, 4, 21, 1});
    std::copy_n(x.view().data, x.size(), normal.view().data);
    mel_normalize({.x = normal.view(), .mean = mean, .std = std}, p, context);
    Buffer<float> expected({3, 4, 21, 1});
    mixup<float>(
        {.x = normal.view(), .perm = View<const std::int64_t>(partners.data(), {3}), .lam = 0.7, .y = expected.view()},
        context);
    check_close(own ? "own" : "given", y.view(), expected.view(), 2e-6, 0);  // a fused multiply-add or none
  }
  const std::vector<std::int64_t> wrong = {0, 3, 1};
  Buffer<float> y({3, 4, 21, 1});
  CHECK_THROWS_AS(
      mel_normalize_mixup(
          {.x = x.view(), .mean = {}, .std = {}, .perm = View<const std::int64_t>(wrong.data(), {3}), .y = y.view()}, p,
          context),
      Error);
}

TEST_CASE("mel_stft: extreme samples stay what they are", "[mel_stft]") {
  const CpuContext context;
  const MelTables tables;
  std::vector<float> x = noise(24000);
  SECTION("NaN and infinity reach the output, in the frames they touch and no others") {
    const float value = GENERATE(std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity());
    x[12000] = value;
    const std::vector<float> out = log_mel(x, tables, context);
    for (std::size_t t = 0; t < 50; ++t) CHECK(std::isfinite(out[t]) == (t < 24 || t > 26));
  }
  SECTION("power in the denormal range has its logarithm") {
    const std::vector<float> loud = log_mel(x, tables, context);
    const double factor = 0x1p-66;
    for (float& v : x) v *= static_cast<float>(factor);
    const std::vector<float> quiet = log_mel(x, tables, context);
    double worst = 0;
    for (std::size_t i = 0; i < quiet.size(); ++i)
      worst = std::max(worst, std::abs(quiet[i] - loud[i] - 2 * std::log(factor)));
    CHECK(worst < 0.05);  // denormals have few bits
  }
}

TEST_CASE("mel_stft: statistics and normalisation", "[mel_stft]") {
  const std::int64_t M = 5;
  const std::int64_t T = 43;
  const CpuContext context;
  const MelParameters p;
  Buffer<float> x({M, T});
  x.fill_uniform("mel rows", -3, 1);
  for (std::int64_t t = 0; t < T; ++t) x[2 * T + t] = -1000 + x[2 * T + t] * 1e-3F;  // large mean, small deviation
  for (std::int64_t t = 0; t < T; ++t) x[3 * T + t] = -16.118F;                      // constant: the floor
  std::vector<double> expected(x.view().data, x.view().data + M * T);
  ref::mel_normalize(expected, M, p.std_floor);

  Buffer<float> mean({M});
  Buffer<float> std({M});
  mel_statistics({.x = x.view(), .mean = mean.view(), .std = std.view()}, context);
  CHECK(mean.guards_intact());
  CHECK(std.guards_intact());
  CHECK(std[3] == 0);

  SECTION("in blocks the same") {
    MelMoments moments(M);
    for (std::int64_t begin = 0; begin < T;) {
      const std::int64_t count = std::min<std::int64_t>(begin == 0 ? 1 : 17, T - begin);
      std::vector<float> block;
      for (std::int64_t m = 0; m < M; ++m)
        block.insert(block.end(), x.view().data + m * T + begin, x.view().data + m * T + begin + count);
      moments.add(View<const float>(block.data(), {M, count}));
      begin += count;
    }
    CHECK(moments.frames() == T);
    Buffer<float> block_mean({M});
    Buffer<float> block_std({M});
    moments.result(block_mean.view(), block_std.view());
    check_close("mean", block_mean.view(), mean.view(), 0, 1e-6);
    check_close("std", block_std.view(), std.view(), 1e-7, 1e-6);
  }
  SECTION("by given statistics, shared or an item's own") {
    Buffer<float> given({2, M, T});
    Buffer<float> means({2, M});
    Buffer<float> stds({2, M});
    for (std::int64_t i = 0; i < 2 * M * T; ++i) given[i] = x[i % (M * T)] + static_cast<float>(i / (M * T));
    for (std::int64_t i = 0; i < 2 * M; ++i) {
      means[i] = mean[i % M] + static_cast<float>(i / M);
      stds[i] = std[i % M];
    }
    mel_normalize({.x = given.view(), .mean = means.view(), .std = stds.view()}, p, context);
    CHECK(given.guards_intact());
    // A float mean of 1000 is off by up to 3e-5, which the small deviation divides.
    for (std::int64_t i = 0; i < M * T; ++i) {
      const double tolerance = i / T == 2 ? 0.1 : (i / T == 3 ? 5e-3 : 1e-4);
      CHECK(std::abs(given[i] - expected[static_cast<std::size_t>(i)]) < tolerance);
      CHECK(std::abs(given[M * T + i] - expected[static_cast<std::size_t>(i)]) < tolerance);
    }
    mel_normalize({.x = x.view(), .mean = mean.view(), .std = std.view()}, p, context);
    CHECK(std::equal(x.view().data, x.view().data + M * T, given.view().data));
  }
  SECTION("by their own") {
    mel_normalize({.x = x.view()}, p, context);
    CHECK(x.guards_intact());
    check_close("norm", x.view(), view_of(expected), 1e-5, 1e-5);
  }
  SECTION("one frame has deviation 0") {
    Buffer<float> one({M, 1});
    one.fill_uniform("one frame");
    mel_normalize({.x = one.view()}, p, context);
    for (std::int64_t m = 0; m < M; ++m) CHECK(one[m] == 0);
  }
}

TEST_CASE("mel_stft: bad arguments throw", "[mel_stft]") {
  const CpuContext context;
  const MelTables tables;
  const std::vector<float> x = noise(4800);
  Buffer<float> out({128, 10});
  const auto forward = [&](const MelForward& item) { mel_forward(item, tables, context); };
  CHECK_NOTHROW(forward({.pcm = view_of(x), .out = out.view()}));
  CHECK_THROWS_AS(forward({.out = out.view()}), Error);
  CHECK_THROWS_AS(forward({.pcm = View<const float>(x.data(), {1}), .out = out.view()}), Error);
  CHECK_THROWS_AS(forward({.pcm = View<const float>(x.data(), {2, 2400}), .out = out.view()}), Error);
  CHECK_THROWS_AS(forward({.pcm = view_of(x), .first_frame = 1, .out = out.view()}), Error);
  CHECK_THROWS_AS(forward({.pcm = view_of(x), .first_frame = -1, .out = out.view()}), Error);
  CHECK_THROWS_AS(forward({.pcm = view_of(x), .out = View<float>(out.view().data, {127, 10})}), Error);
  CHECK_NOTHROW(forward({.pcm = view_of(x), .first_frame = 10, .out = View<float>(out.view().data, {128, 0})}));
  Buffer<float> batch({2, 128, 5});
  CHECK_THROWS_AS(
      mel_batch_forward({.pcm = View<const float>(x.data(), {3, 1600}), .out = batch.view()}, tables, context), Error);
  CHECK_THROWS_AS(mel_normalize({.x = out.view(), .mean = View<const float>(x.data(), {128})}, {}, context), Error);
  CHECK_THROWS_AS(doubled_frames(0, 40), Error);

  CHECK_NOTHROW(validate({}));
  const MelParameters bad[] = {{.sample_rate = 0},  {.n_fft = 1000},  {.n_fft = 32},    {.window = 2050},
                               {.window = 0},       {.window = 959},  {.hop = 0},       {.mels = 0},
                               {.f_min = -1},       {.f_min = 12000}, {.f_max = 12001}, {.zero_floor = 0},
                               {.std_floor = -1e-3}};
  for (const MelParameters& p : bad) CHECK_THROWS_AS(MelTables(p), Error);
}

}  // namespace dcase
